"""One page a family: prose by hand, numbers from the facts, the catalog and `verify`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import training
from convarium import facts
from convarium.api import verify
from convarium.catalog import ALIASES, CATALOG
from convarium.cost.table import totals
from convarium.departures import departures_of
from convarium.report.blocks import block_svg
from convarium.verify.verdict import Verdict, number
from pieces import folded, page, plain, table

PROSE = Path(__file__).parent.parent / "families" / "prose"
_BY_HAND = "ledger, counted by hand"

# Family: the blocks that are drawn (network, how its rows' names begin, what the drawing shows).
BLOCKS: dict[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    "lenet": (("lenet5", ("",), "LeNet-5, whole"),),
    "alexnet": (("alexnet_2gpu", ("conv", "norm", "pool"), "The convolutional part"),),
    "zfnet": (("zfnet", ("conv", "norm", "pool"), "The convolutional part"),),
    "nin": (("nin_cifar10", ("conv1", "cccp1", "cccp2", "pool1"), "An mlpconv layer"),),
    "vgg": (("vgg_d", ("conv3", "pool3"), "Three 3x3 convolutions see 7x7"),),
    "googlenet": (
        ("googlenet", ("inception_3a/",), "Inception module 3a"),
        ("inception_naive", ("",), "The naive module, without reductions"),
    ),
    "resnet": (
        ("resnet34_b", ("conv2_1/",), "A block of two 3x3 convolutions"),
        ("resnet50", ("conv3_1/",), "A bottleneck that halves the side and projects"),
    ),
    "preact_resnet": (("preact_resnet164", ("conv2_2/",), "A bottleneck of 164 layers' network"),),
    "wide_resnet": (("wrn_28_10", ("conv2_1/",), "The first block of WRN-28-10"),),
    "resnext": (("resnext50_32x4d", ("conv2_2/",), "32 paths as one grouped convolution"),),
    "stochastic_depth": (
        ("stochastic_depth_110", ("conv2_2/",), "The branch on the left is what a coin drops"),
    ),
    "fractalnet": (("fractalnet20_c3_cifar", ("block1/",), "A fractal of three columns"),),
    "densenet": (
        ("densenet121", ("block1_1/", "block1_2/", "block1_3/"), "Three layers of a dense block"),
    ),
    "squeezenet": (
        ("squeezenet1_0", ("fire4/",), "Fire module 4"),
        ("squeezenet_complex_bypass", ("fire4/",), "The same with complex bypass"),
    ),
    "mobilenet": (
        ("mobilenet_v1_100_224", ("conv2/", "conv3/"), "Two depthwise separable layers"),
    ),
    "darknet": (
        ("darknet19", ("conv3", "conv4", "conv5", "pool5"), "A reduction between two 3x3"),
        ("darknet53", ("conv3", "residual2_1/"), "A residual pair of Darknet-53"),
    ),
}


def families() -> dict[str, str]:
    """Every file of docs/families that is generated: its path below docs and its text."""
    files: dict[str, str] = {}
    for family, blocks in BLOCKS.items():
        for place, (network, prefixes, _) in enumerate(blocks, start=1):
            files[f"families/svg/{family}-{place}.svg"] = block_svg(network, *prefixes)
        files[f"families/{family}.md"] = family_page(family)
    return files


def family_page(family: str) -> str:
    """The Markdown of one family."""
    names = [row.name for row in CATALOG.values() if row.family == family]
    verdicts = [v for name in names for v in verify(name)]
    return page(
        (PROSE / f"{family}.md").read_text("utf-8"),
        _papers(names),
        "## The block\n\nDrawn from the rows of the paper's table; maps x height x width below.",
        *_drawings(family),
        _networks(names),
        _numbers(verdicts),
        _rows(BLOCKS[family][0][0], verdicts),
        _results(names),
        _departures(names),
        _verdicts(verdicts),
        _peers(names),
        training.section(family, names),
    )


def _papers(names: Sequence[str]) -> str:
    papers = dict.fromkeys(facts.model_facts(name).paper for name in names)
    lines = [
        f"- {plain(p.authors)}: *{plain(p.title)}*. {p.venue}, {p.year}"
        + (f" (<https://arxiv.org/abs/{p.arxiv}>)" if p.arxiv else "")
        for p in papers
    ]
    return "\n".join(lines)


def _drawings(family: str) -> list[str]:
    return [
        f"![{caption}](svg/{family}-{place}.svg)\n\n*{caption}: `{network}`.*"
        for place, (network, _, caption) in enumerate(BLOCKS[family], start=1)
    ]


def _networks(names: Sequence[str]) -> str:
    also = {name: [alias for alias, of in ALIASES.items() if of == name] for name in names}
    rows = [
        (
            f"`{name}`" + "".join(f", `{alias}`" for alias in also[name]),
            "x".join(map(str, totals(name).input)),
            totals(name).params,
            totals(name).macs,
        )
        for name in names
    ]
    told = "Parameters and multiply-adds (MACs, one picture of this input) are counted."
    header = ("network", "input", "parameters", "MACs")
    return f"## The networks\n\n{told}\n\n{table(header, rows, right='  rr')}"


def _numbers(verdicts: Sequence[Verdict]) -> str:
    """What the papers print as totals, beside our counts."""
    printed = [v for v in verdicts if v.printed and not v.is_row and v.where != _BY_HAND]
    rows = [
        (f"`{v.model}`", v.fact, v.printed, number(v.ours), v.verdict, v.where + _mark(v))
        for v in printed
        if not v.fact.startswith("layers beside")
    ]
    if not rows:
        return "## The paper's numbers beside ours\n\nThe papers print no count of these networks."
    body = table(("network", "fact", "printed", "ours", "verdict", "where"), rows, right="  rr")
    if len(rows) > 24:
        body = folded(f"{len(rows)} printed numbers", body)
    return f"## The paper's numbers beside ours\n\n{body}"


def _rows(network: str, verdicts: Sequence[Verdict]) -> str:
    """The rows of one network's table beside the layers of ours."""
    of = [v for v in verdicts if v.model == network and v.is_row]
    if not of:
        return ""
    rows = [(v.fact.removeprefix("row "), v.printed, _ours(v), v.verdict) for v in of]
    body = table(("row", "the paper's table", "our network", "verdict"), rows)
    where = f"{of[0].where}{_mark(of[0])}"
    if len(rows) > 24:
        body = folded(f"{len(rows)} rows of {network}", body)
    return (
        "## The paper's table beside ours, row by row\n\n"
        f"`{network}`, {plain(where)}; kernel, stride and padding where the source prints them. "
        f"`convarium verify NAME --html FILE` has the other networks' rows.\n\n{body}"
    )


