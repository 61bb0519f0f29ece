"""`python -m harness.describe`: what a run would read, see `harness.commands.describe`."""

import sys

from harness.commands.describe import main

if __name__ == "__main__":
    sys.exit(main())
