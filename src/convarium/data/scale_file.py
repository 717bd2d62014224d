"""A normalisation beside a network's weights, so that predict sees what training saw.

A mean and deviation of each channel are words in the weights' own metadata. A mean picture or a
whitening is a file beside them, whose SHA-256 the metadata has.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from convarium.data.model import PixelScale, Scale
from convarium.data.normalise import MOST_VALUES, PixelMean, Whitening
from convarium.errors import InputError
from convarium.files import shown, written_whole

SUFFIX = ".normalise"  # no ending of weights: a folder is searched for those
MOST_BYTES = 8 * MOST_VALUES**2


def beside(weights: Path) -> Path:
    """Where the normalisation of a weights file lies."""
    return weights.with_suffix(SUFFIX)


def write_scale(scale: Scale, weights: Path | None) -> dict[str, str]:
    """What the metadata of `weights` are to say of a scale; writes the file beside them.

    Raises:
        InputError: the place cannot be written to.
        ExhaustedError: the disk is full.
    """
    if isinstance(scale, PixelScale):
        return {"mean": json.dumps(scale.mean), "std": json.dumps(scale.std)}
    if isinstance(scale, PixelMean):
        kind, tensors = "pixel mean", {"mean": scale.mean}
    else:
        assert isinstance(scale, Whitening)
        kind, tensors = "gcn zca", {"mean": scale.mean, "matrix": scale.matrix}
    if weights is None:
        raise ValueError(f"{kind} needs a place beside the weights")
    data = save({key: tensor.contiguous() for key, tensor in tensors.items()})
    with written_whole(beside(weights)) as temporary:
        temporary.write_bytes(data)
    return {"normalise": kind, "normalise_sha256": hashlib.sha256(data).hexdigest()}


def read_scale(about: Mapping[str, str], weights: Path, channels: int, side: int) -> Scale:
    """The scale that the metadata of a weights file name. Both files are untrusted.

    Args:
        about: the metadata.
        weights: where they are.
        channels: of the pictures.
        side: at which pictures are decoded, or filled up to, in pixels.

    Raises:
        KeyError: the metadata lack something.
        ValueError: they hold what cannot be.
        InputError: the file beside the weights is missing, another one, or damaged.
    """
    kind = about.get("normalise", "channel")
    if kind == "channel":
        mean, std = (_numbers(about[key], channels) for key in ("mean", "std"))
        if min(std) <= 0:
            raise ValueError("have impossible scales")
        return PixelScale(mean, std)
    if kind not in ("pixel mean", "gcn zca"):
        raise ValueError(f"name the normalisation {kind[:40]!r}, which is not known")
    tensors = _tensors(beside(weights), about["normalise_sha256"])
    size = channels * side * side
    if kind == "pixel mean":
        return PixelMean(_shaped(tensors, "mean", (channels, side, side)))
    return Whitening(_shaped(tensors, "mean", (size,)), _shaped(tensors, "matrix", (size, size)))


def _tensors(path: Path, digest: str) -> dict[str, Tensor]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{shown(path)} is too large for a normalisation.")
        data = path.read_bytes()
    except OSError as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise InputError(
            f"{shown(path)} {why}: it has how pictures are normalised. Copy it beside the weights."
        ) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{shown(path)} is not the one written with the weights. Copy that one.")
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{shown(path)} is no safetensors file. Copy it anew.") from error


def _shaped(tensors: Mapping[str, Tensor], key: str, shape: tuple[int, ...]) -> Tensor:
    tensor = tensors.get(key)
    if tensor is None or tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
        raise ValueError(f"have a normalisation whose {key} is not of {shape} numbers")
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"have a normalisation whose {key} is not finite")
    return tensor


def _numbers(text: str, count: int) -> tuple[float, ...]:
    numbers = json.loads(text)
    if not isinstance(numbers, list) or len(numbers) != count:
        raise ValueError(f"must have {count} numbers where {text[:40]!r} stands")
    values = tuple(float(number) for number in numbers)
    if not all(map(math.isfinite, values)):
        raise ValueError("have numbers that are not finite")
    return values
