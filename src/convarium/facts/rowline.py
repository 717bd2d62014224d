"""One line of a rows file, taken apart. Nothing in a line is executed.

    NAME KIND WORDS [<- INPUTS] [-> OUTPUT] [@ WHERE]

Words of the layer kinds: `3x3/2` kernel and stride (`3x3` has stride 1), `p1` pad, `p?1` a pad that
the paper does not print and its sizes need, `g2` groups, `dw` one group and one map an input map,
`ceil` sizes rounded up, `bias nobias bn nobn prebn` against the network's convention, `links60`
kernels of a sparse layer, `padded` an addition whose shortcut is option A. A width is a number, or
a product such as `16*4`, `32*3/4`, `in*1/2` (`in` is the number of input maps), rounded down.
INPUTS are rows or blocks; the row above where none is given. OUTPUT is what the paper prints:
`112` (a side) or `64x112x112`. `@?` marks a row that is recalled and not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

_KERNEL = re.compile(r"(\d+)x(\d+)(?:/(\d+))?")
_PAD = re.compile(r"p(\??)(\d+)")
_FACTOR = r"(?:in|\d+(?:/\d+)?)"
_WIDTH = re.compile(rf"{_FACTOR}(?:\*{_FACTOR})*")
_FLAGS = frozenset("dw ceil bias nobias bn nobn prebn padded".split())


@dataclass(frozen=True, slots=True)
class Line:
    """A line by its parts; `name` may hold a range of numbers such as `fire{2..4}`."""

    text: str
    name: str
    kind: str
    words: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    output: tuple[int, ...] = ()
    where: str | None = None
    recalled: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """The words of a layer's line. `width` is unread, since it may speak of the input's maps."""

    kernel: int | None = None
    stride: int | None = None
    pad: int = 0
    pad_printed: bool = True
    groups: int = 1
    links: int | None = None
    width: str | None = None
    flags: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def read_line(text: str) -> Line:
    """The parts of one line.

    Raises:
        ValueError: a line without a kind, or with an output that is no size.

    >>> read_line("pool1 max_pool 3x3/2 <- conv1 -> 55 @ Fig. 2").words
    ('3x3/2',)
    """
    rest, _, where = text.partition(" @")
    rest, _, output = rest.partition(" -> ")
    rest, _, inputs = rest.partition(" <- ")
    name, *words = rest.split()
    if not words and name != "out":
        raise ValueError("it has no kind")
    return Line(
        text=text,
        name=name,
        kind=words[0] if words else "",
        words=tuple(words[1:]),
        inputs=tuple(inputs.split()),
        output=tuple(int(side) for side in output.split("x")) if output else (),
        where=where.lstrip("?").strip() or None,
        recalled=where.startswith("?"),
    )


@lru_cache(maxsize=4096)
def read_layer(words: tuple[str, ...]) -> Layer:
    """What the words of a layer's line say.

    Raises:
        ValueError: a word that the language does not have.

    >>> read_layer(("3x3/2", "p1", "64")).stride
    2
    """
    layer: dict[str, int | str | bool | None] = {}
    for word in words:
        layer |= _read_word(word)
    return Layer(flags=_FLAGS.intersection(words), **layer)  # type: ignore[arg-type]


def _read_word(word: str) -> dict[str, int | str | bool | None]:
    if kernel := _KERNEL.fullmatch(word):
        if kernel[1] != kernel[2]:
            raise ValueError(f"kernel {word!r} is not square")
        return {"kernel": int(kernel[1]), "stride": int(kernel[3] or 1)}
    if pad := _PAD.fullmatch(word):
        return {"pad": int(pad[2]), "pad_printed": not pad[1]}
    if word.startswith("links"):
        return {"links": int(word[5:])}
    if word[0] == "g" and word[1:].isdigit():
        return {"groups": int(word[1:])}
    if _WIDTH.fullmatch(word):
        return {"width": word}
    if word not in _FLAGS:
        raise ValueError(f"no word of a row is {word!r}")
    return {}


@lru_cache(maxsize=4096)
def read_width(width: str, maps: int) -> int:
    """A width in maps, from a number or a product; `in` is `maps`. Rounded down.

    >>> read_width("32*3/4", maps=3), read_width("in*1/2", maps=256)
    (24, 128)
    """
    product = Fraction(1)
    for factor in width.split("*"):
        product *= maps if factor == "in" else Fraction(factor)
    return int(product)
