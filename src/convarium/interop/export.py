"""Our networks' weights out, in our names or in those of a library that has an equal network."""

from __future__ import annotations

import os

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from convarium.errors import UsageError, unknown_name
from convarium.files import system_error, written_whole
from convarium.interop.layers import layers_of
from convarium.interop.load import names_for

NAMES = ("convarium", "torchvision", "timm", "akamaster")


def export_weights(
    model: nn.Module, path: str | os.PathLike[str], *, names: str = "convarium"
) -> None:
    """Writes all weights to a safetensors file, which appears only when complete.

    The numbers are the model's own, bit for bit; `load_weights` brings them back the same. The
    epsilon of the batch norms and the network's name stand in the file's metadata ("norm_eps",
    "network").

    Args:
        model: a network of ours.
        path: of the file to write.
        names: "convarium", or "torchvision", "timm", "akamaster" where that library has the equal
            network.

    Raises:
        UsageError: no such names, or no equal network there.
        InputError: the place cannot be written to.
        ExhaustedError: the disk is full.
    """
    tensors = {key: t.contiguous() for key, t in exported(model, names).items()}
    eps = {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    metadata = {"format": "pt", "schema": "convarium/1", "names": names}
    network = getattr(model, "catalog_name", None)
    if isinstance(network, str):
        metadata["network"] = network
    if len(eps) == 1:
        metadata["norm_eps"] = repr(eps.pop())
    with written_whole(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:
            raise system_error(error) from error


def exported(model: nn.Module, names: str) -> dict[str, Tensor]:
    """The state dict of `model` under the names of `names`, each tensor with memory of its own.

    Raises:
        UsageError: no such names, no equal network there, or a network without numbers.
    """
    if names not in NAMES:
        raise unknown_name("set of names", names, NAMES)
    state = model.state_dict()
    if any(tensor.is_meta for tensor in state.values()):
        raise UsageError("the network lies on the meta device and has no weights to write.")
    spellings = names_for(model, names)
    if not spellings:
        raise UsageError(f"{names} has no network equal to this one; write names='convarium'.")
    chosen = spellings[0]
    if chosen.differs is not None:
        raise UsageError(f"{names}'s network is not equal: {chosen.differs}.")
    tensors: dict[str, Tensor] = {}
    for layer in layers_of(model, whole=names != "convarium"):
        for role, keys in layer.keys.items():
            pieces = [state[key].detach().cpu() for key in keys]
            whole = torch.cat(pieces) if len(pieces) > 1 else pieces[0].clone()
            side = chosen.kernels.get(layer.name, 0) if role == "weight" else 0
            if side:
                whole = whole.reshape(whole.shape[0], -1, side, side)
            tensors[f"{chosen.theirs[layer.name]}.{role}"] = whole
    return tensors
