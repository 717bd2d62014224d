"""How the processes of a run share a network: alone or as copies (DDP).

In shards (FSDP2) it is `convarium.train.shards`; the two towers of AlexNet, each in a process or on
a device, are `convarium.train.towers`. Both are loaded where they are asked for.
"""

# DDP reads its hook's annotations as types: they may not be put off into text here.
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from convarium.errors import UsageError
from convarium.recipes import Recipe
from convarium.train.batch_norm import synchronise
from convarium.train.world import World


class Alone:
    """One process with the whole network. `model` is trained, `called` is asked for answers."""

    def __init__(self, model: nn.Module, world: World) -> None:
        self.model, self.world = model, world
        self.called = model

    def part(self, last: bool) -> AbstractContextManager[Any]:
        """Around the forward and backward pass of a part of the batch; `last` is its last part."""
        return nullcontext()

    def clip(self, most: float) -> None:
        """Scales the gradients so that the norm of all together is at most `most`."""
        nn.utils.clip_grad_norm_(self.model.parameters(), most)

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """On rank 0 all tensors of the run, each whole, from what each rank has."""
        return dict(tensors)

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This rank's part of what `whole` gave."""
        return dict(tensors)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Within, `model` answers without the other ranks, or all answer the same."""
        yield

    def finished(self, network: nn.Module) -> nn.Module:
        """The network as the caller knows it, on rank 0 with all that was trained."""
        return network


class Copies(Alone):
    """A copy on each process; gradients are summed, since each rank's loss is its share."""

    def __init__(self, model: nn.Module, world: World) -> None:
        super().__init__(model, world)
        devices = [torch.cuda.current_device()] if _on_cuda(model) else None
        # Layers may be passed over by chance; and buckets that are searched for them stay as they
        # were first made, so that a resumed run sums in the same order.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
            self._copy = DistributedDataParallel(
                _Called(model),
                device_ids=devices,
                broadcast_buffers=False,
                find_unused_parameters=True,
            )
        self._copy.register_comm_hook(None, _summed)
        self.called = self._copy

    def part(self, last: bool) -> AbstractContextManager[Any]:
        """The last part's backward pass sums the gradients over the ranks."""
        return nullcontext() if last else self._copy.no_sync()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Each asks a copy with rank 0's running values of batch norm."""
        for buffer in self.model.buffers():
            dist.broadcast(buffer, src=0)
        yield


class _Called(nn.Module):
    """The network and one parameter that is never used: DDP warns where it searches in vain."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.never_used = nn.Parameter(next(model.parameters()).new_zeros(1))

    def forward(self, x: Tensor) -> Any:
        return self.model(x)


def _summed(state: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """DDP's own hook divides by the number of ranks; this one sums."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


def _on_cuda(model: nn.Module) -> bool:
    return any(p.is_cuda for p in model.parameters())


def share_out(model: nn.Module, world: World, recipe: Recipe) -> Alone:
    """The network, placed and with its first values, as this world's mode shares it.

    Raises:
        UsageError: a network or recipe that cannot be shared so.
    """
    if world.mode == "devices":
        from convarium.train.towers import Spread

        return Spread(model, world)
    if world.size == 1:
        return Alone(model, world)
    if world.sync_bn:
        synchronise(model)
    if recipe.optimizer == "sdlm" and world.mode != "copies":
        raise UsageError("LeCun's second-order method takes whole networks; leave the option out.")
    if world.mode == "towers":
        from convarium.train.towers import Towers

        return Towers(model, world)
    if world.mode == "copies":
        return Copies(model, world)
    if recipe.average is not None or recipe.max_filter_rms is not None:
        raise UsageError(
            "--shard takes no running mean of the weights and no bound on filters: "
            "add --set average=none --set max_filter_rms=none."
        )
    from convarium.train.shards import Shards

    return Shards(model, world)
