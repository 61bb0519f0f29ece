"""The folder that an export to another library writes: there as a whole, or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness.errors import writing


def write_folder(out: Path, files: dict[str, bytes]) -> None:
    """Write the folder `--out`, which does not exist, with these files, as a whole or not at all."""
    with writing(f"--out={out}"):
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            for name, data in files.items():
                (scratch / name).write_bytes(data)
            scratch.chmod(0o755)
            scratch.rename(out)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise


def as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
