"""A report with the predicted peaks of inference and training beside its counts."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from convarium.cost.memory import memory_of
from convarium.cost.report import CostReport, with_kept
from convarium.cost.step import Step
from convarium.errors import InputError


def with_peaks(report: CostReport, model: nn.Module, step: Step) -> CostReport:
    """The report with the peak of inference, and with that of a training step where `step` trains.

    Args:
        report: of `model`.
        model: any module.
        step: training or not, with which optimizer and precision.
    """
    runs = {"inference": Step(training=False, precision=step.precision)}
    if step.training:
        runs["training"] = step
        if step.precision != report.precision:
            report = with_kept(report, model, step.precision)
    peaks: dict[str, int | None] = dict.fromkeys(("inference", "training"))
    note = None
    for kind, run in runs.items():
        try:
            peaks[kind] = memory_of(
                model,
                report.input_size,
                name=report.name,
                batch_size=report.batch_size,
                step=run,
            ).peak_bytes
        except InputError as error:
            note = str(error)
    return replace(
        report,
        inference_peak_bytes=peaks["inference"],
        training_peak_bytes=peaks["training"],
        optimizer=step.optimizer if step.training else None,
        precision=step.precision,
        peak_note=note,
    )
