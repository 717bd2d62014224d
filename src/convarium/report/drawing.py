"""One Vega-Lite spec a chart: shared theme, and its SVG and PNG without a browser or a network."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import altair
import vl_convert
from altair.utils.schemapi import debug_mode

from convarium.report.palette import resolved, variable

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
VEGA_LITE = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
PNG_SCALE = 2
ROWS = altair.NamedData("rows")  # the data of every chart, which `finished` puts in
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
EDGE = {"stroke": variable("card"), "strokeWidth": 4, "strokeJoin": "round"}  # under a text


@dataclass(frozen=True)
class Drawing:
    """A chart of the report: `spec` is Vega-Lite with a fixed width in pixels.

    `name` is the stem of its files, `about` says in one sentence what it shows (read aloud in
    place of the picture). `fluid` charts take the width of the page when they are live.
    """

    name: str
    title: str
    about: str
    spec: dict[str, Any]
    fluid: bool = True

    @cached_property
    def svg(self) -> str:
        """The chart as SVG whose colours are the page's variables."""
        return str(vl_convert.vegalite_to_svg(self.spec, vl_version=VEGA_LITE))

    def svg_alone(self) -> str:
        """The chart as an SVG file: light colours, white background."""
        return resolved(self.svg)

    def png(self) -> bytes:
        """The chart as PNG at twice its size."""
        return bytes(vl_convert.svg_to_png(self.svg_alone(), scale=PNG_SCALE))


def unchecked() -> AbstractContextManager[None]:
    """Within, altair trusts the charts: its check against the schema takes a third of their time.

    The tests of the charts make each of them checked.
    """
    return debug_mode(False)


@cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one classic script (about 0.9 MB)."""
    snippet = "window.vegaEmbed = vegaEmbed;"
    return str(vl_convert.javascript_bundle(snippet, vl_version=VEGA_LITE))


def finished(
    chart: Any, rows: list[dict[str, Any]], *, width: int, height: int | None = None
) -> dict[str, Any]:
    """The spec of a chart of `ROWS`: with its data, size in pixels, theme, and the link to others.

    altair copies inline data with every layer and every step of a chart, which takes half a
    page's time; a name costs nothing.
    """
    sizes = {"width": width} if height is None else {"width": width, "height": height}
    picked = altair.param(name="picked", value="")
    spec = chart.add_params(picked).properties(**sizes).to_dict()
    spec["datasets"] = {**spec.get("datasets", {}), ROWS.name: rows}
    spec = _drawable(spec)
    spec["config"] = _theme()
    return dict(spec)


def _drawable(value: Any) -> Any:
    """A spec whose names are text that an SVG can hold.

    A record of others may hold any character; of one that XML has not, vl-convert would abort the
    whole process.
    """
    if isinstance(value, str):
        return _NOT_XML.sub(lambda found: ascii(found[0])[1:-1], value)
    if isinstance(value, dict):
        return {_drawable(key): _drawable(held) for key, held in value.items()}
    return [_drawable(held) for held in value] if isinstance(value, (list, tuple)) else value


def log_axis(values: list[float], form: str = "~g", **options: Any) -> Any:
    """A logarithmic axis with few round ticks within the values; `form` is d3's."""
    return altair.Axis(
        values=_round_between(min(values), max(values)),
        labelExpr=f"format(datum.value, '{form}')",
        **options,
    )


def whole_axis(values: Iterable[int]) -> Any:
    """An axis for numbers such as epochs, without grid: Vega's own would have ticks at halves."""
    places = list(values)
    ticks = _whole_between(min(places), max(places))
    return altair.Axis(grid=False, values=ticks, format="d")


def _whole_between(low: int, high: int) -> list[int]:
    """At most six whole numbers from low to high, apart by 1, 2 or 5 times a power of ten.

    >>> _whole_between(1, 3), _whole_between(1, 14), _whole_between(7, 7)
    ([1, 2, 3], [5, 10], [7])
    """
    steps = [digit * 10**power for power in range(len(str(high))) for digit in (1, 2, 5)]
    step = next(step for step in steps if (high - low) / step <= 5)
    first = -(-low // step) * step
    return [*range(first, high + 1, step)]


def _round_between(low: float, high: float) -> list[float]:
    """Numbers 1, 2 and 5 times a power of ten from low to high; powers alone if those are many.

    Where fewer than two of them lie between, rounder ones come first of those that do.

    >>> _round_between(0.3, 11), _round_between(2.1, 3.1), _round_between(1.05, 1.45)
    ([0.5, 1.0, 2.0, 5.0, 10.0], [2.5, 3.0], [1.2, 1.4])
    """

    def between(digits: Iterable[float]) -> list[float]:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [float(f"{digit:g}e{power}") for power in powers for digit in digits]
        return [tick for tick in ticks if low <= tick <= high]

    ticks = between((1, 2, 5))
    if len(ticks) > 7:
        return between((1,))
    for parts in (1, 2, 5, 10):
        if len(ticks) >= 2:
            break
        ticks = between([step / parts for step in range(parts, 10 * parts)])
    return ticks


def faded(strong: float, weak: float) -> Any:
    """An opacity: strong while nothing or this network is picked, weak while another is."""
    chosen = altair.when("picked === '' || datum.key === picked")
    return chosen.then(altair.value(strong)).otherwise(altair.value(weak))


def _theme() -> dict[str, Any]:
    ink, muted, line = variable("ink"), variable("muted"), variable("line")
    return {
        "background": variable("card"),
        "font": FONT,
        "padding": 4,
        "view": {"stroke": None},
        "axis": {
            "labelColor": muted,
            "labelFontSize": 12,
            "titleColor": ink,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "titlePadding": 10,
            "gridColor": line,
            "gridOpacity": 0.7,
            "domainColor": line,
            "tickColor": line,
        },
        "legend": {
            "labelColor": muted,
            "labelFontSize": 12,
            "titleColor": ink,
            "titleFontSize": 12,
            "titleFontWeight": 500,
        },
        "text": {"color": ink, "fontSize": 12},
    }
