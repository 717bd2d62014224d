"""Checkpoints: one safetensors file and one JSON manifest each, whole on disk or not there.

The manifest is written last and names the tensors' SHA-256; it counts only when both agree.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from convarium.errors import InputError
from convarium.files import shown, system_error, written_whole
from convarium.train.signals import Stop

SCHEMA = "convarium/checkpoint/1"
STEPS, SECONDS = 50, 10.0  # a checkpoint at least every so many steps or seconds
KEPT = 2  # the newest, beside the best


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint on disk, verified when it was read."""

    path: Path  # of the manifest
    about: Mapping[str, Any]  # the manifest
    tensors: Mapping[str, Tensor]


@dataclass
class Keeper:
    """Writes a run's checkpoints to `folder`, in a thread of its own, and clears old ones up.

    `about` is what every manifest of the run says: its configuration and its exactness key.
    """

    folder: Path
    about: dict[str, Any]
    steps: int = STEPS
    seconds: float = SECONDS
    stop: Stop = field(default_factory=Stop)
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _pending: Future[None] | None = None
    _last: tuple[int, float] = (0, 0.0)

    def begin(self, step: int) -> None:
        """From here the steps and seconds to the next checkpoint count."""
        self._last = (step, time.monotonic())

    def due(self, step: int) -> bool:
        """True when it is time for a checkpoint, or a signal asks for one."""
        at, when = self._last
        late = step - at >= self.steps or time.monotonic() - when >= self.seconds
        return late or self.stop.asked is not None

    def save(self, at: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Takes a copy and writes it beside the training; an earlier write's error is raised here.

        Args:
            at: where the run stands, as JSON can hold it; "step" and "best_step" among it.
            tensors: by name; all finite, else nothing is written and the one before stays newest.

        Raises:
            ExhaustedError: the disk is full; the checkpoint before is kept.
            InputError: the folder cannot be written.
        """
        self.wait()
        self.begin(at["step"])
        floats = [t for t in tensors.values() if t.is_floating_point()]
        if not torch.stack([t.isfinite().all() for t in floats]).all():
            return
        copies = {k: t.detach().to("cpu", copy=True).contiguous() for k, t in tensors.items()}
        self._pending = self._writer.submit(self._write, dict(at), copies)

    def wait(self) -> None:
        """Until what was saved is on disk."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _write(self, at: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        place = self.folder / f"step-{at['step']:09}.safetensors"
        with written_whole(place) as temporary:
            try:
                save_file(tensors, temporary)
            except SafetensorError as error:
                raise system_error(error) from error
            digest = _sha256(temporary)
        about = {"schema": SCHEMA, **self.about, "at": at, "sha256": digest}
        with written_whole(place.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps({**about, "check": _check(about)}), encoding="utf-8")
        self._clear_up(at.get("best_step"))

    def _clear_up(self, best: int | None) -> None:
        for manifest in _manifests(self.folder)[KEPT:]:
            if best is None or manifest.stem != f"step-{best:09}":
                remove(manifest)


def remove(manifest: Path) -> None:
    """Takes one checkpoint away, the manifest first: what is left then does not count."""
    for path in (manifest, manifest.with_suffix(".safetensors")):
        path.unlink(missing_ok=True)


def newest(folder: Path, tell: Callable[[str], None], *, clear: bool = True) -> Checkpoint | None:
    """The newest checkpoint of a folder that is sound; says which are not. None without any.

    With `clear` those that are not are taken away, or they would count as the newest for ever.
    """
    for manifest in _manifests(folder):
        try:
            return read_checkpoint(manifest)
        except InputError as error:
            tell(f"{error} Taking the checkpoint before it.")
            if clear:
                remove(manifest)
    return None


def read_checkpoint(manifest: Path) -> Checkpoint:
    """The checkpoint with that manifest.

    Raises:
        InputError: it is damaged or of another version.
    """
    try:
        about = json.loads(manifest.read_text(encoding="utf-8"))
        check = about.pop("check")
        if about["schema"] != SCHEMA or check != _check(about):
            raise ValueError("its manifest is not what was written")
        place = manifest.with_suffix(".safetensors")
        if _sha256(place) != about["sha256"]:
            raise ValueError("its tensors are not what was written")
        return Checkpoint(manifest, about, load_file(place))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"checkpoint {shown(manifest)} is damaged ({reason}).") from error


def manifests_config(folder: Path) -> str | None:
    """The configuration that the newest manifest of a folder names, read or not."""
    for manifest in _manifests(folder):
        try:
            return str(json.loads(manifest.read_text(encoding="utf-8"))["config"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def discard(folder: Path) -> None:
    """Takes all checkpoints of a folder away."""
    for manifest in _manifests(folder):
        remove(manifest)


def _manifests(folder: Path) -> list[Path]:
    """The newest first."""
    return sorted(folder.glob("step-*.json"), reverse=True)


def _check(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
