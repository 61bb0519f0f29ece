"""`python -m harness.run`: train a run, or with --multirun a sweep, see `harness.commands.run`."""

import sys

from harness.commands.run import main

if __name__ == "__main__":
    sys.exit(main())
