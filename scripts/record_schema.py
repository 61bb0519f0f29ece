"""Write harness/records/record.schema.json: the record as a JSON Schema, made from harness/records/schema.py.

python scripts/record_schema.py    # after a change of the schema
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import is_typeddict

from harness.records import schema

FILE = Path(schema.__file__).with_name("record.schema.json")


def record_schema() -> dict[str, Any]:
    """The JSON Schema; unknown keys are errors, descriptions are the docstrings."""
    for one in vars(schema).values():
        if is_typeddict(one):
            one.__pydantic_config__ = {"use_attribute_docstrings": True, "extra": "forbid"}
    made = TypeAdapter(schema.Record).json_schema()
    made["properties"]["schema"] |= {"const": schema.SCHEMA}
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Record of a run"}
    return about | {key: value for key, value in made.items() if key != "title"}


def main() -> int:
    FILE.write_text(json.dumps(record_schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
