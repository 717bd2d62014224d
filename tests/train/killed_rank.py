"""`python -m train.killed_rank VERB ...`: the command line on few digits, for torchrun.

Rank 1 kills itself at step 8 of its first start.
"""

import os
import signal
import sys

from bakeoff.conftest import few_digits
from convarium.bakeoff import single
from convarium.cli import main
from train.ranks import signal_at

if __name__ == "__main__":
    single.load_dataset = few_digits
    if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        signal_at(signal.SIGKILL, 8)
    sys.exit(main())
