"""AlexNet's two towers, each in a process or on a device of its own: model parallelism of 2012.

Krizhevsky, Sutskever & Hinton 2012, section 3.2 and figure 2: the GPUs exchange maps before conv3
and neurons from fc6 on. Between processes each exchange is an all-gather of both halves; between
two devices of one process it is the network's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from convarium.blocks.inputs import check_map, check_picture
from convarium.errors import UsageError
from convarium.nets.alexnet import AlexNet2GPU, Tower
from convarium.train.masks import pass_over
from convarium.train.together import Alone
from convarium.train.world import World


class OneTower(nn.Module):
    """The tower of `rank` 0 or 1, and fc8, under the names that they have in AlexNet2GPU.

    fc8 sees both towers. Both ranks compute it, from the same neurons with the same weights, so
    both have the logits (N, num_classes) and the loss.
    """

    def __init__(self, net: AlexNet2GPU, rank: int) -> None:
        super().__init__()
        self.in_channels, self._name = net.in_channels, f"tower{rank + 1}"
        self.add_module(self._name, (net.tower1, net.tower2)[rank])
        self.fc8 = net.fc8

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="AlexNet", channels=self.in_channels, least=67)
        tower = self.get_submodule(self._name)
        assert isinstance(tower, Tower)
        maps = tower.run("conv1", "pool2", x)  # (N, 128, 13, 13)
        maps = tower.run("conv3", "pool5", exchange(maps))  # (N, 128, 6, 6)
        check_map(maps, net="AlexNet", layer="fc6", side=6, native=227)
        half = self._dropping(tower, "6", exchange(maps).flatten(1))  # (N, 2048)
        half = self._dropping(tower, "7", exchange(half))  # (N, 2048)
        return self.fc8(exchange(half, same_use=True))  # (N, num_classes)

    def _dropping(self, tower: Tower, number: str, x: Tensor) -> Tensor:
        """fc6 or fc7 with its dropout, whose draw is the first or second of both towers'."""
        second = self._name == "tower2"
        if self.training and second:
            pass_over()
        x = tower.run(f"fc{number}", f"drop{number}", x)
        if self.training and not second:
            pass_over()
        return x


def exchange(half: Tensor, *, same_use: bool = False) -> Tensor:
    """Both ranks' halves (N, C, ...) side by side, rank 0's first: (N, 2 C, ...), on both.

    Going back, each rank's half gets the gradients of both ranks' uses. With `same_use` both do the
    very same with the result, which counts once.
    """
    return _Exchange.apply(half, same_use)


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, half: Tensor, same_use: bool) -> Tensor:
        ctx.width, ctx.same_use = half.shape[1], same_use
        half = half.contiguous()
        halves = [torch.empty_like(half) for _ in range(2)]
        dist.all_gather(halves, half)
        return torch.cat(halves, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if not ctx.same_use:
            gradient = gradient.contiguous().clone()
            dist.all_reduce(gradient)
        return gradient.narrow(1, ctx.width * dist.get_rank(), ctx.width).contiguous(), None


class Towers(Alone):
    """One tower on each of two processes, which both see the whole batch."""

    def __init__(self, model: nn.Module, world: World) -> None:
        if not isinstance(model, AlexNet2GPU):
            raise UsageError("--model-parallel is for alexnet_2gpu, the network of two towers.")
        super().__init__(OneTower(model, world.rank), world)

    def clip(self, most: float) -> None:
        """As torch's, over both towers and fc8."""
        squares: dict[bool, list[Tensor]] = {True: [], False: []}
        gradients = []
        for name, p in self.model.named_parameters():
            if p.grad is not None:
                squares[name.startswith("fc8.")].append(p.grad.norm().square())
                gradients.append(p.grad)
        towers = torch.stack(squares[False]).sum()
        dist.all_reduce(towers)
        norm = (towers + torch.stack(squares[True]).sum()).sqrt()
        torch._foreach_mul_(gradients, (most / (norm + 1e-6)).clamp(max=1.0))

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rank 1's tower is sent to rank 0."""
        return self.world.all_tensors(tensors)

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Without the other tower's."""
        other = f"/tower{2 - self.world.rank}."
        return {name: tensor for name, tensor in tensors.items() if other not in name}

    def finished(self, network: nn.Module) -> nn.Module:
        """Both towers, in one network of rank 0."""
        tensors = self.whole({k: t.detach() for k, t in self.model.state_dict().items()})
        if self.world.first:
            network.load_state_dict(tensors)
        return network


class Spread(Alone):
    """One process with a tower on each of two devices; pictures and logits are on the first.

    Tested with a processor and a GPU, not with two GPUs: no machine of the project has them.
    """

    def __init__(self, model: nn.Module, world: World) -> None:
        if not isinstance(model, AlexNet2GPU):
            raise UsageError("--devices is for alexnet_2gpu, the network of two towers.")
        super().__init__(model, world)
        self._towers = model
        self._place()

    def _place(self) -> None:
        first, second = self.world.devices
        self._towers.spread(first, second)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Whoever asks puts the whole network on one device; behind it each tower is back."""
        try:
            yield
        finally:
            self._place()