def _ours(v: Verdict) -> str:
    return "the same" if v.printed == v.ours else number(v.ours)


def _results(names: Sequence[str]) -> str:
    rows = [
        (
            f"`{name}`",
            error.dataset,
            error.protocol,
            error.top1,
            error.top5,
            error.source + (" (from memory)" if error.confidence == "memory" else ""),
        )
        for name in names
        for error in facts.model_facts(name).errors
    ]
    if not rows:
        return ""
    header = ("network", "data", "protocol", "top-1 error, %", "top-5 error, %", "where")
    body = table(header, rows, right="   rr")
    if len(rows) > 24:
        body = folded(f"{len(rows)} printed results", body)
    told = "The papers' own, not ours: what a training run is to be held against."
    return f"## Printed results\n\n{told}\n\n{body}"


def _departures(names: Sequence[str]) -> str:
    """Each sentence once, with the networks that it is about."""
    about: dict[str, list[str]] = {}
    for name in names:
        for sentence in departures_of(name):
            about.setdefault(sentence, []).append(name)
    lines = [f"- {plain(sentence)} {_whom(of, names)}" for sentence, of in about.items()]
    body = "\n".join(lines) or "None is known."
    return f"## Departures from the papers' words\n\n{body}"


def _whom(of: Sequence[str], names: Sequence[str]) -> str:
    """The networks in brackets, nothing where the family has but one.

    >>> _whom(["a", "b"], ["a", "b"])
    '(all networks of the family)'
    """
    if len(names) > 1 and len(of) == len(names):
        return "(all networks of the family)"
    return "(" + ", ".join(f"`{name}`" for name in of) + ")"


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    rows = []
    for model, group in groupby(verdicts, lambda v: v.model):
        found = Counter(v.verdict for v in group)
        rows.append((f"`{model}`", *(found[word] for word in ("AGREES", "DIFFERS", "SILENT"))))
    total = Counter(v.verdict for v in verdicts)
    body = table(("network", "agree", "differ", "silent"), rows, right=" rrr")
    told = (
        f"{total['AGREES']:,} agree, {total['DIFFERS']:,} differ, {total['SILENT']:,} are silent:"
        " every number, every count of the ledger and every typed row."
    )
    return f"## Verdicts\n\n{told}\n\n{body}\n\n{_differences(verdicts)}"


