"""`convarium convert`: weights of another program -> safetensors, in our names or theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convarium.cli.names import complete
from convarium.cli.output import AsJson, print_json


def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="safetensors, .pth, .npz, .caffemodel or codebook file."),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file to write.")],
    network: Annotated[
        str,
        typer.Option(metavar="NAME", help="A network or an alias.", autocompletion=complete),
    ],
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="SOURCE", help="Whose names IN has; guessed when left out."),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="NAMES", help="convarium, torchvision, timm, akamaster.")
    ] = "convarium",
    classes: Annotated[
        int | None, typer.Option(help="Outputs of the classifier; the paper's number if left out.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="Channels of the picture; the paper's number if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert weights between the names of convarium, torchvision, timm, Caffe and Keras.

    Every layer is checked before OUT is written; another network's weights are refused with the
    first difference.

    \b
    Example: convarium convert vgg16.caffemodel vgg16.safetensors --network vgg16 --to torchvision
    """
    from convarium import api, catalog

    name = catalog.find(network).name
    model = api.create_model(name, num_classes=classes, in_channels=channels)
    report = api.load_weights(model, source, source=from_)
    api.export_weights(model, target, names=to)
    numbers = sum(tensor.numel() for tensor in model.state_dict().values())
    if as_json:
        fields = {"model": name, "file": str(target), "names": to, "numbers": numbers}
        print_json(fields | report.to_dict())
        return
    print(f"{source} has {name} in {report.source}'s names: {len(report.loaded)} layers read")
    for note in report.notes:
        print(f"note: {note}")
    print(f"{target} written in {to}'s names: {numbers:,} numbers")
