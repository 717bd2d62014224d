"""The pictures of Canziani, Culurciello & Paszke 2016 for our networks, on this machine.

python benchmarks/canziani.py [--out canziani] [--seconds 1] [--networks A,B] [--batches 1,2,4,8]

Two pictures, as SVG and on one HTML page: printed ImageNet errors against operations, area for
parameters; and this machine's time, memory and energy a picture against the batch. Errors are the
papers' own, each with its protocol in the page's table: protocols differ between papers, so two
points of different papers are not strictly comparable. What could not be measured says why.
"""

from __future__ import annotations

import argparse
import html
import math
import re
from pathlib import Path
from typing import Any

import altair as alt
import torch

import convarium
from convarium.errors import counted
from convarium.facts import ErrorRate
from convarium.files import written_whole
from convarium.machine import Counter, PeakMemory, give_back, interleaved, joules_per_pass
from convarium.machine.describe import processor
from convarium.report.bubbles import edged_words
from convarium.report.drawing import ROWS, Drawing, finished, log_axis
from convarium.report.palette import TOKENS, variable
from convarium.report.places import Spot, place

# Those with their names in the first picture: all 48 would cover each other.
LANDMARKS = (
    *("alexnet_owt", "zfnet", "nin_imagenet", "squeezenet_simple_bypass", "googlenet", "vgg_e"),
    *("resnet18_a", "densenet201", "preact_resnet200", "mobilenet_v1_100_224"),
)
WIDTH, HEIGHT, LARGEST = 760, 480, 1300  # of the first picture: pixels, a bubble in square ones
NETWORKS = "alexnet_2gpu,squeezenet1_1,mobilenet_v1_100_224,googlenet,resnet18_b,resnet50,vgg_d"
STYLE = """
body{max-width:1000px;margin:2rem auto;padding:0 1rem;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}
h1{line-height:1.2}figure,.table{margin:0;overflow-x:auto}figure svg{max-width:none}
table{font-size:.8rem;border-spacing:0}
td,th{text-align:right;padding:.2rem .7rem .2rem 0;vertical-align:top;white-space:nowrap;
font-variant-numeric:tabular-nums}
td:first-child,th:first-child,.long{text-align:left}
th,.long{white-space:normal}.long{min-width:11rem}
.wide{display:none}@media(max-width:1010px){.wide{display:block;color:var(--muted)}}
"""
_PREFERRED = re.compile(r"single|1 crop|one crop|centre|center|1-crop", re.IGNORECASE)
_ENSEMBLE = re.compile(r"\b[2-9] nets")


def printed_error(name: str) -> ErrorRate | None:
    """The paper's top-1 error on ImageNet, of the plainest protocol that it prints."""
    rates = [
        rate
        for rate in convarium.model_facts(name).errors
        if rate.top1 is not None
        and rate.dataset == "ILSVRC2012 val"
        and not _ENSEMBLE.search(rate.protocol)
    ]
    plain = [rate for rate in rates if _PREFERRED.search(rate.protocol)]
    return next(iter(plain or rates), None)


def accuracy_rows() -> list[dict[str, Any]]:
    rows = []
    for name in convarium.list_models(task="classification"):
        rate = printed_error(name)
        if rate is None or rate.top1 is None:
            continue
        facts = convarium.model_facts(name)
        rows.append(
            {
                "network": name,
                "family": facts.family,
                "accuracy": 100 - rate.top1,
                "macs": facts.macs.exact,
                "params": facts.params.exact,
                "protocol": rate.protocol,
                "source": rate.source,
            }
        )
    return [row for row in rows if row["macs"] and row["params"]]


def accuracy_picture(rows: list[dict[str, Any]]) -> Drawing:
    """Bubbles with parameters for area; the landmarks have their names beside them."""
    macs, accuracies = ([row[what] for row in rows] for what in ("macs", "accuracy"))
    across = [min(macs) / 1.5, max(macs) * 1.5]
    up = [math.floor(min(accuracies)) - 1, math.ceil(max(accuracies)) + 1]
    base = alt.Chart(ROWS).encode(
        x=alt.X(
            "macs:Q",
            title="MACs of one picture, log scale",
            scale=alt.Scale(type="log", domain=across, nice=False),
            axis=log_axis(across, "~s", grid=False),
        ),
        y=alt.Y(
            "accuracy:Q",
            title="printed top-1 accuracy, %",
            scale=alt.Scale(domain=up, nice=False, zero=False),
        ),
    )
    return Drawing(
        "accuracy-operations",
        "Accuracy, operations, parameters",
        "Printed top-1 accuracy against multiply-adds; the area is parameters.",
        finished(
            _roomy(alt.layer(*_bubbles(base, rows))),
            labelled(sorted(rows, key=lambda row: -row["params"]), across, up),
            width=WIDTH,
            height=HEIGHT,
        ),
    )