def _differences(verdicts: Sequence[Verdict]) -> str:
    """What differs, by its reason."""
    because: dict[str, list[Verdict]] = {}
    for v in verdicts:
        if v.verdict == "DIFFERS":
            because.setdefault(v.reason or "No reason is known.", []).append(v)
    if not because:
        return "Nothing differs."
    lines = ["Where they differ, and why:", ""]
    for reason, of in because.items():
        lines.append(f"- {plain(reason[0].upper() + reason[1:])}")
        lines += [
            f"  - `{v.model}`, {plain(v.fact)}: printed {plain(v.printed or '-')}, "
            f"ours {plain(number(v.ours))} ({plain(v.where)}{_mark(v)})"
            for v in of
        ]
    return "\n".join(lines)


def _mark(v: Verdict) -> str:
    return " (from memory)" if v.is_recalled else ""


def _peers(names: Sequence[str]) -> str:
    """How other libraries' networks compare, and how weights of equal ones are loaded."""
    rows, equal = [], ""
    for name in names:
        known = facts.model_facts(name)
        for peer in known.peers:
            word, is_equal = _compared(peer, known)
            equal = equal or (f"{name} {peer.library}" if is_equal else "")
            rows.append((f"`{name}`", f"{peer.library} `{peer.name}`", peer.params, word))
    if not rows:
        return "## Others' weights\n\nThe ledger knows no network of another library to compare."
    body = table(("network", "theirs", "their parameters", "compared"), rows, right="  r")
    return f"## Others' weights\n\n{body}\n\n{_loading(equal)}"


def _compared(peer: facts.Peer, known: facts.ModelFacts) -> tuple[str, bool]:
    """In words, and whether all that was counted is equal."""
    if not peer.params_equal:
        sign = "more" if peer.params_delta > 0 else "fewer"
        return f"another network: {abs(peer.params_delta):,} parameters {sign}", False
    if peer.macs_ratio == 1:
        return "equal parameters and multiply-adds", True
    if peer.input != known.input[1]:
        return f"equal parameters; counted at {peer.input} pixels, ours at {known.input[1]}", True
    return f"equal parameters, {peer.macs_ratio:g} times our multiply-adds: another network", False


def _loading(equal: str) -> str:
    if not equal:
        return "None of them is an equal network: their weights do not belong to ours."
    name, library = equal.split()
    return (
        "Weights of an equal network move over layer by layer, all of them or none; a file of"
        " another network is refused with the first difference. What `load_weights` gives back"
        " notes what counts do not show, such as another slope or epsilon.\n\n"
        "```python\n"
        "import convarium\n\n"
        f'net = convarium.create_model("{name}")\n'
        f'convarium.load_weights(net, "weights.pth", source="{library}")\n'
        "```\n\n"
        f"`convarium convert weights.pth {name}.safetensors --network {name}` writes them in our"
        " names."
    )
