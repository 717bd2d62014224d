"""One network of a race: built for the data, trained, evaluated; its result without its speed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from convarium import __version__
from convarium.bakeoff.settings import Settings
from convarium.bakeoff.trained import about_weights
from convarium.cost.report import cost_of
from convarium.data import Dataset, Split, normalised
from convarium.evaluate import Evaluation, evaluate
from convarium.facts import model_facts
from convarium.machine import PeakMemory, Plan, give_back
from convarium.machine.describe import available_cores
from convarium.nets.build import build
from convarium.recipes import Recipe, find_recipe
from convarium.records.model import EpochPoint, Mistake, Result
from convarium.train import (
    EpochDone,
    Event,
    RunFinished,
    Training,
    World,
    plan_for,
    save_weights,
)

WORST = 12  # mistakes kept as pictures
THUMBNAIL = 96  # longest side of such a picture, in pixels
SPEED = ("ms_batch1", "ms_batch1_spread", "images_per_second", "images_per_second_spread")
NOT_TIMED = "not available: the race was stopped before the timing"
Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Entrant:
    """A network, its data at the side it takes, and how it is to train."""

    name: str
    dataset: Dataset
    recipe: Recipe
    settings: Settings
    begins_with: str | None = None  # SHA-256 of the weights file that the training starts from

    @property
    def key(self) -> str:
        """What makes two runs the same: network, data, recipe, seed, options, versions."""
        s = self.settings
        recipe = {k: v for k, v in self.recipe.to_dict().items() if k != "sources"}
        told = {
            "model": self.name,
            "data": self.dataset.fingerprint,
            "side": self.dataset.side,
            "channels": self.dataset.channels,
            "recipe": recipe,
            "seed": s.seed,
            "asked": [s.epochs, s.minutes, s.precision, s.layout, s.threads, s.device],
            "versions": [__version__, torch.__version__],
        }
        return _hash(told)

    @property
    def config(self) -> str:
        """What a checkpoint must share to be gone on from: all of `key` but how it is computed."""
        s = self.settings
        recipe = {k: v for k, v in self.recipe.to_dict().items() if k not in ("sources", "name")}
        data = [self.dataset.fingerprint, self.dataset.side, self.dataset.channels]
        told = [self.name, data, recipe, s.seed, s.epochs, s.minutes]
        return _hash(told if self.begins_with is None else [*told, self.begins_with])

    @property
    def work(self) -> float:
        """Multiply-adds of the whole training; the same for all where minutes are set."""
        if self.settings.minutes:
            return 1.0
        batches = len(self.dataset.train) / self.recipe.batch
        epochs = self.settings.epochs or self.recipe.length(batches).epochs
        return float(self.cost()[1]) * len(self.dataset.train) * epochs

    @property
    def epochs(self) -> int | None:
        """Of its training; None where minutes, or the recipe's iterations, set its length."""
        return None if self.settings.minutes else self.settings.epochs or self.recipe.epochs

    def cost(self) -> tuple[int, int]:
        """Parameters and MACs as built for this data."""
        with torch.device("meta"):
            model = self._build()
        size = (self.dataset.channels, self.dataset.side, self.dataset.side)
        report = cost_of(model, size, name=self.name)
        return report.params, report.macs

    def model(self) -> nn.Module:
        """The network with the initial values that the seed draws."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            return self._build()

    def plan(self, model: nn.Module, world: World | None = None) -> Plan:
        """How to run it: as the user says, else as the speed probe found.

        The processes of a `world` that are on one machine divide its cores among them.
        """
        s, threads = self.settings, self.settings.threads
        if world is not None and world.size > 1:
            threads = threads or max(1, available_cores() // world.local_size)
        fixed: dict[str, Any] = {"threads": threads, "layout": s.layout}
        fixed |= {"precision": s.precision, "device": s.device}
        plan = plan_for(self.name, model, self.dataset, self.recipe, **fixed)
        return replace(plan, micro_batch=s.micro_batch)

    def training(self, model: nn.Module, plan: Plan) -> Training:
        """How `model` is to be trained; checkpoints are the caller's to add."""
        s = self.settings
        return Training(model, self.dataset, self.recipe, s.seed, plan, s.epochs, s.minutes)

    def run(self, training: Training, weights: Path, listen: Listener) -> Result:
        """Trains and evaluates, saves the weights, and gives the result without speed."""
        plan = training.plan
        give_back()  # what an earlier network left would hide what this one needs
        with PeakMemory(device=plan.device) as peak:
            for event in training.events():
                listen(event)
                if isinstance(event, RunFinished):
                    finished = event
        model = training.model
        told = evaluate(model, self.dataset.test, prepare=self.dataset.prepare, plan=plan)
        about = about_weights(self.name, self.dataset, weights, options=self.recipe.options)
        save_weights(model, weights, about)
        measured: dict[str, Any] = {
            "epochs": finished.epochs,
            "train_seconds": finished.seconds,
            "megabytes": _megabytes(model),
            "peak_bytes": peak.bytes,
            "curve": tuple(map(_point, training.at.curve)),
            "plan": plan.to_dict(),
            "tested_epoch": finished.tested_epoch,
        }
        unavailable = dict.fromkeys((*SPEED, "joules_per_image"), NOT_TIMED)
        if peak.bytes is None:
            unavailable["peak_bytes"] = f"not available: {peak.reason}"
        return Result(**measured, **_scores(told, self.dataset.test), **_told(self, unavailable))

    def _build(self) -> nn.Module:
        return build(
            self.name,
            num_classes=len(self.dataset.classes),
            in_channels=self.dataset.channels,
            options=self.recipe.options,
        )


