"""Put the generated tables of the committed results into README.md, between its markers: scores, and statements judged.

python scripts/update_readme.py    # after `python -m harness.report results/minilm` or `... results/quick`
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

from harness.reporting.judging import NOT_RUN, TEST_LEVEL
from harness.reporting.table import NOTHING, Table, markdown

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
README = ROOT / "README.md"


def with_tables(readme: str, results: Path = RESULTS) -> str:
    """The README with its blocks filled, each from a line `<!-- FOLDER table N -->` or `<!-- FOLDER claims -->` to
    `<!-- /table -->`: the N-th table, from 1 on, of that results folder's `tables/glue.md`, or `claims_in_short`.
    """

    def block(match: re.Match[str]) -> str:
        if match[2] == "claims":
            return f"<!-- {match[1]} claims -->\n{claims_in_short(results / match[1])}\n<!-- /table -->"
        folder, number = match[1], int(match[3])
        text = (results / folder / "tables" / "glue.md").read_text(encoding="utf-8")
        found = re.findall(r"(?:^\|.*\n)+", text, re.M)
        if number > len(found):
            raise ValueError(f"README.md asks for table {number} of {len(found)} in results/{folder}/tables/glue.md")
        return f"<!-- {folder} table {number} -->\n{found[number - 1]}<!-- /table -->"

    return re.sub(r"<!-- (\S+) (claims|table (\d+)) -->\n.*?<!-- /table -->", block, readme, flags=re.S)


def claims_in_short(folder: Path) -> str:
    """The paper's statements of which the folder has any runs, each with its figures and verdict, and the number of
    others, as a markdown table.
    """
    with (folder / "tables" / "claims.csv").open(encoding="utf-8", newline="") as file:
        claims = list(csv.DictReader(file))
    begun = [claim for claim in claims if claim["verdict"] != NOT_RUN]
    shown = "statement", "paper", "here", "interval", "verdict"
    rows = [[claim[name] or NOTHING for name in shown] for claim in begun]
    if len(begun) < len(claims):
        rows.append([f"{len(claims) - len(begun)} more", *[NOTHING] * 3, NOT_RUN])
    header = ["Statement", "Paper", "Here", f"{TEST_LEVEL:.0%} interval", "Verdict"]
    return markdown(Table("", header, rows, [], left=len(header)))


def main() -> int:
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
