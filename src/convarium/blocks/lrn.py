"""Local response normalisation as AlexNet has it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class LocalResponseNorm(nn.Module):
    """b = a / (k + alpha * sum of a^2 over n neighbouring maps) ^ beta.

    The sum is the paper's: alpha is not divided by n, as torch.nn.LocalResponseNorm and Caffe do.
    Nothing here is a convolution, and nothing is trained.

    Source:
        AlexNet, section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75.
    """

    def __init__(
        self, *, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
    ) -> None:
        super().__init__()
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        squares = x.square().unsqueeze(1)  # (N, 1, C, H, W)
        padded = F.pad(squares, (0, 0, 0, 0, self.n // 2, (self.n - 1) // 2))
        mean = F.avg_pool3d(padded, (self.n, 1, 1), stride=1).squeeze(1)  # (N, C, H, W)
        return x / (self.k + self.alpha * self.n * mean).pow(self.beta)

    def extra_repr(self) -> str:
        return f"n={self.n}, k={self.k}, alpha={self.alpha}, beta={self.beta}"
