"""Trained networks on disk: what a weights file says of itself, and where a run left its own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from convarium import catalog
from convarium.bakeoff.folder import LOG, WEIGHTS, weights_path
from convarium.data import Dataset, InputForm
from convarium.data.packed.fit import LEAST
from convarium.data.scale_file import read_scale, write_scale
from convarium.errors import ConvariumError, InputError, UsageError
from convarium.facts import model_facts
from convarium.files import expanded, home, shown
from convarium.nets.build import build
from convarium.records import read_events
from convarium.train import load_own_weights
from convarium.train.weights import check_fits

MOST_CLASSES = 100_000
MOST_OPTIONS, MOST_NUMBER, MOST_WORDS = 16, 2000, 100
Option = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with its weights file, its classes, and how a picture is handed to it."""

    network: str
    weights: Path
    classes: tuple[str, ...]
    form: InputForm
    options: Mapping[str, Option] = field(default_factory=dict)  # of the network's builder

    def load(self) -> nn.Module:
        """The network with these weights.

        Raises:
            InputError: the weights are not this network's.
        """
        sizes = {"num_classes": len(self.classes), "in_channels": self.form.channels}
        model = built_as_trained(self.network, self.weights, self.options, **sizes)
        load_own_weights(model, self.weights)
        return model


def built_as_trained(
    network: str, weights: Path, options: Mapping[str, Option], **sizes: int
) -> nn.Module:
    """The network that `weights` are of, with its first values.

    Options that the file names are tried without memory first: a network that is larger than the
    file is never built.

    Raises:
        InputError: a network of these options takes other weights, or no network comes of them.
    """
    if options:
        try:
            with torch.device("meta"):
                check_fits(build(network, options=options, **sizes), weights)
        except (UsageError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise InputError(f"{shown(weights)}: no {network} has its options: {error}") from error
    return build(network, options=options, **sizes)


def options_of(weights: Path) -> dict[str, Option]:
    """The builder's options that a weights file names; none where it names none or is another's.

    Raises:
        InputError: its options are no plain values.
    """
    try:
        with safe_open(weights, framework="pt") as file:
            return _options(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}  # whoever loads the weights says it better
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown(weights)}: its metadata {error}. Give other weights.") from error


def about_weights(
    network: str,
    dataset: Dataset,
    weights: Path | None = None,
    *,
    options: Mapping[str, Option] | None = None,
) -> dict[str, str]:
    """What a weights file says of itself, so that it can be used without its race.

    A normalisation that is more than a few numbers goes into a file beside `weights`; the
    builder's `options` are named where there are any.
    """
    form = InputForm.of(dataset)
    named = {"options": json.dumps(dict(options), sort_keys=True)} if options else {}
    return {
        "network": network,
        **named,
        "classes": json.dumps(dataset.classes, ensure_ascii=False),
        "side": str(form.side),
        "decode_side": str(form.decode_side),
        "channels": str(form.channels),
        **write_scale(form.scale, weights),
        "data": dataset.name,
    }


def read_trained(weights: Path) -> Trained:
    """What `weights` says of itself. The file is untrusted: everything is checked.

    Raises:
        InputError: no safetensors file, or one that does not say what it needs.
    """
    try:
        with safe_open(weights, framework="pt") as file:
            about = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{shown(weights)} cannot be read as safetensors: {error}. "
            "Give a run's folder, or weights that bakeoff or train wrote."
        ) from error
    try:
        return _trained(weights, about)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError, ConvariumError) as error:
        says = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{shown(weights)}: its metadata {says}. Give weights that bakeoff or train wrote."
        ) from error


def scaled_as(dataset: Dataset, weights: Path) -> Dataset:
    """The data set, normalised as `weights` say that their training was, where they say it.

    Raises:
        InputError: as `read_trained`, of the normalisation alone.
    """
    try:
        with safe_open(weights, framework="pt") as file:
            about = file.metadata() or {}
    except (OSError, SafetensorError):
        return dataset  # whoever loads the weights says it better
    if not {"normalise", "mean", "std"} & set(about):
        return dataset
    side = dataset.train.images([0]).shape[-1]
    try:
        scale = read_scale(about, weights, dataset.channels, side)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{shown(weights)}: its metadata {error}. Give other weights.") from error
    return replace(dataset, scale=scale)


