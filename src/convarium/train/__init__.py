"""The training loop. It yields events; records, progress bars and reports consume them."""

from convarium.train.checkpoint import Checkpoint, Keeper
from convarium.train.events import (
    CheckpointSaved,
    EpochDone,
    Event,
    MicroBatchHalved,
    Resumed,
    RunFinished,
    RunStarted,
    StepDone,
)
from convarium.train.loop import Training, fit
from convarium.train.probe import plan_for
from convarium.train.tally import DivergedError
from convarium.train.weights import load_own_weights, save_weights
from convarium.train.world import World

__all__ = [
    "Checkpoint",
    "CheckpointSaved",
    "DivergedError",
    "EpochDone",
    "Event",
    "Keeper",
    "MicroBatchHalved",
    "Resumed",
    "RunFinished",
    "RunStarted",
    "StepDone",
    "Training",
    "World",
    "fit",
    "load_own_weights",
    "plan_for",
    "save_weights",
]
