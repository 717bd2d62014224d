"""The latency model calibrated and held against 12 networks that it never saw, in one sitting.

python benchmarks/latency.py [--threads 2] [--seconds 45]

Prints the error of each network against the best of ten interleaved rounds, the mean, Kendall's
tau (pairs closer than 10 % are ties), MACs alone at the rate that suits these networks best, and
how far the machine is from itself. Then, for two networks, what the operators' times add up to.
"""

from __future__ import annotations

import argparse
import os
import tempfile

from convarium.cli.bench_text import check_text, errors_text
from convarium.cost.latency.calibrate import SECONDS
from convarium.cost.latency.sitting import sit
from convarium.cost.measured.contestants import contestants
from convarium.cost.measured.operators import time_operators
from convarium.machine import Plan, answering
from convarium.machine.describe import available_cores

OPERATORS_OF = ("resnet50", "squeezenet1_1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    plan = Plan(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CONVARIUM_HOME"] = folder  # the user's own calibration stays as it is
        found = sit(plan, with_check=True, seconds=given.seconds, tell=print)
    print(errors_text(found))
    assert found.reached is not None
    print(check_text(found.reached))
    entrants = contestants(OPERATORS_OF)
    with plan.settings(), answering(*(one.model for one in entrants)):
        for one in entrants:
            times = time_operators(one.model, one.forward(plan, 1), passes=9)
            print(
                f"{one.name}: operators {times.ms_sum:.2f} ms of {times.ms_wall:.2f} ms "
                f"({100 * times.share:.1f} %)"
            )


if __name__ == "__main__":
    main()
