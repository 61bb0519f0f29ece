"""A table as a LaTeX float for a paper of two columns, one file per table: `\\input{tables/glue}`."""

from __future__ import annotations

import re

from harness.reporting.table import DAGGER, MINUS, NOTHING, ONE_SEED, Table

PACKAGES = ("booktabs", "adjustbox", "siunitx")
MOST_NOTES = 3  # below the table; further ones are comments
WIDE = 64  # characters of a row, from which on a table takes both columns of the page

_HEAD = f"% Made by `python -m harness.report`; needs \\usepackage{{{','.join(PACKAGES)}}}. All notes: NOTES.md"
# A number, then what is printed next to it: deviation, marks, an interval, a count of columns or the name of a metric.
_NUMBER = re.compile(
    rf"(?P<sign>[+{MINUS}]?)(?P<whole>\d[\d,]*)(?:\.(?P<part>\d+))?"
    rf"(?P<rest>(?: ±[\d.]+)?[{DAGGER}{ONE_SEED}]*(?: \[[^]]*\]| \(\d+\)| [A-Za-z][A-Za-z0-9]*)?)"
)
_SETUP = (
    "group-separator={,}, group-minimum-digits=4, retain-explicit-plus=true, detect-weight=true, "
    "table-align-text-after=false"
)


def latex(table: Table, label: str) -> str:
    """The float: title as caption, `\\label{tab:LABEL}`, numbers aligned by siunitx, the best ones bold.

    It is never wider than its column, and a small table keeps its size.
    """
    places = range(len(table.header))
    in_columns = [[row[i] for row in table.rows] for i in places]
    numeric = [not table.is_left(i) and _is_numeric(in_columns[i]) for i in places]
    columns = [
        f"S[table-format={_format(in_columns[i], table.foot)}]" if numeric[i] else "l" if table.is_left(i) else "r"
        for i in places
    ]
    lines = [_line(table, number, numeric) for number in range(len(table.rows))]
    if table.foot:
        lines.insert(len(lines) - table.foot, r"\midrule")
    width = sum(2 + max(map(len, [table.header[i], *in_columns[i]])) for i in places)
    float_ = "table*" if width > WIDE else "table"
    notes = r"\par ".join(map(escape_latex, table.notes[:MOST_NOTES]))
    return "\n".join(
        [
            _HEAD,
            rf"\begin{{{float_}}}[t]",
            r"\centering\small",
            rf"\sisetup{{{_SETUP}}}",
            r"\setlength{\tabcolsep}{3pt}\setlength{\belowcaptionskip}{6pt}\hfuzz=8pt",
            rf"\caption{{{escape_latex(table.title)}}}",
            rf"\label{{tab:{label}}}",
            r"\begin{adjustbox}{max width=\linewidth}",
            r"\begin{tabular}{",
            *(f"  {column}" for column in columns),
            "}",
            r"\toprule",
            " & ".join(f"{{{escape_latex(text)}}}" for text in table.header) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            r"\par\smallskip",
            rf"\parbox{{\linewidth}}{{\footnotesize\raggedright {notes}}}",
            rf"\end{{{float_}}}",
            *(f"% {note}" for note in [*table.notes[MOST_NOTES:], *table.verdicts]),
            "",
        ]
    )


def _is_numeric(texts: list[str]) -> bool:
    """Whether siunitx aligns a column: mostly numbers where there is something."""
    filled = [text for text in texts if text not in ("", NOTHING)]
    return 2 * sum(map(bool, map(_NUMBER.fullmatch, filled))) > len(filled)


def _line(table: Table, number: int, numeric: list[bool]) -> str:
    """One row; a label reaches over the empty cells next to it."""
    row = table.rows[number]
    empty = next((i for i, text in enumerate(row[1:]) if text), len(row) - 1) if table.left == 1 else 0
    label = escape_latex(row[0])
    cells = [
        rf"\multicolumn{{{1 + empty}}}{{l}}{{{label}}}" if empty else _cell(row[0], is_numeric=False, is_best=False)
    ]
    for i in range(1 + empty, len(row)):
        cells.append(_cell(row[i], is_numeric=numeric[i], is_best=(number, i) in table.best))
    return rf"{' & '.join(cells)} \\"


def _format(texts: list[str], foot: int) -> str:
    """The room that a column needs: `2.1` and the longest text after a number.

    Signs of the `foot` last rows stick out to the left, into the gap, so that differences below do not widen a table.
    """
    found = [match for match in map(_NUMBER.fullmatch, texts) if match]
    signed = any(match["sign"] for match in map(_NUMBER.fullmatch, texts[: len(texts) - foot]) if match)
    whole = max(len(match["whole"].replace(",", "")) for match in found)
    part = max(len(match["part"] or "") for match in found)
    rest = _after(max((match["rest"] for match in found), key=len))
    return f"{'+' * signed}{whole}" + (f".{part}" if part else "") + (f"{{{rest}}}" if rest else "")


def _cell(text: str, *, is_numeric: bool, is_best: bool) -> str:
    match = _NUMBER.fullmatch(text) if is_numeric else None
    if match is None:
        escaped = rf"\textbf{{{escape_latex(text)}}}" if is_best else escape_latex(text)
        return f"{{{escaped}}}" if is_numeric else escaped
    number = (
        match["sign"].replace(MINUS, "-")
        + match["whole"].replace(",", "")
        + (f".{match['part']}" if match["part"] else "")
    )
    rest = _after(match["rest"])
    if rest:
        rest = rf"{{\textmd{{{rest}}}}}" if is_best else f"{{{rest}}}"
    return rf"\bfseries {number}{rest}" if is_best else number + rest


def _after(rest: str) -> str:
    """What follows a number: the deviation as a subscript."""
    return re.sub(r"^ \$\\pm\$([\d.]+)", r"\\textsubscript{$\\pm$\1}", escape_latex(rest))


_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    DAGGER: r"\textdagger{}",
    ONE_SEED: r"\textsuperscript{1}",
    NOTHING: "--",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    MINUS: "$-$",
    "Σ": r"$\Sigma$",
}


def escape_latex(text: str) -> str:
    """Text for LaTeX: special characters escaped, `**bold**` and backticked code as their commands, paired quotes."""
    escaped = "".join(_LATEX.get(character, character) for character in text)
    escaped = re.sub(r"^([+-])(?=\d)", r"$\1$", escaped)  # a sign, not a hyphen
    escaped = re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", escaped)
    escaped = re.sub(r"`(.+?)`", r"\\texttt{\1}", escaped)
    return re.sub(r"(^|[\s(])'", r"\1`", escaped)
