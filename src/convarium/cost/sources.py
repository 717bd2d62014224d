"""Networks to price by a word: ours, torchvision's, timm's, or a function of a user's file."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convarium import catalog
from convarium.cost.memory_fit import BatchFit, fit_of
from convarium.cost.report import CostReport, cost_of
from convarium.cost.step import Step
from convarium.errors import (
    ConvariumError,
    InputError,
    MissingExtraError,
    UsageError,
    times,
    unknown_name,
)
from convarium.facts import model_facts
from convarium.nets.build import build

_FORMS = "a network of `convarium list`, torchvision:NAME, timm:NAME or path/to/file.py:function"
_SIDE = 224  # where a library's network says nothing of its input
_FRAMES = 16  # of a video: those of torchvision's printed operations


@dataclass(frozen=True, slots=True)
class Source:
    """A network to price: `input_size` is the one it is made for, None where nobody says.

    `mode` is the forward pass that holds all of it, None for what follows from training or not.
    `path` is the file it came from, if any.
    """

    name: str
    model: nn.Module
    input_size: tuple[int, ...] | None
    mode: str | None = None
    path: Path | None = None

    def cost(
        self, input_size: tuple[int, ...] | None, *, batch_size: int, training: bool
    ) -> CostReport:
        """The report at `input_size`, or at the network's own when it is None.

        Raises:
            UsageError: neither is known.
            InputError: the network cannot take it.
        """
        return cost_of(
            self.model,
            self.sized(input_size),
            name=self.name,
            batch_size=batch_size,
            training=training,
            mode="train" if training else self.mode,
        )

    def fit(self, input_size: tuple[int, ...] | None, limit_bytes: int, step: Step) -> BatchFit:
        """The largest batch that fits in `limit_bytes`; errors are those of `cost`."""
        size = self.sized(input_size)
        return fit_of(self.model, size, name=self.name, limit_bytes=limit_bytes, step=step)

    def sized(self, input_size: tuple[int, ...] | None) -> tuple[int, ...]:
        """`input_size`, or the network's own when it is None.

        Raises:
            UsageError: neither is known, or it has fewer sides than the network's own.
        """
        size = input_size or self.input_size
        if size is None:
            raise UsageError(f"{self.name} does not say its input. Add --input 3x224x224.")
        if len(size) < len(self.input_size or ()):
            raise UsageError(
                f"{self.name} takes {len(self.input_size or ())} sides, such as "
                f"{times(self.input_size or ())}, not {times(size)}."
            )
        return size

    def other_floats(self) -> str:
        """The kinds of its floating-point parameters that are not float32, in words."""
        kinds = {p.dtype for p in self.model.parameters() if p.dtype.is_floating_point}
        return " and ".join(sorted(str(k).removeprefix("torch.") for k in kinds - {torch.float32}))


def find(word: str, channels: int | None = None, *, values: bool = False) -> Source:
    """The network that `word` names, without values where it can be built so.

    Args:
        word: as the error below lists; a file's function is called without arguments.
        channels: of the picture; ours are built for it, others keep what they have.
        values: build it with its initial values, to run it.

    Raises:
        UsageError: no such network.
        InputError: the user's file or function fails, or gives no module.
        MissingExtraError: the library that has it is not installed.
    """
    kind, colon, name = word.rpartition(":")
    if not colon and word.endswith(".py"):
        raise UsageError(f"{word} is a file: name its function too, {word}:function.")
    if not colon:
        return _own(word, channels, "cpu" if values else "meta")
    if kind == "torchvision":
        return _torchvision(name, values)
    if kind == "timm":
        return _timm(name, values)
    if kind.endswith(".py"):
        return _file(Path(kind), name)
    raise UsageError(f"{word!r} names no network. Write {_FORMS}.")


def distinct(sources: Iterable[Source]) -> list[Source]:
    """Each network once, in order: the same may have been named twice, as an alias.

    Functions of one name in files of one name are told apart by the path.
    """
    found: dict[str, Source] = {}
    for source in sources:
        known = found.get(source.name)
        if known is None or source.path == known.path:
            found.setdefault(source.name, source)
        else:
            word = f"{source.path}:{source.name.rpartition(':')[2]}"
            found.setdefault(word, replace(source, name=word))
    return list(found.values())


def _own(word: str, channels: int | None, device: str) -> Source:
    row = catalog.find(word)
    size = model_facts(row.name).input
    other = channels if channels not in (None, size[0]) else None
    with torch.device(device):
        return Source(row.name, build(row.name, in_channels=other), size, row.traced)


def _torchvision(name: str, values: bool) -> Source:
    from torchvision import models

    if name not in models.list_models():
        raise unknown_name("torchvision network", name, models.list_models())
    options: dict[str, Any] = {"weights": None}
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    # Detectors and segmenters would download a backbone's weights.
    if "weights_backbone" in inspect.signature(models.get_model_builder(name)).parameters:
        options["weights_backbone"] = None
    with _told(f"torchvision:{name}"):
        model = _made(lambda: models.get_model(name, **options), values)
    side = getattr(model, "image_size", None)
    if side is None:
        first = next(iter(models.get_model_weights(name)), None)
        side = getattr(first and first.transforms(), "crop_size", [_SIDE])[0]
    frames = (_FRAMES,) if name in models.list_models(module=models.video) else ()
    return Source(f"torchvision:{name}", model, (3, *frames, side, side))


def _timm(name: str, values: bool) -> Source:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError(f"timm:{name} needs timm", "timm") from error
    if not timm.is_model(name):
        raise unknown_name("timm network", name, timm.list_models())
    with _told(f"timm:{name}"):
        model = _made(lambda: timm.create_model(name, pretrained=False), values)
    size = getattr(model, "pretrained_cfg", {}).get("input_size", (3, _SIDE, _SIDE))
    return Source(f"timm:{name}", model, tuple(size))


def _made(make: Callable[[], nn.Module], values: bool) -> nn.Module:
    """On the meta device; with values on request, or where the builder reads them (RegNets)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own talk about its initial values
        try:
            if values:
                return make()
            with torch.device("meta"):
                return make()
        except (RuntimeError, NotImplementedError):
            return make()