def _bubbles(base: Any, rows: list[dict[str, Any]]) -> list[Any]:
    """Bubbles, and the names twice: first with an edge of the card's colour."""
    colours = alt.Scale(scheme="tableau20")
    points = base.mark_point(filled=True, fillOpacity=0.4, strokeWidth=1.5).encode(
        size=alt.Size(
            "params:Q",
            title="parameters",
            scale=alt.Scale(domain=[0, max(row["params"] for row in rows)], range=[0, LARGEST]),
            legend=_legend(),
        ),
        color=alt.Color("family:N", title="family", scale=colours, legend=_names()),
        stroke=alt.Stroke("family:N", scale=colours, legend=None),
        tooltip=["network:N", "accuracy:Q", "macs:Q", "params:Q", "protocol:N", "source:N"],
    )
    return [points, *(words.encode(text="label:N") for words in edged_words(base))]


def labelled(
    rows: list[dict[str, Any]], across: list[float], up: list[float]
) -> list[dict[str, Any]]:
    """The rows with their names, if they are of LANDMARKS, where these cover least."""
    named = [row["network"] if row["network"] in LANDMARKS else "" for row in rows]
    wide, most = math.log(across[1] / across[0]), max(row["params"] for row in rows)
    spots = [
        Spot(
            x=WIDTH * math.log(row["macs"] / across[0]) / wide,
            y=HEIGHT * (up[1] - row["accuracy"]) / (up[1] - up[0]),
            radius=math.sqrt(LARGEST * row["params"] / most / math.pi),
            text=name,
        )
        for row, name in zip(rows, named, strict=True)
    ]
    labels = place(spots, WIDTH, HEIGHT)
    return [
        {**row, "label": name, "dx": label.dx, "dy": label.dy, "align": label.align}
        for row, name, label in zip(rows, named, labels, strict=True)
    ]


def _roomy(chart: Any) -> Any:
    """With space at the right: a reader's letters may be wider than those that were measured."""
    return chart.properties(padding={"left": 5, "top": 5, "bottom": 5, "right": 40})


def _names() -> Any:
    return alt.Legend(labelLimit=0)


def _legend() -> Any:
    values = [1e6, 1e7, 5e7, 1e8]
    return alt.Legend(format="~s", values=values, symbolFillColor=variable("line"))


def measured_rows(
    names: list[str], batches: list[int], seconds: float
) -> tuple[list[dict[str, Any]], str]:
    """Time, memory and energy of forward passes, networks in turns at each batch."""
    models = {name: convarium.create_model(name).eval() for name in names}
    counter, rows = Counter(), []
    for batch in batches:
        tasks = {}
        for name, model in models.items():
            images = torch.rand(batch, *convarium.model_facts(name).input)
            tasks[name] = lambda model=model, images=images: _forward(model, images)
        laps = interleaved(tasks, seconds=seconds * len(tasks), least=3)
        for name, task in tasks.items():
            give_back()  # what an earlier pass left would hide what this one needs
            with PeakMemory() as peak:
                task()
            joules, _ = joules_per_pass(task, counter)
            rows.append(
                {
                    "network": name,
                    "batch": batch,
                    "ms": 1e3 * laps[name].median / batch,
                    "low": 1e3 * laps[name].low / batch,
                    "high": 1e3 * laps[name].high / batch,
                    "n": laps[name].n,
                    "megabytes": None if peak.bytes is None else peak.bytes / 1e6,
                    "joules": None if joules is None else joules / batch,
                }
            )
    return rows, counter.reason


def _forward(model: torch.nn.Module, images: torch.Tensor) -> None:
    with torch.inference_mode():
        model(images)


