"""Measured and predicted times as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convarium.cli.text import columns, paragraph
from convarium.errors import counted

if TYPE_CHECKING:
    from convarium.cost.latency.predict import Prediction
    from convarium.cost.latency.sitting import Sitting
    from convarium.cost.measured.bench import BenchReport, Point
    from convarium.cost.measured.interference import Interference

TOP_OPERATORS = 12


def bench_text(report: BenchReport, device: str) -> str:
    """The table of points, the ratios, the operators where they were timed, and the verdict."""
    header = ["network", "batch", "threads", "p50 ms", "p90 ms", "p99 ms", "rounds"]
    header += ["images/s", "peak MB", "J/image"]
    rows = [_point(point) for point in report.points]
    parts = [
        f"{device}, {report.precision}, {report.layout}; ms are of a whole batch, images/s at p50",
        columns(header, rows, right="lrrrrrrrrr"),
    ]
    if report.ratios:
        ratios = [
            [
                f"{ratio.name} / {ratio.base}",
                *(str(ratio.batch), str(ratio.threads), f"{ratio.median:.3f}"),
                f"{ratio.low:.3f} to {ratio.high:.3f}",
            ]
            for ratio in report.ratios
        ]
        title = ["time over time", "batch", "threads", "median", "quartiles"]
        parts.append(columns(title, ratios, right="lrrrl"))
    parts += [_operators(point) for point in report.points if point.operators is not None]
    reasons = dict.fromkeys(
        f"{what}: {why}" for point in report.points for what, why in point.unavailable.items()
    )
    parts += [*reasons, interference_text(report.interference)]
    return "\n\n".join(parts)


def _point(point: Point) -> list[str]:
    peak, joules = point.peak_bytes, point.joules_per_image
    return [
        *(point.name, str(point.batch), str(point.threads)),
        *(_figure(value) for value in (point.ms_p50, point.ms_p90, point.ms_p99)),
        *(str(point.n), _figure(point.images_per_second)),
        "not available" if peak is None else f"{peak / 1e6:.1f}",
        "not available" if joules is None else _figure(joules),
    ]


def _figure(value: float) -> str:
    """With two places behind the point, small ones with three digits: none becomes zero.

    >>> [_figure(value) for value in (198.967, 1.5, 0.0421, 0.000481)]
    ['198.97', '1.50', '0.0421', '0.000481']
    """
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def _operators(point: Point) -> str:
    from convarium.cost.measured.operators import by_operator

    times = point.operators
    assert times is not None
    found = by_operator(times)
    shown = [(name, str(calls), ms) for name, calls, ms in found[:TOP_OPERATORS]]
    rest = found[TOP_OPERATORS:]
    if rest:
        calls, ms = sum(n for _, n, _ in rest), sum(ms for *_, ms in rest)
        shown.append(("(others)", str(calls), ms))
    shown.append(("(Python between operators)", "", times.ms_between))
    whole = times.ms_sum + times.ms_between
    rows = [[name, calls, f"{ms:.3f}", f"{100 * ms / whole:.1f}"] for name, calls, ms in shown]
    title = (
        f"{point.name}, batch {point.batch}, {counted(point.threads, 'thread')}: operators take "
        f"{times.ms_sum:.2f} ms of a pass of {times.ms_wall:.2f} ms "
        f"({100 * times.ms_sum / times.ms_wall:.1f} %)\n"
        f"(the clock's own {times.ms_clock:.2f} ms a pass are taken off)"
    )
    return f"{title}\n{columns(['operator', 'calls', 'ms', '%'], rows, right='lrrr')}"


def interference_text(found: Interference) -> str:
    """One line: was the machine ours alone."""
    if not found.disturbed:
        return "interference: none seen"
    said = f"interference: {'; '.join(found.reasons)}. Measure again on a quiet machine."
    return paragraph(said, indent=0)


def errors_text(done: Sitting) -> str:
    """What a calibration timed, and its own error on shapes held out of the fit."""
    rows = [[family, f"{100 * error:.0f} %"] for family, error in sorted(done.held_out.items())]
    left = f", {done.left_out} left out (disturbed)" if done.left_out else ""
    title = f"{done.key}: {done.shapes} shapes in {done.seconds:.0f} s{left}"
    lines = [title, columns(["held out of the fit", "mean error"], rows, right="lr", indent=2)]
    if done.not_timed:
        lines.append(f"not timed, charged as their next of kin: {', '.join(done.not_timed)}")
    return "\n".join(lines)


def check_text(reached: dict[str, Any]) -> str:
    """The networks of a check, and the figures reached; `reached` is `Check.to_dict()`."""
    rows = [
        [
            row["name"],
            *(f"{row[key]:.1f}" for key in ("best_ms", "median_ms", "predicted_ms")),
            *(_off(row[key], row["best_ms"]) for key in ("predicted_ms", "by_macs_ms")),
        ]
        for row in reached["rows"]
    ]
    header = ["network", "best ms", "median ms", "predicted ms", "error", "error by MACs alone"]
    lines = [columns(header, rows, right="lrrrrr"), reached_text(reached)]
    if reached["interference"]["disturbed"]:
        lines.append(f"interference: {'; '.join(reached['interference']['reasons'])}")
    return "\n".join(lines)


def reached_text(reached: dict[str, Any] | None) -> str:
    """The errors that a check reached, in a line; how to make one where there is none."""
    if reached is None:
        return "error on networks: not measured. Run: convarium bench --calibrate --check"
    model, alone = reached["model"], reached["macs_alone"]
    return (
        f"error on {len(reached['rows'])} networks not calibrated on: "
        f"{_percent(model['mean_error'])} mean, {_percent(model['worst_error'])} worst, "
        f"tau {_tau(model['tau'])}; by MACs alone {_percent(alone['mean_error'])}, "
        f"tau {_tau(alone['tau'])}; the machine repeats itself within "
        f"{_percent(reached['repeatability'])} (best of {reached['rounds']} rounds)"
    )


def predictions_text(found: list[Prediction], threads: int, reached: dict[str, Any] | None) -> str:
    """Predicted milliseconds of networks, with the model's own error below."""
    rate = _ms_per_gmac(reached)
    rows = [
        [
            *(one.name, str(one.batch_size), str(threads), _figure(one.ms)),
            _figure(1e3 * one.batch_size / one.ms),
            "" if rate is None else _figure(rate * one.macs / 1e9),
        ]
        for one in found
    ]
    header = ["network", "batch", "threads", "predicted ms", "images/s", "by MACs alone, ms"]
    lines = [columns(header, rows, right="lrrrrr"), reached_text(reached)]
    if reached is not None and any(one.batch_size != 1 for one in found):
        lines.append(f"that error was measured at batch 1, not at {found[0].batch_size}")
    strangers = dict.fromkeys(kind for one in found for kind in one.strangers)
    if strangers:
        lines.append(f"not calibrated, charged as their next of kin: {', '.join(strangers)}")
    return "\n".join(lines)


def _ms_per_gmac(reached: dict[str, Any] | None) -> float | None:
    return None if reached is None else reached.get("ms_per_gmac")


def _off(predicted: float, measured: float) -> str:
    return f"{100 * (predicted / measured - 1):+.1f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _tau(value: float | None) -> str:
    return "not available" if value is None else f"{value:.3f}"
