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


def test_latex_table_has_a_cell_for_every_column_and_failures_as_comments():
    table = Table("50 %", ["Method", "MRPC"], [["a_b", "84.0"]], ["a note"], details=["Failed: `a_b`: 5 % left"])
    text = latex(table)
    assert r"\begin{tabular}{lr}" in text
    assert r"a\_b & 84.0 \\" in text
    assert r"\caption{50 \%}" in text
    assert text.splitlines()[-1] == "% Failed: `a_b`: 5 % left"


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