def measured_picture(rows: list[dict[str, Any]], field: str, title: str) -> Drawing | None:
    """One quantity against the batch, a line a network; None where none was measured."""
    known = [row for row in rows if row[field]]  # a peak of 0 was not seen, and has no logarithm
    if not known:
        return None
    batches = [row["batch"] for row in known]
    up = [min(row[field] for row in known) / 1.3, max(row[field] for row in known) * 1.3]
    lines = (
        alt.Chart(ROWS)
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "batch:Q",
                title="batch, log scale",
                scale=alt.Scale(type="log", base=2),
                axis=alt.Axis(values=sorted(set(batches)), format="d"),
            ),
            y=alt.Y(
                f"{field}:Q",
                title=f"{title}, log scale",
                scale=alt.Scale(type="log", domain=up, nice=False),
                axis=log_axis(up, "~g"),
            ),
            color=alt.Color(
                "network:N",
                sort=list(dict.fromkeys(row["network"] for row in rows)),
                scale=alt.Scale(scheme="tableau10"),
                legend=_names(),
            ),
        )
    )
    about = f"{title} against the batch, medians."
    return Drawing(
        f"{field}-batch", title, about, finished(_roomy(lines), known, width=720, height=320)
    )


def page(drawings: list[Drawing], notes: list[str], rows: list[dict[str, Any]]) -> str:
    tokens = "".join(f"--{k}: light-dark({light}, {dark});" for k, (light, dark) in TOKENS.items())
    figures = "".join(
        f"<h2>{html.escape(d.title)}</h2><p class='wide'>Wider than this screen: it scrolls "
        f"sideways.</p><figure tabindex='0'>{d.svg}</figure>"
        for d in drawings
    )
    said = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    cells = "".join(
        f"<tr><td>{row['network']}</td><td>{row['accuracy']:.2f}</td><td>{row['macs']:,}</td>"
        f"<td>{row['params']:,}</td><td class='long'>{html.escape(row['protocol'])}</td>"
        f"<td class='long'>{html.escape(row['source'])}</td></tr>"
        for row in rows
    )
    return (
        "<!DOCTYPE html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>Accuracy and cost</title>"
        f"<style>:root{{color-scheme:light dark;{tokens}}}{STYLE}</style>"
        f"<h1>Accuracy and cost of the landmark networks</h1>{said}{figures}"
        "<h2>What is printed</h2><p>Top-1 accuracy on ILSVRC2012's validation pictures. Tables are "
        "those of each network's own paper; MACs and parameters are counted.</p>"
        "<div class='table' tabindex='0'><table><tr><th>network</th><th>top-1 accuracy, %</th>"
        "<th>MACs</th><th>parameters</th><th class='long'>protocol</th>"
        f"<th class='long'>source</th></tr>{cells}</table></div></html>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("canziani"))
    parser.add_argument("--seconds", type=float, default=1.0, help="a network and batch")
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--batches", default="1,2,4,8")
    given = parser.parse_args()
    printed = accuracy_rows()
    batches = [int(batch) for batch in given.batches.split(",")]
    measured, reason = measured_rows(given.networks.split(","), batches, given.seconds)
    quantities = [("ms", "Milliseconds a picture"), ("megabytes", "Peak memory of a pass, MB")]
    quantities.append(("joules", "Joules a picture"))
    lines = [measured_picture(measured, field, title) for field, title in quantities]
    drawings = [accuracy_picture(printed), *(line for line in lines if line)]
    count, rounds = torch.get_num_threads(), min(row["n"] for row in measured)
    threads = counted(count, "thread")
    notes = [
        f"Measured on {processor()}, {threads}, float32, inference; medians of {rounds} rounds or "
        "more. Memory is above what is there before a pass; 1 MB is 1,000,000 bytes."
    ]
    notes.append("Protocols differ between papers: see the table before comparing two points.")
    if reason:
        notes.append(f"Energy: {reason}.")
    for name, text in [
        ("index.html", page(drawings, notes, printed)),
        *((f"{drawing.name}.svg", drawing.svg_alone()) for drawing in drawings),
    ]:
        with written_whole(given.out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"{len(printed)} networks with printed errors, {len(measured)} measured points")
    print(f"{given.out / 'index.html'}")
    for note in filter(None, notes):
        print(note)


if __name__ == "__main__":
    main()
