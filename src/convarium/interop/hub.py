"""The mixin of huggingface_hub, an extra: a network that can be saved to and loaded from there."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor, nn

from convarium import catalog
from convarium.errors import MissingExtraError
from convarium.facts import model_facts
from convarium.nets.build import build


@cache
def hub_class() -> Any:
    """The class `HubNetwork(name, num_classes=None, in_channels=None)`.

    It has save_pretrained, from_pretrained and push_to_hub of PyTorchModelHubMixin; its state dict
    has our names, and its card is `card(name)`.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import ModelCard, PyTorchModelHubMixin
    except ImportError as error:
        raise MissingExtraError("the hub's mixin needs huggingface_hub", "hub") from error

    class HubNetwork(nn.Module, PyTorchModelHubMixin, library_name="convarium"):
        """One of our networks with the mixin beside it."""

        def __init__(
            self, name: str, num_classes: int | None = None, in_channels: int | None = None
        ) -> None:
            super().__init__()
            self.network = build(name, num_classes=num_classes, in_channels=in_channels)
            self.name = catalog.find(name).name

        def forward(self, x: Tensor) -> Any:
            return self.network(x)

        def generate_model_card(self, *args: Any, **kwargs: Any) -> Any:
            return ModelCard(card(self.name))

    return HubNetwork


def card(name: str) -> str:
    """The text of a model card, filled from the facts: paper, counts, printed results, departures.

    Raises:
        UsageError: no network has that name.
    """
    row = catalog.find(name)
    facts = model_facts(row.name)
    paper = facts.paper
    link = f" ([arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv}))" if paper.arxiv else ""
    lines = [
        "---",
        "library_name: convarium",
        "pipeline_tag: image-classification",
        f"tags: [{facts.family}, convolutional-network]",
        "---",
        f"# {row.name}",
        "",
        f"{paper.authors}, *{paper.title}*, {paper.venue} {paper.year}{link}.",
        "",
        f"- Input: {'x'.join(map(str, facts.input))} (channels, height, width)",
    ]
    for what, count in (("Parameters", facts.params), ("Multiply-adds", facts.macs)):
        exact = f"{count.exact:,}" if count.exact is not None else "not available: not counted"
        printed = f"; the paper prints {count.printed}" if count.printed else ""
        lines.append(f"- {what}: {exact}{printed}")
    lines += ["", "## What the paper prints of it", ""]
    lines += [_result(error) for error in facts.errors] or ["Nothing of this very network."]
    lines += ["", "These are the paper's results, not those of the weights in this repository."]
    if row.departures:
        lines += ["", "## Where it departs", "", *(f"- {line}" for line in row.departures)]
    call = f'create_model("{row.name}")'
    lines += ["", "## Use", "", "```python", "from convarium import create_model", call, "```", ""]
    return "\n".join(lines)


def _result(error: Any) -> str:
    pairs = (("top-1", error.top1), ("top-5", error.top5), ("mAP", error.mAP), ("AP", error.AP))
    numbers = ", ".join(f"{what} {value} %" for what, value in pairs if value is not None)
    return f"- {error.dataset}, {error.protocol}: {numbers} ({error.source})"
