"""Initial values of large layers in no time, for tests that need some values and no law of theirs.

Half the time of the tests of weights went into 100 million normal numbers at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

DRAWN = 65_521  # a prime, so that rows and filters of a layer differ


def _repeated(real: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def fill(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self.numel() <= DRAWN or self.device.type != "cpu":
            return real(self, *args, **kwargs)
        with torch.no_grad():
            some = real(torch.empty(DRAWN, dtype=self.dtype), *args, **kwargs)
            times = -(-self.numel() // DRAWN)
            return self.copy_(some.repeat(times)[: self.numel()].view(self.shape))

    return fill


@contextmanager
def quick_values() -> Iterator[None]:
    """Within, `normal_` and `uniform_` of a large tensor draw a part of it and repeat that."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("normal_", "uniform_"):
            patch.setattr(torch.Tensor, name, _repeated(getattr(torch.Tensor, name)))
        yield
