"""What a sweep leaves when its processes are killed, its disk fills and its files are damaged (`make torture`).

    python -m scripts.torture                     # the whole battery, into results/reliability
    python -m scripts.torture --kills 5 --pair-kills 2 --seeds 1 --epochs 6 --no-tests --out FOLDER
    python -m scripts.torture --kills 25 --pair-kills 5 --seed 1 --no-tests --add   # a part, added to what is there
    python -m scripts.torture --kills 0 --pair-kills 0 --add                        # the rest, which are tests

A sweep of 24 tiny runs (a random BERT of 3 layers and width 32, 48 rows of made-up RTE, dropout, six stacks of four, a
checkpoint every second) is killed by SIGKILL and started again until the kills are used up. Whenever it comes to its
end, it is compared with an undisturbed one, and the next begins. Processes die in turn at any moment, twice while they
train, while they write a checkpoint and while they write results, with a part of the file written. Only a kill that
would be a stack's second before its first checkpoint waits for that checkpoint: it would halve the stack.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.errors import UserError
from harness.records.record import read_json, write_atomically, write_json
from harness.reporting.table import Table, markdown
from harness.sweeps.provenance import now, provenance
from scripts.torture_kills import ROOT, Kills

EQUAL = "records with histories, predictions and weights equal the undisturbed sweep's to the last digit"
# Checks that are tests as well: the file, and what its tests find.
TESTS = {
    "a full disk": ("test_full_disk.py", "one line with file and free space; the next start ends with equal records"),
    "too little memory": ("test_memory_limits.py", "all runs complete, in smaller stacks"),
    "damaged files": ("test_damaged_files.py", "named in one line; no traceback, no wrong table"),
    "bad input": ("test_bad_input_of_every_command.py", "exit status 2, one line, nothing written"),
}


def run_battery(kills: int, pair_kills: int, *, seeds: int, epochs: int, seed: int, with_tests: bool) -> dict[str, Any]:
    """Run all checks; returns what `battery.json` holds, where a check without `faults` has passed."""
    started, clock = now(), time.monotonic()
    # Before a check could outlive a commit.
    made_by = {key: value for key, value in provenance(torch.device("cpu"), bf16=False).items() if key != "command"}
    checks: list[dict[str, Any]] = []

    def enter(check: str, counts: Mapping[str, int], found: str, faults: Sequence[str]) -> None:
        checks.append({"check": check, "counts": dict(counts), "found": found, "faults": list(faults)})
        print(f"{check}: {_told(counts)}: {'; '.join(faults) or found}", flush=True)

    undisturbed = []  # seconds
    if kills or pair_kills:
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            sweeps = Kills(Path(folder), seeds=seeds, epochs=epochs, seed=seed)
            undisturbed.append(round(sweeps.seconds, 1))
            ended = sweeps.of_one_sweep(kills)
            counts = {"kills": kills, **dict(sweeps.moments.most_common()), "sweeps": ended}
            enter(f"SIGKILL of a sweep of {sweeps.runs} runs", counts, EQUAL, sweeps.faults)
            sweeps.faults = []
            ended, reports = sweeps.of_two_sweeps(pair_kills)
            of_reports = [fault for fault in sweeps.faults if fault.startswith("a report")]
            others = [fault for fault in sweeps.faults if fault not in of_reports]
            enter("two such sweeps over one folder", {"kills": pair_kills, "pairs": ended}, EQUAL, others)
            found = "tables, or one line as long as no record is there"
            enter("reports of that folder meanwhile", reports, found, of_reports)
    for check, (file, found) in TESTS.items() if with_tests else ():
        counts = run_tests(ROOT / "tests/end_to_end" / file)
        has_passed = counts["passed"] and not counts["failed"]
        enter(check, counts, found, [] if has_passed else [f"tests failed: pytest tests/end_to_end/{file}"])
    return {
        "started": started,
        "seconds": round(time.monotonic() - clock),
        "seconds_undisturbed": undisturbed,
        "seeds": [seed] * len(undisturbed),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "made_by": made_by,
        "checks": checks,
    }


def added(battery: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """A battery together with an earlier part of it; `UserError` where that was made on something else."""
    made_by = battery["made_by"] | {name: before["made_by"][name] for name in ("commit", "dirty")}
    if (battery["cores"], made_by) != (before["cores"], before["made_by"]):
        raise UserError("--add: the parts of a battery need the same machine and versions; choose another --out")
    if battery["made_by"]["commit"] not in str(made_by["commit"]).split(", "):
        made_by["commit"] = f"{made_by['commit']}, {battery['made_by']['commit']}"
    made_by["dirty"] = before["made_by"]["dirty"] or battery["made_by"]["dirty"]
    checks = {check["check"]: check for check in before["checks"]}
    for check in battery["checks"]:
        earlier = checks.get(check["check"], {"counts": {}, "faults": []})
        counts = Counter(earlier["counts"]) + Counter(check["counts"])
        checks[check["check"]] = check | {"counts": dict(counts), "faults": earlier["faults"] + check["faults"]}
    summed = {name: before[name] + battery[name] for name in ("seconds", "seconds_undisturbed", "seeds")}
    return before | summed | {"made_by": made_by, "checks": list(checks.values())}


def run_tests(file: Path) -> dict[str, int]:
    """How the tests of a file end: {passed, failed, skipped}."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={path}", str(file)]
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=False)
        if not path.exists():
            return {"passed": 0, "failed": 1, "skipped": 0}
        suite = ElementTree.parse(path).getroot().find("testsuite")
    failed, skipped = int(suite.get("failures")) + int(suite.get("errors")), int(suite.get("skipped"))
    return {"passed": int(suite.get("tests")) - failed - skipped, "failed": failed, "skipped": skipped}


