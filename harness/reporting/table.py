"""A table as text, and its layouts: markdown that reads well raw, and the terminal; `latex` is the third."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

NOTHING = "–"
DAGGER = "†"
ONE_SEED = "¹"
MINUS = "−"


def number(value: float, form: str = ".1f") -> str:
    """A number for a table or a sentence: with a minus sign instead of the hyphen, and zero without a sign of its own.

    CSV files hold plain numbers.
    """
    text = format(value, form)
    return (format(0.0, form) if float(text) == 0 else text).replace("-", MINUS)


@dataclass(frozen=True)
class Table:
    """A table as text; notes are single lines of light markdown (`**bold**` and backticked code).

    The first `left` columns are left-aligned, and with `long_last` the last one, which is then not padded.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]
    left: int = 1
    long_last: bool = False
    verdicts: list[str] = field(default_factory=list)  # further notes, which judge and can be read without the table
    best: frozenset[tuple[int, int]] = frozenset()  # the cells (row, column) with the best scores
    foot: int = 0  # the last rows, which are about the others: means, differences

    def is_left(self, column: int) -> bool:
        return column < self.left or (self.long_last and column == len(self.header) - 1)


def markdown(table: Table) -> str:
    """A markdown table whose columns line up as raw text."""
    cells = [[text.replace("|", "\\|") for text in line] for line in [table.header, *table.rows]]
    widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(table.header))]
    left = [table.is_left(i) for i in range(len(widths))]
    if table.long_last:
        widths[-1] = len(table.header[-1])
    rule = [("-" * width) if is_left else "-" * (width - 1) + ":" for width, is_left in zip(widths, left, strict=True)]

    def padded(line: list[str]) -> list[str]:
        places = zip(line, widths, left, strict=True)
        return [text.ljust(width) if is_left else text.rjust(width) for text, width, is_left in places]

    lines = [padded(cells[0]), rule, *map(padded, cells[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def print_table(table: Table, console: Console) -> None:
    """Print to a terminal with the notes below; a table that is too wide is split into blocks of columns."""
    console.print(Text(table.title, style="bold"))
    for columns in column_blocks(table, console.width):
        laid_out = RichTable(box=box.SIMPLE, pad_edge=False)
        for i in columns:
            laid_out.add_column(
                Text(table.header[i]), justify="left" if table.is_left(i) else "right", max_width=_WIDEST
            )
        for line in table.rows:
            laid_out.add_row(*(Text(_two_lines(line[i])) for i in columns))
        console.print(laid_out)
    for note in [*table.notes, *table.verdicts]:
        console.print(Text(f"- {plain_text(note)}"))
    console.print()


def column_blocks(table: Table, width: int) -> list[list[int]]:
    """Column numbers in blocks that fit `width` characters, each starting with the left-aligned columns of labels."""
    lines = [table.header, *table.rows]

    def room(i: int) -> int:
        return 3 + min(_WIDEST, max(len(part) for line in lines for part in _two_lines(line[i]).split("\n")))

    labels = list(range(table.left))
    blocks: list[list[int]] = [list(labels)]
    for i in range(table.left, len(table.header)):
        if len(blocks[-1]) > len(labels) and sum(map(room, [*blocks[-1], i])) > width:
            blocks.append(list(labels))
        blocks[-1].append(i)
    return blocks


_WIDEST = 30  # characters; longer labels wrap


def _two_lines(text: str) -> str:
    """`86.5 ±0.4` on two lines: eleven columns of scores fill a terminal."""
    return text.replace(" ±", "\n±")


def plain_text(note: str) -> str:
    return note.replace("**", "").replace("`", "")