def entrant(name: str, dataset: Dataset, settings: Settings) -> Entrant:
    """The network `name` with the recipe that the settings ask for, for this kind of data."""
    asked, size = (settings.recipe, settings.overrides), len(dataset.train)
    recipe = find_recipe(name, dataset.kind, *asked, train_size=size)
    return Entrant(name, normalised(dataset, recipe), recipe, settings)


def native_side(name: str) -> int:
    """Height in pixels of the pictures that a network takes."""
    return model_facts(name).input[1]


def failed(name: str, settings: Settings, reason: str) -> Result:
    """The result of a network that could not take part: nothing was measured."""
    empty: dict[str, Any] = dict.fromkeys(Result.__dataclass_fields__)
    measured = [field for field in empty if field not in _TOLD]
    told = {"model": name, "status": "failed", "seed": settings.seed, "recipe": {}, "plan": {}}
    nothing: dict[str, Any] = {"confusion": (), "curve": (), "mistakes": ()}
    return Result(**{**empty, **told, **nothing, "unavailable": dict.fromkeys(measured, reason)})


_TOLD = ("model", "status", "seed", "recipe", "plan", "unavailable")


def _scores(told: Evaluation, split: Split) -> dict[str, Any]:
    """The fields of a result that come from the test pictures."""
    low, high = told.top1_interval
    return {
        "top1_correct": told.top1_correct,
        "top1_total": told.total,
        "top1_low": low,
        "top1_high": high,
        "top5_correct": told.top5_correct,
        "confusion": told.confusion,
        "mistakes": tuple(_mistakes(told, split)),
    }


def _told(one: Entrant, unavailable: dict[str, str]) -> dict[str, Any]:
    """The fields that are known without training, and those that are not had yet."""
    params, macs = one.cost()
    return {
        "model": one.name,
        "status": "done",
        "seed": one.settings.seed,
        "params": params,
        "macs": macs,
        "recipe": one.recipe.to_dict(),
        **dict.fromkeys((*SPEED, "joules_per_image")),
        "unavailable": unavailable,
    }


def _point(epoch: EpochDone) -> EpochPoint:
    return EpochPoint(
        epoch.epoch,
        epoch.loss,
        epoch.train_top1,
        epoch.seconds,
        epoch.error,
        epoch.lr,
        epoch.grad_norms,
    )


def _hash(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _megabytes(model: nn.Module) -> float:
    return sum(t.nbytes for t in model.state_dict().values()) / 1e6


def _mistakes(told: Evaluation, split: Split) -> Iterator[Mistake]:
    for wrong in told.mistakes[:WORST]:
        address = _address(split.picture(wrong.index))
        yield Mistake(wrong.index, wrong.truth, wrong.predicted, wrong.probability, address)


def _address(picture: Image.Image) -> str:
    """The picture as a data address, made small."""
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
