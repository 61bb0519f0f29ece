"""The lowest direct versions that pyproject.toml allows, as constraints for pip (make test-lowest).

python scripts/lowest_versions.py > floors.txt
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
TOOLS = "dev"  # the extra of test tools: only what users install has floors worth testing
_FLOOR = re.compile(r"([\w.-]+)>=([\w.]+)")


def main() -> None:
    print("\n".join(floors(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"])))


def floors(project: dict[str, Any]) -> Iterable[str]:
    """`name==version` for each dependency of `[project]` with a floor; an exact version is held by pip itself."""
    extras = [extra for name, extra in project["optional-dependencies"].items() if name != TOOLS]
    for requirement in [*project["dependencies"], *(item for extra in extras for item in extra)]:
        if found := _FLOOR.match(requirement):
            yield f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    main()
