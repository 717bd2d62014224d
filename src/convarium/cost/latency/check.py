"""Predictions held against this machine: networks that no calibration saw, in one sitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from convarium.cost.latency.accuracy import Accuracy, accuracy, by_macs, repeatability
from convarium.cost.latency.model import LatencyModel
from convarium.cost.latency.predict import predict
from convarium.cost.measured.contestants import contestants
from convarium.cost.measured.interference import Interference, Watch
from convarium.machine import Plan, answering, laps_in_turns

# Chosen beforehand: plain, residual, branched, dense, grouped, depthwise and shuffled ones, of ours
# and of torchvision. The calibration draws its shapes at random and reads none of them.
NETWORKS = (
    *("alexnet_owt", "vgg_a", "googlenet", "resnet18_b", "resnet50", "squeezenet1_1"),
    *("mobilenet_v1_100_224", "densenet121", "resnext50_32x4d", "darknet19"),
    *("torchvision:mobilenet_v2", "torchvision:shufflenet_v2_x1_0"),
)
ROUNDS = 2  # at each of the stops
STOPS = 5


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One network: milliseconds predicted, by MACs alone, and measured (best and median)."""

    name: str
    predicted_ms: float
    by_macs_ms: float
    best_ms: float
    median_ms: float


@dataclass(frozen=True, slots=True)
class Check:
    """All networks, and how good the model, MACs alone and the machine itself are.

    `repeatability` is the mean difference between the best of the odd and of the even rounds,
    `ms_per_gmac` the rate of MACs alone that suits these networks best.
    """

    rows: tuple[CheckRow, ...]
    model: Accuracy
    macs_alone: Accuracy
    repeatability: float
    ms_per_gmac: float
    rounds: int
    interference: Interference

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        return asdict(self)


class Rounds:
    """Times networks in turns, a few rounds whenever asked: spread over a calibration's minute.

    Args:
        plan: threads, layout and precision of the calibration.
        words: networks, as `convarium cost` takes them.
        tell: gets a line of progress.
    """

    def __init__(
        self,
        plan: Plan,
        words: Sequence[str] = NETWORKS,
        *,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        tell(f"building {len(words)} networks to check with")
        self._plan = plan
        self._entrants = contestants(words)
        self._laps: dict[str, list[float]] = {one.name: [] for one in self._entrants}
        self._runs = {one.name: one.forward(plan, 1) for one in self._entrants}
        self._watch = Watch(plan.threads)
        self._stops = 0

    def pause(self, share: float) -> None:
        """Some rounds at each part of the calibration; one before them makes kernels ready."""
        if share < self._stops / (STOPS - 1):
            return
        self._stops += 1
        models = [one.model for one in self._entrants]
        with self._plan.settings(), answering(*models):
            laps = laps_in_turns(
                self._runs, seconds=0, least=ROUNDS, most=ROUNDS, between=self._watch.look
            )
        for name, values in laps.items():
            self._laps[name] += values

    def against(self, model: LatencyModel) -> Check:
        """What the rounds say of the predictions at batch 1."""
        found = [predict(one.model, one.input_size, model, name=one.name) for one in self._entrants]
        told = [(one.name, one.ms, one.macs) for one in found]
        return report(told, self._laps, self._watch.verdict())


def report(
    predicted: Sequence[tuple[str, float, int]],
    laps: dict[str, list[float]],
    interference: Interference,
) -> Check:
    """Puts predictions (name, milliseconds, MACs) beside the laps in seconds of each network."""
    best = [1e3 * min(laps[name]) for name, _, _ in predicted]
    alone = by_macs([macs for _, _, macs in predicted], best)
    rows = [
        CheckRow(name, ms, by, least, 1e3 * sorted(laps[name])[len(laps[name]) // 2])
        for (name, ms, _), by, least in zip(predicted, alone, best, strict=True)
    ]
    return Check(
        rows=tuple(rows),
        model=accuracy([ms for _, ms, _ in predicted], best),
        macs_alone=accuracy(alone, best),
        ms_per_gmac=alone[0] / predicted[0][2] * 1e9,
        repeatability=repeatability(list(laps.values())),
        rounds=min(len(values) for values in laps.values()),
        interference=interference,
    )
