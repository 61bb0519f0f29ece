"""What `make reproduce-glue` does: the sweeps of one scale, then the tables.

python scripts/reproduce.py --scale quick --results results/quick -- train.seed=0,1,2
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

METHODS = ("full", "adapter")
SCALES = {
    "quick": "all eight tasks with limited rows and a small grid, for any machine: not the paper's protocol",
    "minilm": "complete GLUE on MiniLM with three seeds, for one GPU",
    "paper": "BERT-large with the paper's full grid, from the hub: about 880 runs, days on one GPU",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="quick")
    parser.add_argument("--results", default="results/quick", help="results folder; finished runs in it are kept")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra overrides for every sweep")
    arguments = parser.parse_args()
    started = time.perf_counter()
    print(f"scale {arguments.scale}: {SCALES[arguments.scale]}", flush=True)
    status = 0
    for method in METHODS:
        print(f"\n== {method} ==", flush=True)
        sweep = [f"experiment={arguments.scale}/{method}", f"results_dir={arguments.results}", *arguments.overrides]
        code = subprocess.run([sys.executable, "-m", "harness.run", *sweep]).returncode
        if code not in (0, 1):  # 1: some runs failed, which the table shows
            return code
        status = max(status, code)
    print(flush=True)
    code = subprocess.run([sys.executable, "-m", "harness.report", arguments.results]).returncode
    print(f"\n{time.perf_counter() - started:.0f} s in all")
    return code or status


if __name__ == "__main__":
    sys.exit(main())
