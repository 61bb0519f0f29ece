"""The notes that say what the runs of a group share: data, encoder, rows, environment. Each is a single line."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records.record import Record
from harness.reporting.facts import (
    benchmark_of,
    by_task,
    cut_phrase,
    data_phrase,
    is_glue,
    is_squad,
    rows_phrase,
    values_of,
)
from harness.reporting.groups import Group
from harness.reporting.method_variant import MethodVariant


def setup_notes(group: Group) -> list[str]:
    """Data, encoder, rows and environment: what the runs of a group share and where they differ."""
    records = group.records
    notes = not_glue_note(group)
    loaded = [record for record in records if record.get("data")]
    if not loaded:
        return [*notes, "No run has come as far as loading its encoder and data."]
    encoder = next((record["encoder"] for record in loaded if record.get("encoder")), None)
    if encoder is not None:
        counts = " or ".join(f"{int(count):,}" for count in values_of(records, "parameters", "encoder"))
        notes.append(
            f"Encoder: {encoder['title']}, {counts or 'unknown'} parameters without head, {encoder['layers']} layers, "
            f"width {encoder['width']}, pooling {' and '.join(values_of(records, 'encoder', 'pooling')) or 'unknown'}, "
            f"sha256 {(encoder.get('sha256') or 'unknown')[:12]}."
        )
    baselines = [label for variant, label in group.labels.items() if not _has_encoder(group, variant)]
    if baselines:
        notes.append(
            f"{', '.join(baselines)}: without an encoder, fitted once, since nothing is drawn at random; the selection "
            "split has also chosen the point of its grid. It has no trained share of an encoder."
        )
    notes.append(f"Data: {data_phrase(records)}. Rows used, training / evaluation: {rows_phrase(records)}.")
    if cut := cut_phrase(records):
        official = "SQuAD" if is_squad(loaded[0]) else "GLUE" if is_glue(loaded[0]) else None
        complete = f"the official {official} release" if official else "the complete data"
        notes.append(f"Cut files, with other row counts than {complete}: {cut}.")
    return [*notes, _environment_note(records)]


def _has_encoder(group: Group, variant: MethodVariant) -> bool:
    return any(cell.has_encoder for cell in group.row(variant).values())


def not_glue_note(group: Group) -> list[str]:
    """For rows that are not a benchmark's under the names of its tasks."""
    loaded = by_task(group.records)
    benchmark = benchmark_of(task for task, record in loaded if not is_glue(record) and not is_squad(record))
    if benchmark is None:
        return []
    which = "the GLUE tasks of the same names" if benchmark == "GLUE" else benchmark
    return [f"**NOT {benchmark}: {group.key.source} data.** These scores say nothing about {which}."]


def _environment_note(records: Sequence[Record]) -> str:
    origins = [record["provenance"] for record in records if record.get("provenance")]
    versions: dict[str, set[str]] = {}
    for origin in origins:
        for package, version in origin.get("versions", {}).items():
            versions.setdefault(package, set()).add(str(version))
    packages = ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items()))
    commits = {
        str(origin.get("commit") or "unknown")[:10] + " (dirty: uncommitted changes)" * bool(origin.get("dirty"))
        for origin in origins
    }
    devices, precisions = (", ".join(values_of(records, "provenance", name)) for name in ("device", "precision"))
    return (
        f"Environment: commit {', '.join(sorted(commits)) or 'unknown'}; device {devices or 'unknown'}; "
        f"precision {precisions or 'unknown'}; {packages}."
    )
