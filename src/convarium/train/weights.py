"""Weights in convarium's own files: safetensors, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from convarium.errors import InputError, times
from convarium.files import system_error, written_whole


def save_weights(
    model: nn.Module, path: str | os.PathLike[str], about: Mapping[str, str] | None = None
) -> None:
    """Writes parameters and buffers to a safetensors file, which appears only when complete.

    `about` goes into the file's metadata, such as the network's name and classes.

    Raises:
        InputError: the place cannot be written to.
        ExhaustedError: the disk is full.
    """
    # Cloned, since two names of one tensor may not go into one file.
    tensors = {name: t.detach().cpu().clone().contiguous() for name, t in _state(model).items()}
    metadata = {"format": "pt", "schema": "convarium/1", **(about or {})}
    with written_whole(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
            _sort_metadata(temporary)
        except SafetensorError as error:
            raise system_error(error) from error


def _sort_metadata(path: Path) -> None:
    """The metadata of a safetensors file in alphabetical order: it comes in another each time."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))


def load_own_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Fills `model` from a file of `save_weights`; a file that does not fit changes nothing.

    Raises:
        InputError: no safetensors file, or another network's; names the first key that is
            missing, too many, or of another shape or type.
    """
    path = Path(path)
    check_fits(model, path)
    wanted = _state(model)
    with _opened(path) as file:
        tensors = {key: file.get_tensor(key) for key in wanted}
    for key, tensor in tensors.items():
        _check_values(path, key, tensor, wanted[key])
    with torch.no_grad():
        for key, tensor in tensors.items():
            wanted[key].copy_(tensor)


def check_fits(model: nn.Module, path: Path) -> None:
    """Nothing where a file has a tensor of each name and shape of `model`, which may be on "meta".

    Raises:
        InputError: as `load_own_weights`, of names and shapes alone.
    """
    wanted = {key: tuple(t.shape) for key, t in _state(model).items()}
    with _opened(path) as file:
        given = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - no dict
        _check_keys(path, wanted, {key: tuple(part.get_shape()) for key, part in given.items()})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, open; what is wrong with it becomes a sentence that names it."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {_first_line(error)}.") from error


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers, sharing the model's memory."""
    return dict(model.state_dict())


def _check_keys(
    path: Path, wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]
) -> None:
    for key, shape in wanted.items():
        if key not in given:
            raise InputError(f"{path} lacks {key}; these are another network's weights.")
        if given[key] != shape:
            ours, theirs = times(shape), times(given[key])
            raise InputError(f"{path}: {key} is {theirs}, the network has {ours}.")
    for key in given:
        if key not in wanted:
            raise InputError(f"{path} has {key}, which the network lacks.")


def _check_values(path: Path, key: str, given: Tensor, wanted: Tensor) -> None:
    if given.dtype != wanted.dtype:
        raise InputError(f"{path}: {key} is {given.dtype}, the network has {wanted.dtype}.")
    if given.is_floating_point() and not given.isfinite().all():
        raise InputError(f"{path}: {key} holds values that are no finite numbers.")


def _first_line(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
