"""One HTML file of one training: what it reached, how it got there, how to repeat it."""

from __future__ import annotations

from pathlib import Path

from convarium.files import written_whole
from convarium.records.model import Race
from convarium.report.confusion import confusion_chart, mixups
from convarium.report.drawing import unchecked
from convarium.report.entries import entries
from convarium.report.page import render
from convarium.report.series import gradient_lines, training_lines


def write_run(race: Race, out: Path) -> Path:
    """Writes a race of one network as a page that asks nothing of any network.

    Args:
        race: with one result; its sentence says how the recipe differs from the paper's.
        out: the folder that gets `report.html`.

    Returns:
        The HTML file.

    Raises:
        InputError: the folder cannot be written.
        ExhaustedError: the disk is full.
    """
    with unchecked():
        html = _render(race)
    page = out / "report.html"
    with written_whole(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return page


def _render(race: Race) -> str:
    (net,) = entries(race)
    gradient = gradient_lines(net.result.curve)
    lines = [*training_lines(net.result), *([gradient] if gradient else [])]
    confusion = confusion_chart(net, race.classes)
    drawings = [one.drawing for one in lines] + ([confusion] if confusion else [])
    result = net.result
    run = {"seed": result.seed, "epochs": result.epochs, **result.plan}
    run["micro_batch"] = run.get("micro_batch") or "the whole batch"
    return render(
        "run.html",
        drawings,
        race=race,
        net=net,
        run=run,
        lines=lines,
        confusion=confusion,
        mixups=mixups(net, race.classes, most=5),
    )
