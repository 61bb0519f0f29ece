"""`python -m harness.submit`: the zip that gluebenchmark.com takes, see `harness.commands.submit`."""

import sys

from harness.commands.submit import main

if __name__ == "__main__":
    sys.exit(main())
