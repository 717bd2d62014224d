"""A behavioural copy of torchvision's reference training of classifiers, for comparisons.

torchvision's references/classification/train.py and presets.py, with their defaults: pictures go
through PIL transforms one by one in a DataLoader with a random sampler; float32, contiguous; SGD
with momentum and no `foreach` or `fused` asked for; loss and top-1/top-5 accuracy are read at each
step. Their 16 workers are bounded to what the caller says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms
from torchvision.transforms import InterpolationMode

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ArrayPictures(Dataset):
    """Small pictures (M, H, W, 3) uint8 in memory, as torchvision.datasets.CIFAR10 has them."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.labels = pixels, labels.astype(np.int64)
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(pixels.shape[1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.pixels[index])
        return self.transform(picture), int(self.labels[index])


class FilePictures(Dataset):
    """Photographs as torchvision.datasets.ImageFolder with ClassificationPresetTrain has them."""

    def __init__(self, paths: list[Path], labels: list[int], side: int = 224) -> None:
        self.paths, self.labels = paths, labels
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(side, interpolation=InterpolationMode.BILINEAR),
                transforms.RandomHorizontalFlip(),
                transforms.PILToTensor(),
                transforms.ConvertImageDtype(torch.float),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with self.paths[index].open("rb") as file:
            picture = Image.open(file).convert("RGB")
        return self.transform(picture), self.labels[index]


def reference_steps(
    model: nn.Module, data: Dataset, *, batch: int, lr: float, workers: int
) -> Iterator[float]:
    """Trains as train_one_epoch does, for ever; yields each step's loss behind it."""
    model.train()
    criterion = nn.CrossEntropyLoss(label_smoothing=0.0)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4, nesterov=False
    )
    sampler = RandomSampler(data)  # type: ignore[arg-type]
    loader = DataLoader(
        data, batch_size=batch, sampler=sampler, num_workers=workers, drop_last=True
    )
    while True:
        for image, target in loader:
            output = model(image)
            loss = criterion(output, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            acc1, acc5 = accuracy(output, target, (1, min(5, output.shape[1])))
            read = loss.item()
            acc1.item()
            acc5.item()
            yield read


def accuracy(output: Tensor, target: Tensor, ks: tuple[int, ...]) -> list[Tensor]:
    """Top-k shares of right answers, as utils.accuracy has it."""
    with torch.inference_mode():
        _, predicted = output.topk(max(ks), 1, True, True)
        correct = predicted.t().eq(target[None])
        return [correct[:k].flatten().sum(dtype=torch.float32) / len(target) for k in ks]
