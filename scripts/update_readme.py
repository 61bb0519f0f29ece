"""Put the generated tables of the committed results into README.md, between its markers.

python scripts/update_readme.py    # after `python -m harness.report results/minilm` or `... results/quick`
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
README = ROOT / "README.md"


def with_tables(readme: str, results: Path = RESULTS) -> str:
    """The README, each of its blocks `<!-- FOLDER table N -->` ... `<!-- /table -->` filled with the N-th table, from
    1 on, of that results folder's `tables/glue.md`.
    """

    def block(match: re.Match[str]) -> str:
        folder, number = match[1], int(match[2])
        text = (results / folder / "tables" / "glue.md").read_text(encoding="utf-8")
        found = re.findall(r"(?:^\|.*\n)+", text, re.M)
        if number > len(found):
            raise ValueError(f"README.md asks for table {number} of {len(found)} in results/{folder}/tables/glue.md")
        return f"<!-- {folder} table {number} -->\n{found[number - 1]}<!-- /table -->"

    return re.sub(r"<!-- (\S+) table (\d+) -->\n.*?<!-- /table -->", block, readme, flags=re.S)


def main() -> int:
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
