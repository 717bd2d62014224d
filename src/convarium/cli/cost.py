"""`convarium cost`: counts a network's price from the network itself, at any input size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from convarium import api, catalog
from convarium.cli.names import NetworkNames
from convarium.cli.output import AsJson, print_json
from convarium.cli.text import columns, shape, short
from convarium.errors import UsageError

if TYPE_CHECKING:
    from convarium.cost.report import CostReport


def cost(
    names: NetworkNames,
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="CxHxW",
            help="Channels, height, width in pixels; each network's native size when left out.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Count parameters and multiply-adds (MACs) of networks; for one network, layer by layer.

    Counted on the meta device: nothing is computed. FLOPs are 2 x MACs.

    \b
    Example: convarium cost vgg_d --input 3x160x160
    Example: convarium cost lenet5 resnet20_cifar --input 1x32x32 --json
    """
    size = None if input_size is None else parse_size(input_size)
    found = list(dict.fromkeys(catalog.find(name).name for name in names))
    reports = [_measure(name, size, batch) for name in found]
    if as_json:
        dicts = [report.to_dict() for report in reports]
        print_json(dicts[0] if len(dicts) == 1 else {"models": dicts})
        return
    if len(reports) == 1:
        print(f"{_rows(reports[0])}\n")
    print(_totals(reports))


def parse_size(text: str) -> tuple[int, int, int]:
    """(channels, height, width) of a text such as "3x224x224".

    Raises:
        UsageError: it has another form.

    >>> parse_size("3x224x224")
    (3, 224, 224)
    """
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})x([1-9]\d{0,4})", text.lower())
    if match is None:
        raise UsageError(f"--input {text!r} is not CHANNELSxHEIGHTxWIDTH, such as 3x224x224.")
    channels, height, width = map(int, match.groups())
    return channels, height, width


def _measure(name: str, size: tuple[int, ...] | None, batch: int) -> CostReport:
    """The cost by name; a network for another number of channels is built for them."""
    if size is None or size[0] == catalog.facts_of(name).input[0]:
        return api.measure_cost(name, size, batch_size=batch)
    import torch

    from convarium.cost.report import cost_of

    row = catalog.find(name)
    with torch.device("meta"):
        model = api.create_model(name, in_channels=size[0])
    return cost_of(model, size, name=name, batch_size=batch, mode=row.traced)


def _rows(report: CostReport) -> str:
    rows = [
        (
            row.name,
            row.kind,
            shape(row.output_shape),
            f"{row.params:,}" if row.params else "",
            f"{row.macs:,}" if row.macs else "",
            f"{row.activation_bytes / 1e6:.2f} MB",
            "all" if row.receptive_field is None else str(row.receptive_field),
        )
        for row in report.rows
    ]
    header = ("layer", "kind", "output", "params", "MACs", "activation", "field")
    return columns(header, rows, right="lllrrrr")


def _totals(reports: list[CostReport]) -> str:
    rows = [
        (
            report.name,
            shape((report.batch_size, *report.input_size)),
            f"{report.params:,}",
            f"{report.macs:,}",
            short(2 * report.macs),
            f"{4 * report.params / 1e6:.2f} MB",
            "" if report.status == "exact" else f"lower bound: {', '.join(report.unknown_ops)}",
        )
        for report in reports
    ]
    header = ("network", "input", "params", "MACs", "FLOPs", "as float32", "")
    return columns(header, rows, right="llrrrr")
