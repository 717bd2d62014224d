"""What is known of the networks that are built but that no paper's table has."""

from __future__ import annotations

from convarium.facts.ledger import family_facts, model_facts
from convarium.facts.model import Count, ModelFacts

# Family and native input, (channels, height, width) in pixels.
BEYOND_LEDGER: dict[str, tuple[str, tuple[int, int, int]]] = {
    "lenet_caffe": ("lenet", (1, 28, 28)),
    "extraction": ("darknet", (3, 224, 224)),
    "vgg_a_32px": ("vgg", (3, 32, 32)),
    "googlenet_32px": ("googlenet", (3, 32, 32)),
    "squeezenet_32px": ("squeezenet", (3, 32, 32)),
    "mobilenet_v1_050_32px": ("mobilenet", (3, 32, 32)),
}


def facts_of(name: str) -> ModelFacts:
    """The ledger's entry; of a network beyond it, its family's first paper and its input alone.

    Raises:
        UsageError: no network has that name (aliases are the catalog's).

    >>> facts_of("vgg_a_32px").input, facts_of("vgg_a_32px").confidence
    ((3, 32, 32), 'ours')
    """
    if name not in BEYOND_LEDGER:
        return model_facts(name)
    family, native = BEYOND_LEDGER[name]
    paper = next(iter(family_facts(family).values())).paper
    nothing = Count()
    return ModelFacts(name, family, paper, native, "ours", nothing, nothing, errors=(), layers=())
