"""`python -m harness.predict`: predictions of a bank's tasks, see `harness.commands.predict`."""

import sys

from harness.commands.predict import main

if __name__ == "__main__":
    sys.exit(main())
