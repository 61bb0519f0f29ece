"""`python -m harness.bank`: trained weights of many tasks, see `harness.commands.bank`."""

import sys

from harness.commands.bank import main

if __name__ == "__main__":
    sys.exit(main())
