"""A file that defines its network as well, as Caffe's do: where that network is not ours.

A stride at another place makes another network, which is refused. Padding, pooling and constants
of normalisation leave the weights what they are, and are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

from torch import nn

from convarium.blocks.lrn import LocalResponseNorm
from convarium.interop.layers import layers_of
from convarium.interop.names import Names
from convarium.interop.readers import Foreign
from convarium.interop.readers.model import Said
from convarium.nets.squeezenet import BypassFire, SqueezeNet

_MOST = 3  # layers named in one sentence


def stride_problem(model: nn.Module, foreign: Foreign, names: Names) -> str | None:
    """The first convolution at another stride, or a bypass more or less; None where all agree."""
    for name, conv, said in _convolutions(model, foreign, names):
        there, here = _two(said.settings["stride"]), _two(conv.stride)
        if there != here:
            return f"{name}: stride {_times(here)} expected, file has {_times(there)}"
    if isinstance(model, SqueezeNet) and foreign.said:
        here_sums = sum(isinstance(module, BypassFire) for module in model.modules())
        there_sums = sum(said.kind == "sum" for said in foreign.said)
        if here_sums != there_sums:
            return f"{here_sums} bypasses expected, file has {there_sums}"
    return None


def definition_notes(model: nn.Module, foreign: Foreign, names: Names) -> tuple[str, ...]:
    """What else the file's network computes otherwise, a sentence each."""
    said = [one for one in foreign.said if not one.name.startswith(names.left_out or ("\0",))]
    notes = []
    padded = [
        f"{name} pads {_times(_two(one.settings['pad']))} there, {_times(_two(conv.padding))} here"
        for name, conv, one in _convolutions(model, foreign, names)
        if _two(one.settings["pad"]) != _two(conv.padding)
    ]
    if padded:
        more = f", and {len(padded) - _MOST} others" if len(padded) > _MOST else ""
        notes.append("; ".join(padded[:_MOST]) + more)
    for kind, ours in (("pool", _pools(model)), ("lrn", _norms(model))):
        theirs = [_words(one.kind, one.settings) for one in said if one.kind == kind]
        notes += _compared([words for words in theirs if words], ours) if theirs else []
    if _behind_pools(said) and _before_pools(model):
        notes.append("its response normalisations stand behind the poolings, here before them")
    return tuple(f"the file's network is not quite this one: {note}" for note in notes)


def _convolutions(
    model: nn.Module, foreign: Foreign, names: Names
) -> list[tuple[str, nn.Conv2d, Said]]:
    """Our convolutions, of two towers the first's, and what the file says of each."""
    said = {one.name: one for one in foreign.said if one.kind == "conv"}
    modules = dict(model.named_modules())
    found = []
    for layer in layers_of(model):
        theirs = said.get(names.theirs.get(layer.name, ""))
        module = modules.get(layer.keys.get("weight", ("",))[0].removesuffix(".weight"))
        if theirs is not None and isinstance(module, nn.Conv2d):
            found.append((layer.title, module, theirs))
    return found


def _pools(model: nn.Module) -> list[str]:
    found = []
    for name, module in model.named_modules():
        if name.startswith("tower2.") or not isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
            continue
        settings = {
            "pooling": "max" if isinstance(module, nn.MaxPool2d) else "average",
            "kernel": module.kernel_size,
            "stride": module.stride,
            "pad": module.padding,
            "up": module.ceil_mode,
        }
        found.append(_words("pool", settings))
    return [words for words in found if words]


def _norms(model: nn.Module) -> list[str]:
    return [
        _words("lrn", {"n": m.n, "k": m.k, "alpha": m.alpha, "beta": m.beta})
        for name, m in model.named_modules()
        if isinstance(m, LocalResponseNorm) and not name.startswith("tower2.")
    ]


def _words(kind: str, settings: Mapping[str, object]) -> str:
    """A pooling or a normalisation in words; none for an average of the whole map."""
    if kind == "lrn":
        numbers = [f"{word} {settings[word]:g}" for word in ("n", "k", "alpha", "beta")]
        return f"response normalisation of {', '.join(numbers)} on the sum"
    pooling, stride, pad = (settings[word] for word in ("pooling", "stride", "pad"))
    if settings.get("whole") or (pooling == "average" and _two(stride) == (1, 1)):
        return ""
    # Without padding the published networks' sides come out whole, and at stride 1 all do.
    rounds = _two(pad) != (0, 0) and _two(stride) != (1, 1)
    rounding = f" rounded {'up' if settings['up'] else 'down'}" * rounds
    window = _times(_two(settings["kernel"]))
    return f"{pooling} {window} at stride {_times(_two(stride))}, pad {_times(_two(pad))}{rounding}"


def _compared(theirs: Iterable[str], ours: Iterable[str]) -> list[str]:
    there, here = Counter(theirs), Counter(ours)
    only_there, only_here = there - here, here - there
    if not only_there and not only_here:
        return []
    return [f"{_counted(only_there)} there, {_counted(only_here)} here"]


def _counted(words: Counter[str]) -> str:
    return " and ".join(f"{count} x {what}" for what, count in words.items()) or "none"


def _behind_pools(said: Iterable[Said]) -> bool:
    said = list(said)
    pools = {one.top for one in said if one.kind == "pool"}
    norms = [one for one in said if one.kind == "lrn"]
    return bool(norms) and all(one.below in pools for one in norms)


def _before_pools(model: nn.Module) -> bool:
    """True where every response normalisation stands right before a pooling."""
    followers = []
    for module in model.modules():
        pairs = pairwise(module.children())
        followers += [after for part, after in pairs if isinstance(part, LocalResponseNorm)]
    return bool(followers) and all(isinstance(after, nn.MaxPool2d) for after in followers)


def _two(value: object) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        return int(value[0]), int(value[-1])
    return (value, value) if isinstance(value, int) else (0, 0)


def _times(sides: tuple[int, int]) -> str:
    return str(sides[0]) if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"
