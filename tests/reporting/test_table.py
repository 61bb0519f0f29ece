"""One table as text: markdown, LaTeX, the terminal, numbers."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.reporting.latex import escape_latex, latex
from harness.reporting.table import Table, column_blocks, markdown, number, print_table

NUMBERS = [(-0.34, ".1f", "−0.3"), (-0.04, "+.1f", "+0.0"), (1.25, "+.2f", "+1.25"), (-2, "g", "−2")]


@pytest.mark.parametrize(("value", "form", "text"), NUMBERS)
def test_numbers_have_a_minus_sign_and_zero_has_none(value, form, text):
    assert number(value, form) == text


def test_markdown_lines_up_as_raw_text():
    table = Table("t", ["Method", "MRPC"], [["a|b", "1.0"], ["long name", "84.0 ±1.0"]], [])
    assert markdown(table).splitlines() == [
        "| Method    |      MRPC |",
        "| --------- | --------: |",
        "| a\\|b      |       1.0 |",
        "| long name | 84.0 ±1.0 |",
    ]


def test_latex_escapes_text():
    assert escape_latex("100 % of a_b & c#{$}~^\\") == (
        r"100 \% of a\_b \& c\#\{\$\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert escape_latex("84.0 ±1.0† – 1 × 2") == r"84.0 $\pm$1.0\textdagger{} -- 1 $\times$ 2"
    assert escape_latex("-0.3") == "$-$0.3"
    assert escape_latex("+1.3 [−3.6, 6.2]") == "$+$1.3 [$-$3.6, 6.2]"
    assert escape_latex("**NOT GLUE: a_b.** `run_1`") == r"\textbf{NOT GLUE: a\_b.} \texttt{run\_1}"


def test_latex_aligns_numbers_marks_the_best_and_keeps_further_notes_as_comments():
    rows = [["a_b", "84.0 ±1.0", "2.1 %"], ["c", "8.5¹", "100 %"], ["a − c", "", "–"]]
    table = Table("50 %", ["Method", "MRPC", "Trained"], rows, ["1", "2", "3", "4 %"], best=frozenset({(0, 1)}), foot=1)
    text = latex(table, "glue")
    lines = text.splitlines()
    columns = lines[lines.index(r"\begin{tabular}{") + 1 : lines.index("}")]
    assert columns == ["  l", r"  S[table-format=2.1{\textsubscript{$\pm$1.0}}]", "  r"]
    assert r"a\_b & \bfseries 84.0{\textmd{\textsubscript{$\pm$1.0}}} & 2.1 \% \\" in lines
    assert r"c & 8.5{\textsuperscript{1}} & 100 \% \\" in lines
    assert lines[lines.index(r"\multicolumn{2}{l}{a $-$ c} & -- \\") - 1] == r"\midrule"
    assert r"\caption{50 \%}" in lines and r"\label{tab:glue}" in lines
    assert r"1\par 2\par 3}" in text and lines[-1] == "% 4 %"
    assert lines[1] == r"\begin{table}[t]"


def test_wide_tables_take_both_columns_of_the_page():
    table = Table("t", ["Method", *(f"column {i}" for i in range(9))], [["name", *["-1.0"] * 9]], [])
    assert latex(table, "x").splitlines()[1] == r"\begin{table*}[t]"


def test_wide_tables_are_printed_in_blocks_that_fit():
    table = Table("t", ["Method", *(f"column {i}" for i in range(9))], [["name", *["84.0 ±1.0"] * 9]], ["`note`"])
    blocks = column_blocks(table, 60)
    assert len(blocks) > 1
    assert [i for block in blocks for i in block if i] == list(range(1, 10))
    assert all(block[0] == 0 for block in blocks)
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    print_table(table, console)
    printed = console.file.getvalue()
    assert all(f"column {i}" in printed for i in range(9))
    assert max(map(len, printed.splitlines())) <= 60
    assert "- note" in printed