def find_trained(run: str, network: str | None = None) -> Trained:
    """The trained network of a run: a folder, a record's id, or a weights file.

    Of several networks in a folder, the most accurate, of equal ones the faster; or `network`.

    Raises:
        InputError: there is no such run, or nothing trained in it.
        UsageError: the run has no network of that name.
    """
    place = expanded(run)
    if place.is_file():
        return read_trained(place)
    folder = place if place.is_dir() else _folder_of_record(run)
    found = _weights_in(folder)
    if not found:
        raise InputError(f"{shown(folder)} holds no trained network. Race or train there first.")
    if network is not None:
        name = catalog.find(network).name
        if name not in found:
            raise UsageError(f"{shown(folder)} has no {name}, only {', '.join(found)}.")
        return found[name]
    return max(found.values(), key=_merit(folder))


def _folder_of_record(run: str) -> Path:
    """Where the run with that record lies. Its log is asked: it is there when no database is."""
    logs = home() / "runs"
    is_id = run.replace("-", "").isalnum()
    for event in read_events(logs / f"{run}.jsonl") if is_id else ():
        out = event.get("folder")
        if isinstance(out, str):
            if Path(out).is_dir():
                return Path(out)
            raise InputError(f"the folder of record {run} is gone: {shown(out)}.")
    raise InputError(
        f"no run folder, record or weights file is named {run!r}. convarium compare lists records."
    )


def _weights_in(folder: Path) -> dict[str, Trained]:
    files = [*sorted(weights_path(folder, "x").parent.glob("*.safetensors")), folder / WEIGHTS]
    read = [read_trained(path) for path in files if path.is_file()]
    return {trained.network: trained for trained in read}


def _merit(folder: Path) -> Any:
    """Accuracy, then speed, as the folder's log has them; what it does not know comes last."""
    results = {
        event["result"].get("model"): event["result"]
        for event in read_events(folder / LOG)
        if isinstance(event.get("result"), dict)
    }

    def merit(trained: Trained) -> tuple[float, float]:
        result = results.get(trained.network, {})
        right, total, ms = (result.get(key) for key in ("top1_correct", "top1_total", "ms_batch1"))
        return (right / total if right and total else 0.0, -(ms or math.inf))

    return merit


def _trained(weights: Path, about: Mapping[str, str]) -> Trained:
    network = catalog.find(about["network"])
    classes = json.loads(about["classes"])
    if not isinstance(classes, list) or not 1 <= len(classes) <= MOST_CLASSES:
        raise ValueError(f"must have 1 to {MOST_CLASSES:,} classes")
    if network.task != "classification" or not all(isinstance(name, str) for name in classes):
        raise ValueError("are those of no classification")
    side, decode_side, channels = (int(about[key]) for key in ("side", "decode_side", "channels"))
    if side != model_facts(network.name).input[1] or not LEAST * side <= decode_side <= 2 * side:
        raise ValueError(f"have a side of {side}, decoded at {decode_side}, not the network's")
    if channels not in (1, 3):
        raise ValueError("have impossible channels")
    scale = read_scale(about, weights, channels, max(side, decode_side))
    form = InputForm(side, decode_side, channels, scale)
    return Trained(network.name, weights, tuple(classes), form, _options(about))


def _options(about: Mapping[str, str]) -> dict[str, Option]:
    """Of the builder, as the file has them: a few plain values of modest size."""
    told = json.loads(about.get("options", "{}"))
    if not isinstance(told, dict) or len(told) > MOST_OPTIONS:
        raise ValueError(f"has options that are no table of at most {MOST_OPTIONS}")
    for name, value in told.items():
        number = isinstance(value, (int, float)) and abs(value) <= MOST_NUMBER
        text = isinstance(value, str) and len(value) <= MOST_WORDS
        if not (number or text or value is None):  # true and false are numbers, too
            raise ValueError(f"has an option {name[:MOST_WORDS]!r} that is no plain value")
    return told
