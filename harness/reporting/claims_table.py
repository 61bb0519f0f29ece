"""The paper's statements with their verdicts on the runs of a report: rows, table, CSV file, and a line of counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from harness.reporting.bootstrap import Bootstrap
from harness.reporting.claim_list import ALL, SOURCE
from harness.reporting.judging import MIN_SEEDS, NOT_JUDGED, NOT_RUN, TEST_LEVEL, VERDICTS
from harness.reporting.runs_table import to_frame
from harness.reporting.scores import Scores
from harness.reporting.table import NOTHING, Table


@dataclass(frozen=True)
class JudgedClaim:
    """A statement of the paper and what the runs of one group say about it.

    `interval` is the tested one (`low`, `high`) as text, over rows only where a method has a single seed. `reason`
    says how it was tested or what is missing; `command` makes the missing runs, and is empty where none are.
    """

    statement: str
    section: str
    paper: str
    here: str
    interval: str
    verdict: str
    reason: str
    command: str
    group: str = ""
    low: float | None = None
    high: float | None = None


def judge_claims(boards: Sequence[Scores], bootstrap: Bootstrap) -> list[JudgedClaim]:
    """Each statement of the paper, once for every group of comparable runs that says something about it."""
    rows = []
    for claim in ALL:
        about = claim.statement, claim.section, claim.paper
        found = [(scores.group.title, finding) for scores in boards if (finding := claim.judge(scores, bootstrap))]
        for title, finding in found:
            low, high = finding.bounds or (None, None)
            command = claim.command if finding.verdict == NOT_JUDGED else ""
            told = finding.here, finding.interval, finding.verdict, finding.reason, command, title
            rows.append(JudgedClaim(*about, *told, low, high))
        if not found:
            rows.append(JudgedClaim(*about, "", "", NOT_RUN, "", claim.command))
    return rows


def claims_table(rows: Sequence[JudgedClaim]) -> Table:
    """One line per statement and group; the group is named where there are several."""
    groups = list(dict.fromkeys(row.group for row in rows if row.group))
    header = ["Statement", "Section", "Paper", "Here", f"{TEST_LEVEL:.0%} interval", "Verdict"]
    header += [*(["Runs"] if len(groups) > 1 else []), "Why, and the command for what is missing"]
    lines = []
    for row in rows:
        runs = [str(groups.index(row.group) + 1) if row.group else NOTHING] if len(groups) > 1 else []
        why = "; ".join(text for text in (row.reason, row.command and f"`{row.command}`") if text)
        told = [row.here or NOTHING, row.interval or NOTHING, row.verdict]
        lines.append([row.statement, row.section, row.paper, *told, *runs, why])
    notes = [
        *([f"Runs {i}: {title}." for i, title in enumerate(groups, 1)] if len(groups) > 1 else
          [f"Runs: {title}." for title in groups]),
        f"Paper: {SOURCE}. A verdict is about the encoder and the data of the runs here.",
        f"Holds: the {TEST_LEVEL:.0%} interval lies wholly where the statement says; does not hold: wholly elsewhere; "
        "inconclusive: neither. That tests each bound one-sidedly at 5 %: 'within' a margin is non-inferiority (a "
        "method that scores higher loses nothing), 'does not matter' is equivalence (two one-sided tests).",
        "Intervals cover evaluation rows and seeds, and the choice of config where predictions on the selection split "
        "are stored and the headline score is compared; those of removed adapters cover seeds only.",
        f"Not judged: runs that are synthetic, cut, of fewer than {MIN_SEEDS} seeds or constant predictions say "
        "nothing; their figures are shown nevertheless.",
    ]  # fmt: skip
    return Table("The paper's statements", header, lines, notes, left=len(header), long_last=True)


def claims_frame(rows: Sequence[JudgedClaim]) -> pd.DataFrame:
    """The rows as a data frame; bounds to six decimals, beyond which processors differ."""
    return to_frame([vars(row) for row in rows]).round(6)


def counts_line(rows: Sequence[JudgedClaim], where: str) -> str:
    """How many statements have which verdict; empty where no run says anything about any."""
    counts = Counter(row.verdict for row in rows)
    if counts[NOT_RUN] == len(rows):
        return ""
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"The paper's statements: {told} ({where})"