def _file(path: Path, name: str) -> Source:
    if not path.is_file():
        raise InputError(f"{path} is not a file. Write path/to/file.py:function.")
    with _told(f"{path}", path), _beside(path):
        spec = importlib.util.spec_from_file_location(f"_convarium_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickling look a module up by its name
        spec.loader.exec_module(module)
        make = getattr(module, name, None)
        if not callable(make):
            known = [n for n, value in vars(module).items() if _is_own(value, module)]
            raise unknown_name(f"function of {path}", name, known)
        made: Any = make if isinstance(make, nn.Module) else _called(make, f"{path}:{name}")
    if not isinstance(made, nn.Module):
        kind = f"the class {made.__name__}" if isinstance(made, type) else type(made).__name__
        raise InputError(f"{path}:{name} gives {kind}; it must give a torch.nn.Module.")
    size = getattr(made, "input_size", None)  # of an LSTM it is a number: no picture's
    size = tuple(size) if isinstance(size, (tuple, list)) and _are_sides(size) else None
    return Source(f"{path.name}:{name}", made, size, path=path)


def _are_sides(size: Iterable[Any]) -> bool:
    return all(isinstance(side, int) for side in size)


def _called(make: Callable[..., Any], word: str) -> Any:
    """What a user's function gives.

    Raises:
        InputError: it does not go without arguments.
    """
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # some built-in ones have none
        return make()
    needed = [
        p.name
        for p in signature.parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise InputError(
            f"{word} wants {', '.join(needed)}; it is called without arguments. "
            "Give them defaults, or name a function that gives them."
        )
    return make()


def _is_own(value: Any, module: Any) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


@contextmanager
def _told(what: str, file: Path | None = None) -> Iterator[None]:
    """The user's own code may raise anything: one sentence with its words and `file`'s line.

    Without a file the line is that of the innermost call.
    """
    try:
        yield
    except (ConvariumError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        steps = [
            line
            for step, line in traceback.walk_tb(error.__traceback__)
            if file is None or Path(step.f_code.co_filename).absolute() == file.absolute()
        ]
        line = f" line {steps[-1]}" if steps else ""  # a syntax error tells its own
        raise InputError(f"{what}{line}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    kind, words = type(error).__name__, " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it ends the program ({kind} {words})"
    if "relative import" in words:
        words += ". Files beside it are imported by their plain names: from layers import Block"
    return f"{kind}: {words}".removesuffix(": ")


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """The files beside it can be imported while it loads; the folder that we are in stays."""
    folder, here = str(path.resolve().parent), os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):  # it may have taken it out itself
            sys.path.remove(folder)
        os.chdir(here)