def page(battery: Mapping[str, Any]) -> str:
    """`README.md`: the checks as a table, and where and on what they ran."""
    rows = [
        [check["check"], _told(check["counts"]), f"**{check['faults'][0]}**" if check["faults"] else check["found"]]
        for check in battery["checks"]
    ]
    table = Table("", ["What is done", "How often", "What is found"], rows, [], left=3, long_last=True)
    made_by = battery["made_by"]
    commits = [commit[:12] for commit in (made_by["commit"] or "unknown").split(", ")]
    commit = ", ".join(commits) + (", changed" if made_by["dirty"] else "")
    seconds = battery["seconds_undisturbed"]
    undisturbed = (
        f"The undisturbed sweep took {min(seconds):.0f} to {max(seconds):.0f} s; seeds of the kills: "
        f"{', '.join(map(str, battery['seeds']))}. "
        if seconds
        else ""
    )
    where = (
        f"{made_by['device']} per process, {battery['cores']} in all, {made_by['versions']['os']}, Python "
        f"{made_by['versions']['python']}, torch {made_by['versions']['torch']}; commit {commit}; "
        f"{battery['started']}, {battery['seconds'] / 60:.0f} minutes. {undisturbed}"
        "The same as JSON: [battery.json](battery.json)."
    )
    parts = ["# Reliability", "Written by `make torture`.", _filled(__doc__.split("\n\n")[2]), markdown(table)]
    return "\n\n".join([*parts, _filled(where)]) + "\n"


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none"


def _filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 0 if all checks have passed, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="of one sweep at a time (default: 100)")
    parser.add_argument("--pair-kills", type=int, default=20, help="of two sweeps at once (default: 20)")
    parser.add_argument("--seeds", type=int, default=4, help="of the sweep, six runs each (default: 4)")
    parser.add_argument("--epochs", type=int, default=30, help="of six steps, that its runs train (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of kills (default: 0)")
    parser.add_argument("--no-tests", action="store_true", help="leave out the checks that `make test` has as well")
    parser.add_argument("--add", action="store_true", help="add the counts to those that --out holds")
    parser.add_argument("--out", type=Path, default=ROOT / "results/reliability", help="default: results/reliability")
    options = parser.parse_args(arguments)
    battery = run_battery(
        options.kills,
        options.pair_kills,
        seeds=options.seeds,
        epochs=options.epochs,
        seed=options.seed,
        with_tests=not options.no_tests,
    )
    file = options.out / "battery.json"
    if options.add and file.exists():
        battery = added(battery, read_json(file))
    text = page(battery)
    write_atomically(options.out / "README.md", text.encode())
    write_json(file, battery)
    print(f"\n{text}")
    return 1 if any(check["faults"] for check in battery["checks"]) else 0


if __name__ == "__main__":
    sys.exit(main())
