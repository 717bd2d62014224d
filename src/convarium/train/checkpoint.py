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

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from convarium.errors import InputError
from convarium.files import shown, system_error, written_whole
from convarium.train.signals import Stop

SCHEMA = "convarium/checkpoint/1"
STEPS, SECONDS = 50, 10.0  # a checkpoint at least every so many steps or seconds
KEPT = 2  # the newest, beside the best
# What reading files that are not as they were written raises.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError)


class DamagedError(InputError):
    """A checkpoint whose files are not what was written."""


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
    kept: int = 0  # the step behind which the newest checkpoint was taken; 0 without any
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _pending: Future[None] | None = None
    _last: tuple[int, float] = (0, 0.0)

    def begin(self, step: int) -> None:
        """From here the steps and seconds to the next checkpoint count; `step` is kept, or 0."""
        self.kept = step
        self._last = (step, time.monotonic())

    def due(self, step: int) -> bool:
        """True when it is time for a checkpoint, or a signal asks for one."""
        at, when = self._last
        late = step - at >= self.steps or time.monotonic() - when >= self.seconds
        return late or self.stop.asked is not None

    def save(self, at: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
        """Takes a copy and writes it beside the training; an earlier write's error is raised here.

        Args:
            at: where the run stands, as JSON can hold it; "step" and "best_step" among it.
            tensors: by name; all finite, else nothing is written and the one before stays newest.

        Returns:
            The step of the newest checkpoint: this one, or that before; 0 without any.

        Raises:
            ExhaustedError: the disk is full; the checkpoint before is kept.
            InputError: the folder cannot be written.
        """
        self.wait()
        before = self.kept
        self.begin(at["step"])
        copies = {k: t.detach().to("cpu", copy=True).contiguous() for k, t in tensors.items()}
        if not all(t.isfinite().all() for t in copies.values() if t.is_floating_point()):
            self.kept = before
            return before
        self._pending = self._writer.submit(self._write, dict(at), copies)
        return self.kept

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
            digest = sha256_of(temporary)
        about = {"schema": SCHEMA, **self.about, "at": at, "sha256": digest}
        with written_whole(place.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps({**about, "check": _check(about)}), encoding="utf-8")
        self._clear_up(at.get("best_step"))

    def _clear_up(self, best: int | None) -> None:
        for manifest in _manifests(self.folder)[KEPT:]:
            if best is None or manifest.stem != f"step-{best:09}":
                remove(manifest)
        for tensors in self.folder.glob("step-*.safetensors"):
            if not tensors.with_suffix(".json").exists():  # a kill came between the two
                tensors.unlink(missing_ok=True)


def remove(manifest: Path) -> None:
    """Takes one checkpoint away, the manifest first: what is left then does not count."""
    for path in (manifest, manifest.with_suffix(".safetensors")):
        path.unlink(missing_ok=True)


def newest(folder: Path, tell: Callable[[str], None], *, clear: bool = True) -> Checkpoint | None:
    """The newest checkpoint of a folder that is sound; says which are not. None without any.

    With `clear` those that are not are taken away, or they would count as the newest for ever.

    Raises:
        InputError: the newest that is not damaged cannot be read just now.
    """
    for manifest in _manifests(folder):
        try:
            return read_checkpoint(manifest)
        except DamagedError as error:
            tell(f"{error} Taking the checkpoint before it.")
            if clear:
                remove(manifest)
    return None


def read_checkpoint(manifest: Path) -> Checkpoint:
    """The checkpoint with that manifest.

    Raises:
        DamagedError: it is not what was written.
        InputError: it cannot be read just now and may be sound, or is of another version.
    """
    try:
        about = _manifest(manifest)
        place = manifest.with_suffix(".safetensors")
        if sha256_of(place) != about["sha256"]:
            raise ValueError("its tensors are not what was written")
        if about["schema"] != SCHEMA:
            raise InputError(
                f"checkpoint {shown(manifest)} is of another version ({about['schema']}). "
                "Go on with that version, or start over with --resume never."
            )
        return Checkpoint(manifest, about, _loaded(place))
    except FileNotFoundError as error:
        raise _damaged(manifest, "its tensors are gone") from error
    except _DAMAGE as error:
        raise _damaged(manifest, error) from error
    except OSError as error:  # no rights, a failing disk, too many open files: not its fault
        raise InputError(
            f"checkpoint {shown(manifest)} cannot be read: {error.strerror or error}. It is left "
            "as it is: mend that and give the same command, or start over with --resume never."
        ) from error


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


def _manifest(path: Path) -> dict[str, Any]:
    """What a manifest says, if it is what was written.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, RecursionError: it is not.
        OSError: it cannot be read.
    """
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if about.pop("check") != _check(about):
        raise ValueError("its manifest is not what was written")
    return about


def _loaded(place: Path) -> dict[str, Tensor]:
    """The tensors of a file that was there a moment ago.

    Raises:
        OSError: it cannot be opened or mapped.
        SafetensorError: it is no safetensors file.
    """
    try:
        return load_file(place)
    except FileNotFoundError as error:  # which safetensors says of any file that does not open
        with place.open("rb"):
            raise OSError(f"it does not open ({error})") from error
    except RuntimeError as error:  # torch's word for a file that cannot be mapped
        raise OSError(str(error)) from error


def _damaged(manifest: Path, reason: object) -> DamagedError:
    return DamagedError(f"checkpoint {shown(manifest)} is damaged ({reason}).")


def _check(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
