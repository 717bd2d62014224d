"""The training loop. It yields events; records, progress bars and reports consume them."""

from convarium.train.events import EpochDone, Event, RunFinished, RunStarted, StepDone
from convarium.train.loop import fit
from convarium.train.probe import plan_for
from convarium.train.weights import load_own_weights, save_weights

__all__ = [
    "EpochDone",
    "Event",
    "RunFinished",
    "RunStarted",
    "StepDone",
    "fit",
    "load_own_weights",
    "plan_for",
    "save_weights",
]
