"""Raise the records of a results folder from schema 1 to 2: `python scripts/migrate_records.py RESULTS [--model DIR]`.

Schema 2 names runs by more of what changes a score, and by less of what does not: the encoder's config and tokenizer
and the resolved precision are in the id; what is only looked at or kept is not, and `submit` is `paper`. Records,
predictions, weights, bank, plans, logs and the manifest of a submission get the new ids; nothing is trained or scored
again. Records that never reached their data and encoder have no id in the new scheme: they are moved to `superseded/`.

Exit status: 0, or 2 with one line on stderr. Safe to run again: records of schema 2 are left alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.model.checkpoint import find_checkpoint
from harness.records.record import read_json, write_json, write_plan
from harness.records.schema import SCHEMA
from harness.sweeps.run_id import NOT_IN_ID, run_id

OLD = 1
Ids = dict[str, str]  # old run id -> new run id


def raised(record: Mapping[str, Any], encoder_fingerprint: str) -> dict[str, Any]:
    """A record of schema 1, which reached its data and encoder, as one of schema 2; its stack still has old ids."""
    config = {**record["config"], "train": dict(record["config"]["train"])}
    protocol = dict(config.get("protocol") or {"name": "paper"})
    config["protocol"] = protocol | {"name": "paper"} if protocol["name"] == "submit" else protocol
    for section, names in NOT_IN_ID.items():
        for name in names:
            config[section].pop(name, None)
    config["train"]["precision"] = record["provenance"]["precision"]
    encoder = {name: value for name, value in record["encoder"].items() if name != "checkpoint"}
    new = {**record, "schema": SCHEMA, "config": config, "encoder": encoder | {"fingerprint": encoder_fingerprint}}
    if "predictions" in record:
        new["predictions"] = {"gold": record["predictions"]["references"]}
    if record["memory"]["of"] == "process":
        new["memory"] = record["memory"] | {"of": "process so far"}  # the peak of all that it had done
    new["run_id"] = run_id(config, data=record["data"]["fingerprint"], encoder=encoder_fingerprint)
    return new


def migrate(results: Path, model: str | None = None) -> tuple[Ids, list[str]]:
    """Raise a results folder; the new ids by the old ones, and the old ids that have none."""
    folder = results / "runs"
    old = [record for path in sorted(folder.glob("*.json")) if (record := read_json(path))["schema"] == OLD]
    reached = [record for record in old if {"encoder", "data", "provenance"} <= record.keys()]
    fingerprints = {record["encoder"]["sha256"]: _fingerprint(record["encoder"], model) for record in reached}
    new = {record["run_id"]: raised(record, fingerprints[record["encoder"]["sha256"]]) for record in reached}
    ids = {before: record["run_id"] for before, record in new.items()}
    _refuse_twins(ids)
    for record in new.values():
        record["training"]["stack"] = [ids.get(member, member) for member in record["training"]["stack"]]
        write_json(folder / f"{record['run_id']}.json", record)
    lost = sorted({record["run_id"] for record in old} - ids.keys())
    _rename(results, ids)
    _raise_stored(results, fingerprints, ids)
    for name in lost:
        (results / "superseded").mkdir(exist_ok=True)
        shutil.move(folder / f"{name}.json", results / "superseded" / f"{name}.json")
    for before, after in ids.items():
        if before != after:
            (folder / f"{before}.json").unlink()
    _raise_plans(results, ids)
    return ids, lost


def _fingerprint(encoder: Mapping[str, Any], model: str | None) -> str:
    """The fingerprint of a record's encoder, which must be found and have the same weights."""
    checkpoint = find_checkpoint(model or encoder["name"], encoder["revision"])
    if checkpoint.sha256 != encoder["sha256"]:
        raise UserError(
            f"the encoder {model or encoder['name']} has sha256 {checkpoint.sha256[:12]}..., the records were made with "
            f"{encoder['sha256'][:12]}...; give --model the folder of that one"
        )
    return checkpoint.fingerprint


def _refuse_twins(ids: Ids) -> None:
    """The protocols paper and submit, or a run with and without looks at it, are one run now."""
    by_new: dict[str, list[str]] = {}
    for before, after in ids.items():
        by_new.setdefault(after, []).append(before)
    twins = next((found for found in by_new.values() if len(found) > 1), None)
    if twins:
        raise UserError(f"{' and '.join(twins)} are one run in schema {SCHEMA}; move all but one of them away")


def _rename(results: Path, ids: Ids) -> None:
    """Files that are named by a run, and the folder of gold labels."""
    for folder, suffix in (("predictions", "npz"), ("weights", "safetensors"), ("logs", "log")):
        for before, after in ids.items():
            path = results / folder / f"{before}.{suffix}"
            if path.exists():
                path.rename(path.with_name(f"{after}.{suffix}"))
    if (results / "references").is_dir() and not (results / "gold").exists():
        (results / "references").rename(results / "gold")


def _raise_stored(results: Path, fingerprints: Mapping[str, str], ids: Ids) -> None:
    """The records that lie with stored weights and in the bank, and the manifest of a submission."""
    for path in [*(results / "weights").glob("*.json"), *(results / "bank").glob("*.json")]:
        stored = read_json(path)
        if stored.get("schema") != OLD:  # the bank's encoder.json has none
            continue
        new = raised(stored, fingerprints[stored["encoder"]["sha256"]])
        new["training"]["stack"] = [ids.get(member, member) for member in new["training"]["stack"]]
        new["weights"] = stored["weights"] | {"file": f"{new['run_id']}.safetensors"}
        _rename_in_bank(path.parent, stored, new)
        write_json(path if path.parent.name == "bank" else path.with_name(f"{new['run_id']}.json"), new)
        if path.parent.name != "bank" and path.stem != new["run_id"]:
            path.unlink()
    encoder = results / "bank" / "encoder.json"
    if encoder.exists():
        known = read_json(encoder)
        write_json(encoder, known | {"fingerprint": fingerprints[known["sha256"]]})
    manifest = results / "submission.manifest.json"
    if manifest.exists():
        content = read_json(manifest)
        for entry in content["files"].values():
            if "run_id" in entry:
                entry["run_id"] = ids.get(entry["run_id"], entry["run_id"])
        write_json(manifest, content)


def _rename_in_bank(bank: Path, stored: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for before, after in (
        (stored["weights"]["file"], new["weights"]["file"]),
        (f"predictions/{stored['run_id']}.npz", f"predictions/{new['run_id']}.npz"),
    ):
        if (bank / before).exists():
            (bank / before).rename(bank / after)


def _raise_plans(results: Path, ids: Ids) -> None:
    """Plans with the new ids; runs without a record keep their old ones, so that the report still misses them."""
    for path in sorted((results / "plans").glob("*.json")):
        planned = json.loads(path.read_text(encoding="utf-8"))["run_ids"]
        if ids.keys() & set(planned):
            path.unlink()
            write_plan(results, [ids.get(name, name) for name in planned])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the results_dir that `harness.run` wrote")
    parser.add_argument("--model", metavar="DIR", help="the encoder, where its name in the records does not lead to it")
    options = parser.parse_args(arguments)
    try:
        ids, lost = migrate(options.results, options.model)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(ids)} records raised to schema {SCHEMA}")
    if lost:
        print(f"{len(lost)} records without data or encoder moved to {options.results}/superseded: {', '.join(lost)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
