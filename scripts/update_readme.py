"""Put the generated tables of results/minilm into README.md, between its markers.

python scripts/update_readme.py    # after `python -m harness.report results/minilm`
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "results/minilm/tables/glue.md"
README = ROOT / "README.md"


def with_tables(readme: str, tables: str) -> str:
    """The README, each of its blocks `<!-- table N -->` ... `<!-- /table -->` filled with the N-th table, from 1 on."""
    found = re.findall(r"(?:^\|.*\n)+", tables, re.M)

    def block(match: re.Match[str]) -> str:
        number = int(match[1])
        if number > len(found):
            raise ValueError(f"README.md asks for table {number} of {len(found)} in {TABLES.relative_to(ROOT)}")
        return f"<!-- table {number} -->\n{found[number - 1]}<!-- /table -->"

    return re.sub(r"<!-- table (\d+) -->\n.*?<!-- /table -->", block, readme, flags=re.S)


def main() -> int:
    text = README.read_text(encoding="utf-8")
    README.write_text(with_tables(text, TABLES.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
