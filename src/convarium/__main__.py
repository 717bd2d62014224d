"""`python -m convarium` and `torchrun -m convarium`: the command line."""

import sys

from convarium.cli import main

if __name__ == "__main__":
    sys.exit(main())
