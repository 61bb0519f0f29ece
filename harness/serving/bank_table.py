"""What a bank holds, as a table."""

from __future__ import annotations

from harness.records.method_title import ALWAYS_SHOWN, method_title
from harness.reporting.table import NOTHING, Table
from harness.serving.bank_folder import Bank, Entry


def contents(bank: Bank) -> Table:
    """What the bank holds, with its size on disk next to that of one full checkpoint per task."""
    whole = bank.encoder["bytes"]
    rows, sizes = [], []
    for name in bank.tasks:
        entry = bank.entry(name)
        size = entry.run["weights"]["bytes"]
        sizes.append((size, entry.method.name == "full"))
        rows.append(
            [
                entry.task.title,
                _method_text(entry),
                _scores_text(entry),
                f"{entry.run['weights']['parameters']:,}",
                f"{size / 1e6:.2f}",
                f"{100 * size / whole:.2f} %",
            ]
        )
    ours = sum(size for size, _ in sizes) + (0 if sizes and all(full for _, full in sizes) else whole)
    theirs = whole * len(rows)
    rows.append(
        ["Encoder", bank.encoder["title"], "", f"{bank.encoder['parameters']:,}", f"{whole / 1e6:.2f}", "100 %"]
    )
    rows.append(["Total", "", "", "", f"{ours / 1e6:.2f}", f"{ours / whole:.2f}x"])
    rows.append([f"{len(bank.tasks)} full checkpoints", "", "", "", f"{theirs / 1e6:.2f}", f"{len(bank.tasks)}x"])
    notes = [
        "MB: 10^6 bytes on disk; the last column is relative to the encoder's checkpoint. Scores x 100 of the stored "
        "run on the task's evaluation sets.",
    ]
    header = ["Task", "Method", "Score", "Parameters", "MB", "Of encoder"]
    return Table(f"Bank {bank.folder}", header, rows, notes, left=2)


def _method_text(entry: Entry) -> str:
    shown = ALWAYS_SHOWN.get(entry.method.name)
    return method_title(entry.method.name) + (f" ({getattr(entry.method, shown)})" if shown else "")


def _scores_text(entry: Entry) -> str:
    headline = entry.task.headline
    values = [entry.run["scores"].get(name, {}).get(headline) for name in entry.task.evaluation_sets]
    return " / ".join(NOTHING if value is None else f"{100 * value:.1f}" for value in values)
