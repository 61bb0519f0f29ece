"""`python -m harness.report`: tables and figures of a results folder, see `harness.commands.report`."""

import sys

from harness.commands.report import main

if __name__ == "__main__":
    sys.exit(main())
