"""One HTML file of a race, with its charts as SVG and PNG beside it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import convarium
from convarium import facts
from convarium.records.model import Race
from convarium.report.bubbles import macs_chart, time_chart
from convarium.report.cells import COLUMNS, Head, table
from convarium.report.confusion import Mixup, confusion_chart, mixups
from convarium.report.curves import curve_charts
from convarium.report.drawing import Drawing, bundle, unchecked
from convarium.report.entries import Entry, entries
from convarium.report.history import history_chart, winners
from convarium.report.leaders import leaders
from convarium.report.palette import TOKENS
from convarium.report.series import Lines, gradient_lines
from convarium.report.words import day, pairs, recipe_rows

_OWN = resources.files("convarium.report")
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True)
class _Card:
    """A network's own section."""

    entry: Entry
    confusion: Drawing | None
    mixups: list[Mixup]
    gradient: Lines | None


def write_report(race: Race, out: Path) -> Path:
    """Writes the race as one HTML file that opens from disk and asks nothing of any network.

    Args:
        race: what was run; a value that could not be had is None with a reason.
        out: the file, or the folder that gets `report.html`.

    Returns:
        The HTML file. Its charts are SVG and PNG files in `<stem>-charts/` beside it.
    """
    out = Path(out)
    page = out if out.suffix.lower() in (".html", ".htm") else out / "report.html"
    charts = page.parent / f"{page.stem}-charts"
    charts.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as pool, unchecked():
        pool.submit(bundle)  # a second of work that the charts do not wait for
        html, drawings = _render(race)
    for drawing in drawings:
        _write_whole(charts / f"{drawing.name}.svg", drawing.svg_alone().encode())
        _write_whole(charts / f"{drawing.name}.png", drawing.png())
    _write_whole(page, html.encode())
    return page


def _render(race: Race) -> tuple[str, list[Drawing]]:
    """The page's text and all the charts on it."""
    nets = entries(race)
    bubbles = [drawing for drawing in (macs_chart(nets), time_chart(nets)) if drawing]
    curves = curve_charts(nets)
    history = history_chart()
    cards = [_card(net, race) for net in nets]
    own = [card.confusion for card in cards] + [c.gradient and c.gradient.drawing for c in cards]
    drawings = [*bubbles, *curves, history, *(drawing for drawing in own if drawing)]
    html = render(
        "report.html",
        drawings,
        race=race,
        nets=nets,
        rows=table(nets),
        heads=[Head("Network"), *COLUMNS],
        leaders=leaders(nets),
        bubbles=bubbles,
        curves=curves,
        history=history,
        winners=winners(),
        human=facts.background()["ilsvrc"]["human_top5"],
        cards=cards,
    )
    return html, drawings


def _card(net: Entry, race: Race) -> _Card:
    gradient = gradient_lines(net.result.curve, f"-{net.position + 1:02}")
    return _Card(net, confusion_chart(net, race.classes), mixups(net, race.classes), gradient)


def render(template: str, drawings: list[Drawing], **fields: Any) -> str:
    """One of the report's pages as text: style, scripts and live charts are in it.

    Args:
        template: its file in this folder, which extends frame.html.
        drawings: every chart on the page.
        fields: what the template shows.
    """
    scripts = [bundle(), _own("report.js")]
    page = _environment().get_template(template)
    text = page.render(
        **fields,
        tokens=TOKENS,
        specs={drawing.name: drawing.spec for drawing in drawings},
        fluid=[drawing.name for drawing in drawings if drawing.fluid],
        style=Markup(_own("style.css")),
        scripts=[Markup(script) for script in scripts],
        hashes=[_hash(script) for script in scripts],
        version=convarium.__version__,
    )
    # A record of others may hold what is no text, such as half of a pair of code units.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_own),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        pairs=pairs, day=day, picture=_picture, svg=_inline, recipe_rows=recipe_rows
    )
    return environment


def _own(name: str) -> str:
    return (_OWN / name).read_text("utf-8")


def _inline(drawing: Drawing) -> Markup:
    """The chart's SVG for the page; Vega has escaped the names in it."""
    return Markup(drawing.svg)


def _picture(address: str) -> str | None:
    """The picture's data address; None for anything else, so that no record adds a request."""
    return address if _PICTURE.fullmatch(address) else None


def _hash(script: str) -> str:
    """What lets this script run, and no other, under the page's security policy."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _write_whole(path: Path, content: bytes) -> None:
    """Under a temporary name first, so that no half-written file is left behind."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
