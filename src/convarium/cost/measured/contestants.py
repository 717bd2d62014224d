"""Who is timed: networks with values, their equals elsewhere, their pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from convarium.cost.sources import Source, distinct, find
from convarium.errors import (
    ConvariumError,
    ExhaustedError,
    InputError,
    UsageError,
    is_out_of_memory,
    said,
    times,
    unknown_name,
)
from convarium.facts import model_facts
from convarium.machine import Plan, answering
from convarium.trace.attempts import picture_kind

LIBRARIES = ("torchvision", "timm")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A network to time. `base` is the contestant whose time its own is held against.

    `kind` is the type of the values it takes: whole numbers where it looks words up.
    """

    name: str
    model: nn.Module
    input_size: tuple[int, ...]
    base: str
    kind: torch.dtype = torch.float32

    def forward(self, plan: Plan, batch: int) -> Callable[[], object]:
        """One pass over `batch` random pictures, to its end; input and output stay there.

        Raises:
            UsageError: channels last, and what it takes is no picture.
            InputError: from the pass, where the network's own code fails.
        """
        if plan.layout == "channels_last" and len(self.input_size) != 3:
            raise UsageError(
                f"{self.name} takes {times(self.input_size)}, no picture of CxHxW: "
                "--layout channels_last is not for it."
            )
        images = plan.move(torch.rand(batch, *self.input_size).to(self.kind))
        plan.place(self.model)

        def run() -> Tensor:
            try:
                with torch.inference_mode(), plan.autocast():
                    out: Tensor = self.model(images)
                plan.wait()
            except Exception as error:
                if is_out_of_memory(error) or isinstance(error, ConvariumError):
                    raise
                shape = times((batch, *self.input_size))
                words = f"{self.name} cannot take pictures of {shape}: {said(error)}"
                raise InputError(words) from error
            return out

        return run


def contestants(
    words: Sequence[str],
    *,
    against: Sequence[str] = (),
    input_size: tuple[int, ...] | None = None,
    tell: Tell = lambda text: None,
) -> list[Contestant]:
    """The networks that words name, each followed by its equals in the libraries of `against`.

    Args:
        words: as `convarium cost` takes them.
        against: of LIBRARIES.
        input_size: (C, H, W) in pixels; each network's own when None.
        tell: gets the sentence for a network without an equal, or of another precision.

    Raises:
        UsageError: no such network or library, or a network that does not say its input.
        InputError: a network that cannot be run on one picture of that size.
    """
    for library in against:
        if library not in LIBRARIES:
            raise unknown_name("library", library, LIBRARIES)
    found: dict[str, Contestant] = {}
    first = ""
    channels = input_size[0] if input_size else None
    for source in distinct(find(word, channels, values=True) for word in dict.fromkeys(words)):
        one = _contestant(source, input_size, tell)
        first = first or one.name
        found.setdefault(one.name, _based(one, first))
        for peer in _peers(one.name, against, tell):
            size = input_size or one.input_size
            other = _contestant(find(peer, values=True), size, tell)
            found.setdefault(other.name, _based(other, one.name))
    return list(found.values())


def _based(one: Contestant, base: str) -> Contestant:
    return replace(one, base=base)


def _contestant(source: Source, input_size: tuple[int, ...] | None, tell: Tell) -> Contestant:
    size = input_size or source.input_size
    if size is None:
        raise UsageError(f"{source.name} does not say its input. Add --input 3x224x224.")
    if any(t.is_meta for t in (*source.model.parameters(), *source.model.buffers())):
        raise InputError(
            f"{source.name} lies on the meta device, without values. Build it on the CPU."
        )
    with answering(source.model):  # says in one sentence what it cannot take
        kind = picture_kind(source.model, (1, *size))
    if kind.is_floating_point and kind != torch.float32:
        tell(f"{source.name} computes in {str(kind).removeprefix('torch.')}, as it was built.")
    return Contestant(source.name, source.model, tuple(size), source.name, kind)


def _peers(name: str, against: Sequence[str], tell: Tell) -> list[str]:
    """The ledger's networks of other libraries that have the same layers."""
    if ":" in name:
        return []
    peers = [peer for peer in model_facts(name).peers if peer.params_equal]
    found = []
    for library in against:
        equal = [peer.name for peer in peers if peer.library == library]
        found += [f"{library}:{peer}" for peer in equal[:1]]
        if not equal:
            tell(f"{name} has no equal in {library}.")
    return found


def check_room(
    one: Contestant, batch: int, free: int | None = None, *, device: str = "cpu"
) -> None:
    """Refuses a batch that cannot fit, before it is tried.

    Args:
        one: the network.
        batch: pictures at once.
        free: bytes of memory that can be had; what the system or the GPU says when None.
        device: to run on.

    Raises:
        ExhaustedError: the predicted peak and the pictures are more than that.
    """
    if free is None:
        free = _free_bytes() if device == "cpu" else torch.cuda.mem_get_info(device)[0]
    if free is None:
        return
    from convarium.cost.memory import Step, memory_of

    try:
        report = memory_of(
            one.model, one.input_size, name=one.name, batch_size=batch, step=Step(False), mode=None
        )
    except ConvariumError:
        return  # a forward pass that reads values: it is not known before it runs
    if report.peak_bytes - report.params_bytes > free:  # the weights are there already
        raise ExhaustedError(
            f"{one.name} at batch {batch} needs about {report.peak_bytes / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free. Use a smaller batch."
        )


def _free_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None
