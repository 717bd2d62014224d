"""The public functions, a few lines each. Torch is imported by those that need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING

from convarium.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from convarium.cost.memory import MemoryReport
    from convarium.cost.report import CostReport
    from convarium.facts import ModelFacts
    from convarium.interop import LoadReport
    from convarium.verify.difference import Difference
    from convarium.verify.verdict import Verdict


def model_facts(name: str) -> ModelFacts:
    """What the paper prints of a network, by its name or an alias (frozen; the ledger's entry).

    Raises:
        UsageError: no network has that name.

    >>> model_facts("vgg16").params.printed
    '138M (Table 2)'
    """
    from convarium import catalog, facts

    return facts.model_facts(catalog.ALIASES.get(name, name))


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    weights: str | PathLike[str] | None = None,
) -> nn.Module:
    """The network of the paper, with the paper's initial values; works under torch.device("meta").

    Args:
        name: a network or an alias, see `list_models`.
        num_classes: outputs of the classifier; the paper's number when None.
        in_channels: channels of the input picture; the paper's number when None.
        weights: a file that `load_weights` takes: convarium's safetensors, or another program's.

    Returns:
        A module whose forward takes images (N, C, H, W) float32 and gives logits (N, classes).

    Raises:
        UsageError: no such network, or an argument that it does not take.
        InputError: the weights are not this network's.
    """
    from convarium.nets.build import build

    model = build(name, num_classes=num_classes, in_channels=in_channels)
    if weights is not None:
        load_weights(model, weights)
    return model


def measure_cost(
    model_or_name: nn.Module | str,
    input_size: tuple[int, ...] | None = None,
    *,
    batch_size: int = 1,
    training: bool = False,
    device: str = "meta",
) -> CostReport:
    """Parameters and multiply-adds of a network, in total and row by row.

    Args:
        model_or_name: any module, or a network's name. By name, a network whose heads run in
            training only is traced in train mode, so that the count holds all of it.
        input_size: (C, H, W) in pixels; the network's native one when None and a name is given.
        batch_size: pictures at once.
        training: trace the forward pass of train mode, and count the backward pass too.
        device: where to trace; "meta" computes nothing and needs no memory.

    Raises:
        UsageError: unknown name, or a module without an input size.
    """
    from convarium.cost.report import cost_of

    model, name, mode, input_size = _on_meta(model_or_name, input_size, training)
    return cost_of(
        model,
        input_size,
        name=name,
        batch_size=batch_size,
        training=training,
        mode=mode,
        device=device,
    )


def verify(name: str) -> list[Verdict]:
    """A network, by its name or an alias, held against every number and row its paper prints.

    Raises:
        UsageError: no network has that name.
    """
    from convarium.verify.engine import verify as verify_network

    return verify_network(name)


def predict_memory(
    model_or_name: nn.Module | str,
    input_size: tuple[int, ...] | None = None,
    *,
    batch_size: int = 1,
    training: bool = True,
    optimizer: str | None = "sgd",
    precision: str = "fp32",
) -> MemoryReport:
    """Peak memory of one step on the CPU, in bytes, and what makes it up; no weight is read.

    Nothing is computed either, but for a network that reads a tensor's value: it runs one step on
    a copy, and `traced_on` of the report says so.

    Args:
        model_or_name: any module, or a network's name.
        input_size: (C, H, W) in pixels; the network's native one when None and a name is given.
        batch_size: pictures at once.
        training: a whole training step; a forward pass without gradients otherwise.
        optimizer: "sgd", "momentum", "adam", or None for gradients alone.
        precision: "fp32", or "bf16" under autocast.

    Raises:
        UsageError: an unknown name, optimizer or precision, or a module without an input size.
        InputError: the forward pass fails.
    """
    from convarium.cost.memory import memory_of
    from convarium.cost.step import Step

    step = Step(training, optimizer, precision)
    model, name, mode, input_size = _on_meta(model_or_name, input_size, training)
    return memory_of(model, input_size, name=name, batch_size=batch_size, step=step, mode=mode)


def max_batch(
    model_or_name: nn.Module | str,
    input_size: tuple[int, ...] | None = None,
    *,
    limit_bytes: int,
    training: bool = True,
    optimizer: str | None = "sgd",
    precision: str = "fp32",
) -> int:
    """The largest batch whose predicted peak fits in `limit_bytes`; 0 where one picture does not.

    For a network that reads tensors' values, peaks of batches up to 4 are measured and carried on.
    The other arguments and errors are those of `predict_memory`.
    """
    from convarium.cost.memory_fit import fit_of
    from convarium.cost.step import Step

    step = Step(training, optimizer, precision)
    model, name, mode, size = _on_meta(model_or_name, input_size, training)
    fit = fit_of(model, size, name=name, limit_bytes=limit_bytes, step=step, mode=mode)
    return fit.max_batch


def _on_meta(
    model_or_name: nn.Module | str, input_size: tuple[int, ...] | None, training: bool
) -> tuple[nn.Module, str, str | None, tuple[int, ...]]:
    """The module, its name, the mode to run it in (None: as `training` has it), its input size."""
    import torch

    if input_size is not None and not _is_size(input_size):
        raise UsageError(f"input_size={input_size!r} is no (C, H, W), such as (3, 224, 224).")
    if isinstance(model_or_name, torch.nn.Module):
        if input_size is None:
            raise UsageError(
                "a module needs input_size=(C, H, W); only a network's name brings one."
            )
        return model_or_name, type(model_or_name).__name__, None, input_size
    if not isinstance(model_or_name, str):
        kind = type(model_or_name).__name__
        raise UsageError(f"give a network's name or a torch.nn.Module, not a {kind}.")
    from convarium import catalog, facts

    row = catalog.find(model_or_name)
    with torch.device("meta"):
        model = create_model(row.name)
    size = input_size or facts.model_facts(row.name).input
    return model, row.name, "train" if training else row.traced, size


def _is_size(value: object) -> bool:
    """A tuple or list of whole numbers; that none is 0 is looked at where a picture is made."""
    return isinstance(value, (tuple, list)) and all(type(side) is int for side in value)


def diff(
    a: nn.Module | str,
    b: nn.Module | str,
    *,
    input_size: tuple[int, ...] | None = None,
    first_values: bool = False,
) -> Difference:
    """Two networks, aligned layer by layer: what differs, and what it adds to params and MACs.

    Args:
        a: a network or an alias, "torchvision:NAME", "timm:NAME", the path of a layer table that
            ends with .json, or a module.
        b: likewise; differences are those of b less those of a.
        input_size: (C, H, W) in pixels for both; each network's native one when None.
        first_values: build both with their initial values and compare those too.

    Raises:
        UsageError: unknown name, or modules without an input size.
        InputError: a layer table that cannot be read.
        MissingExtraError: timm is named and not installed.
    """
    from convarium.verify.difference import difference
    from convarium.verify.sides import both_sides

    return difference(*both_sides(a, b, input_size=input_size, first_values=first_values))


def load_weights(
    model: nn.Module,
    state_dict_or_path: Mapping[str, Tensor] | str | PathLike[str],
    *,
    source: str | None = None,
    keep_other_sizes: bool = False,
) -> LoadReport:
    """Fills a network with weights of convarium, torchvision, timm, akamaster, Caffe or Keras.

    Args:
        model: from `create_model`.
        state_dict_or_path: a state dict or a file, which is not trusted.
        source: whose names they have; guessed when None (see `convarium.interop.load`).
        keep_other_sizes: a classifier and a first layer of other sizes keep their values.

    Raises:
        InputError: another network's weights, with the first difference; the model is unchanged.
        UsageError: no such source.
    """
    from convarium.interop import load_weights as load

    return load(model, state_dict_or_path, source=source, keep_other_sizes=keep_other_sizes)


def export_weights(
    model: nn.Module, path: str | PathLike[str], *, names: str = "convarium"
) -> None:
    """Writes a network's weights as safetensors in our names, torchvision's or timm's.

    Args:
        model: from `create_model`.
        path: of the file to write.
        names: "convarium", or "torchvision", "timm", "akamaster" where the network is equal.

    Raises:
        UsageError: no such names, or no equal network there.
    """
    from convarium.interop import export_weights as export

    export(model, path, names=names)


def features_at(model: nn.Module, x: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """The outputs of the named stages ("conv3_1", "inception_4e", "fire5") for images `x`.

    Args:
        model: from `create_model`.
        x: images (N, C, H, W) float32.
        names: the paper's names of stages, or whole paths.

    Raises:
        UsageError: no such stage.
    """
    from convarium.interop import features_at as tap

    return tap(model, x, names)


def freeze(model: nn.Module, stage: str) -> int:
    """Fixes a network from the picture to the end of `stage`; gives how many numbers it fixed.

    Args:
        model: from `create_model`.
        stage: the paper's name of a stage, such as "conv3_x".

    Raises:
        UsageError: no such stage.
    """
    from convarium.interop import freeze as fix

    return fix(model, stage)
