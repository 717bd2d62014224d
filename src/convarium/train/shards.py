"""A network in shards: each process keeps a part of every tensor (FSDP2)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from convarium.train.together import Alone
from convarium.train.world import World


class Shards(Alone):
    """A part of each tensor on each process (FSDP2): each row of layers is whole while it runs."""

    def __init__(self, model: nn.Module, world: World) -> None:
        mesh = init_device_mesh(next(model.parameters()).device.type, (world.size,))
        for child in model.children():
            called = not isinstance(child, (nn.ModuleList, nn.ModuleDict))
            if called and any(True for _ in child.parameters()):
                fully_shard(child, mesh=mesh)
        fully_shard(model, mesh=mesh)  # in place
        super().__init__(model, world)
        for part in self._parts():
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)  # gloo knows no mean

    def _parts(self) -> Iterator[FSDPModule]:
        return (part for part in self.model.modules() if isinstance(part, FSDPModule))

    @contextmanager
    def part(self, last: bool) -> Iterator[None]:
        """The last part's backward pass sums the gradients over the ranks."""
        assert isinstance(self.model, FSDPModule)
        self.model.set_requires_gradient_sync(last)
        with warnings.catch_warnings():
            # Of networks that end in a flattened pool; nothing is added to their logits in place.
            warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")
            yield

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gathered one after the other, on all ranks."""
        return {k: t.full_tensor() if isinstance(t, DTensor) else t for k, t in tensors.items()}

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each tensor split as its parameter is."""
        parameters = dict(self.model.named_parameters())
        found = {}
        for name, whole in tensors.items():
            tensor = whole
            part, rest = name.split("/", 1)
            p = parameters.get(rest.rsplit("/", 1)[0] if part == "optimizer" else rest)
            if isinstance(p, DTensor) and tensor.shape == p.shape and p.dim() > 0:
                tensor = distribute_tensor(tensor.to(p.device), p.device_mesh, p.placements)
            found[name] = tensor
        return found

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Each has the whole network meanwhile, with rank 0's running values of batch norm."""
        for buffer in self.model.buffers():
            dist.broadcast(buffer, src=0)
        parts = list(self._parts())
        for part in parts:
            part.unshard()
            part.set_reshard_after_forward(False)
        yield
        for part in parts:
            part.set_reshard_after_forward(part is not self.model)
            part.reshard()

    def finished(self, network: nn.Module) -> nn.Module:
        """Filled from the shards; the trained network itself stays in shards."""
        tensors = self.whole(dict(self.model.state_dict()))
        if self.world.first:
            network.load_state_dict(tensors)
        return network
