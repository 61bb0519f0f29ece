"""Run the sweeps of one experiment, one after the other, then make its tables and figures.

python scripts/reproduce.py --scale quick --results results/quick -- train.seed=0,1,2
python scripts/reproduce.py --experiment tradeoff --scale cpu --results results/tradeoff-cpu
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from harness.commands import report, run
from harness.config import conf_folder
from harness.data.sources import NoData, resolve
from harness.errors import UserError
from harness.sweeps.overrides import as_overrides

# The scales of `make reproduce-glue`, whose sweeps are in conf/experiment/<scale>/.
GLUE = {
    "quick": "eight tasks with limited rows and a small grid, for any machine: not the paper's protocol",
    "minilm": "complete GLUE on MiniLM, holdout protocol, three seeds, for one GPU",
    "base": "complete GLUE on BERT-base, adapters, LoRA and full fine-tuning, three seeds, for one GPU",
    "paper": "BERT-large with the paper's full grid, from the hub: about 880 runs, days on one GPU",
}
ASKS = ("base",)  # scales that show their plan first, and ask where somebody can answer
SCALES = {
    "quick": "300 training rows of two tasks, for any machine: shows that the experiment works, no more",
    "cpu": "at most 2,000 training rows, one seed",
    "minilm": "complete data on MiniLM with three seeds, for one GPU",
}
# The paper's scale has grids of its own for BERT-large, in conf/experiment/squad/paper/.
SQUAD = {
    "quick": "300 training questions, for any machine: shows that the experiment works, no more",
    "cpu": "5,000 training and 2,000 validation questions, one seed: a night on two CPU cores",
    "minilm": "complete data on MiniLM with three seeds, for one GPU",
    "paper": "BERT-large with the paper's full grid and three seeds, from the hub: days on one GPU",
}
METHODS = SCALES | {
    "cpu": "1,000 training rows (CoLA: 2,000), three seeds: an hour and a half or more on two CPU cores",
}
ROBUSTNESS = SCALES | {"cpu": "at most 2,000 training rows, three seeds"}
FURTHER_TASKS = {
    "quick": "300 training rows of two tasks, for any machine: shows that the experiment works, no more",
    "cpu": "at most 2,000 training rows of five tasks, one seed",
    "minilm": "all seventeen tasks on MiniLM with three seeds, for one GPU",
    "paper": "BERT-base with the paper's full grid, from the hub: about 3,000 runs, weeks on one GPU",
}
EXPERIMENTS = {
    "glue": GLUE,
    "squad": SQUAD,
    "methods": METHODS,
    "further_tasks": FURTHER_TASKS,
    "robustness": ROBUSTNESS,
} | dict.fromkeys(("tradeoff", "ablation", "init_scale"), SCALES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", choices=list(EXPERIMENTS), default="glue", help="what to run (default: glue)")
    scale_help = "how much data, how many runs (default: quick)"
    parser.add_argument("--scale", choices=sorted({*GLUE, *SCALES}), default="quick", help=scale_help)
    parser.add_argument("--results", required=True, help="results folder; finished runs in it are kept")
    model_help = "the encoder: an option of conf/model, a folder or a hub id (default: that of the scale)"
    parser.add_argument("--model", metavar="NAME", help=model_help)
    parser.add_argument("--yes", action="store_true", help="do not ask before a scale for hours")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra overrides for every sweep")
    arguments = parser.parse_args()
    scales = EXPERIMENTS[arguments.experiment]
    if arguments.scale not in scales:
        parser.error(f"--scale {arguments.scale}: {arguments.experiment} has the scales {', '.join(scales)}")
    started = time.perf_counter()
    print(f"{arguments.experiment}, scale {arguments.scale}: {scales[arguments.scale]}", flush=True)
    try:
        data = fallback(arguments.experiment, arguments.scale, arguments.overrides)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    shared = [*data, *encoder(arguments.model), f"results_dir={arguments.results}", *arguments.overrides]
    commands = [[*sweep, *shared] for sweep in sweeps(arguments.experiment, arguments.scale)]
    if arguments.scale in ASKS:
        try:
            goes_on = confirmed(commands, ask=not arguments.yes)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        if not goes_on:
            return 0
    status = 0
    for command in commands:
        print(f"\n== {command[0]} ==", flush=True)
        code = run.main(command)  # in this process: a second start would take eight seconds
        if code not in (0, 1):  # 1: some runs failed, which the table shows
            return code
        status = max(status, code)
    print(flush=True)
    options = ["--paper"] if arguments.experiment == "further_tasks" else []
    code = report.main([arguments.results, *options])
    print(f"\n{time.perf_counter() - started:.0f} s in total")
    return code or status


def fallback(experiment: str, scale: str, overrides: Sequence[str]) -> list[str]:
    """`data=synthetic` for the first table of a machine without GLUE; says so. Anything else needs real data."""
    if (experiment, scale) != ("glue", "quick") or any(
        item.startswith(("data=", "data.source=")) for item in overrides
    ):
        return []
    try:
        resolve(source="auto")
    except NoData as error:
        print(f"{error.why}: the synthetic suite is used, which is not GLUE", flush=True)
        return ["data=synthetic"]
    return []


def encoder(name: str | None) -> list[str]:
    """The overrides for an encoder: an option of the group `model`, a folder, or an id on the hub."""
    if not name:
        return []
    if (conf_folder() / "model" / f"{name}.yaml").is_file():
        return [f"model={name}"]
    return ["model=local", *as_overrides({"model__name": name})]


def confirmed(commands: Sequence[Sequence[str]], *, ask: bool) -> bool:
    """Print the plan of all commands; whether to go on: on a terminal the answer to a question, if there are runs to
    do.
    """
    outlook = run.plan(commands, "plan, with the pace of a few steps measured now:")
    print(f"\n{outlook.runs} runs to do, about {outlook.seconds / 3600:.1f} hours on this machine", flush=True)
    if not (ask and outlook.runs and sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    try:
        if input("Start them? [y/N] ").strip().lower() in ("y", "yes"):
            return True
    except (EOFError, KeyboardInterrupt):
        print()
    print("nothing was trained; YES=1 starts without a question")
    return False


def sweeps(experiment: str, scale: str) -> list[list[str]]:
    """The config groups of each sweep; full fine-tuning comes first, because the others are compared with it."""
    folder, options = (scale, []) if experiment == "glue" else (experiment, [f"scale={scale}"])
    if (experiment, scale) == ("squad", "paper"):
        folder, options = "squad/paper", []
    names = sorted(path.stem for path in (conf_folder() / "experiment" / folder).glob("*.yaml"))
    names.sort(key=lambda name: not name.startswith("full"))
    return [[f"experiment={folder}/{name}", *options] for name in names]


if __name__ == "__main__":
    sys.exit(main())
