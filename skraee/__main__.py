"""``python -m skraee`` is the command ``skraee``."""

import sys

from skraee.cli import main

if __name__ == "__main__":
    sys.exit(main())
