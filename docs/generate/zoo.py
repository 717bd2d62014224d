"""The zoo: the time line from the facts, and by hand who took what from whom."""

from __future__ import annotations

from collections import Counter

from convarium import facts
from convarium.catalog import CATALOG
from convarium.cost.table import totals
from convarium.report.boxes import Box, svg
from families import BLOCKS, PROSE
from pieces import page, plain, table

# Paper of the ledger: the family of its page, one network, the colour of its branch.
PAPERS: dict[str, tuple[str, str, str]] = {
    "lenet1998": ("lenet", "lenet5", "s5"),
    "alexnet2012": ("alexnet", "alexnet_2gpu", "s5"),
    "zfnet2013": ("zfnet", "zfnet", "s5"),
    "nin2013": ("nin", "nin_cifar10", "s3"),
    "vgg2014": ("vgg", "vgg_d", "s4"),
    "googlenet2014": ("googlenet", "googlenet", "s3"),
    "yolo2015": ("darknet", "extraction", "s1"),
    "resnet2015": ("resnet", "resnet50", "s0"),
    "squeezenet2016": ("squeezenet", "squeezenet1_0", "s2"),
    "preact2016": ("preact_resnet", "preact_resnet164", "s0"),
    "stochdepth2016": ("stochastic_depth", "stochastic_depth_110", "s0"),
    "wrn2016": ("wide_resnet", "wrn_28_10", "s0"),
    "fractalnet2016": ("fractalnet", "fractalnet20_c3_cifar", "s0"),
    "densenet2016": ("densenet", "densenet121", "s0"),
    "resnext2016": ("resnext", "resnext50_32x4d", "s0"),
    "yolo9000": ("darknet", "darknet19", "s1"),
    "mobilenet2017": ("mobilenet", "mobilenet_v1_100_224", "s2"),
    "yolov3": ("darknet", "darknet53", "s1"),
}

# Who gave, who took, what, and where the taker says so (sections recalled, not looked up).
LINEAGE: tuple[tuple[str, str, str, str], ...] = (
    ("lenet1998", "alexnet2012", "convolution, pooling, then full layers", "section 1"),
    ("alexnet2012", "zfnet2013", "the layers; a finer first one", "section 4.1"),
    ("alexnet2012", "nin2013", "rectified units, dropout, training by plateau", "section 4.1"),
    ("alexnet2012", "vgg2014", "rectified units, the full layers, training", "sections 2.1, 3.1"),
    ("zfnet2013", "vgg2014", "small windows and strides at the start", "section 1"),
    ("nin2013", "googlenet2014", "1x1 convolutions, average of the maps", "section 2"),
    ("googlenet2014", "yolo2015", "the plan; reductions without branches", "section 2.2"),
    ("nin2013", "yolo2015", "1x1 reductions in front of 3x3", "section 2.2"),
    ("vgg2014", "resnet2015", "3x3 layers, double width at half side", "section 3.3"),
    ("alexnet2012", "squeezenet2016", "the accuracy to reach", "section 1"),
    ("nin2013", "squeezenet2016", "no full layers, average of class maps", "section 3.2"),
    ("resnet2015", "squeezenet2016", "bypass around modules", "section 6"),
    ("resnet2015", "preact2016", "the residual block, re-ordered", "section 1"),
    ("resnet2015", "stochdepth2016", "the residual block, dropped by a coin", "section 3"),
    ("preact2016", "wrn2016", "blocks with activation first", "section 2"),
    (
        "resnet2015",
        "fractalnet2016",
        "depth, and the question whether sums are needed",
        "section 1",
    ),
    ("preact2016", "densenet2016", "normalise, rectify, then convolve", "section 3"),
    ("stochdepth2016", "densenet2016", "that layers can be skipped: reuse maps", "section 2"),
    ("resnet2015", "resnext2016", "the bottleneck", "section 3.1"),
    ("googlenet2014", "resnext2016", "split, transform, merge", "sections 1, 2"),
    ("vgg2014", "yolo9000", "3x3 filters, double width behind each pooling", "section 3"),
    ("nin2013", "yolo9000", "1x1 between 3x3, average of class maps", "section 3"),
    (
        "googlenet2014",
        "mobilenet2017",
        "factorised convolutions, by way of later Inceptions",
        "section 2",
    ),
    ("yolo9000", "yolov3", "3x3 and 1x1 in turn", "section 2.4"),
    ("resnet2015", "yolov3", "shortcuts", "section 2.4"),
)
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def zoo() -> dict[str, str]:
    """The page and its drawing: path below docs and text."""
    text = page(
        "# The zoo",
        f"{len(CATALOG)} networks of {len({row.family for row in CATALOG.values()})} families.",
        "## Who took what from whom",
        "Arrows go from the giver to the taker; rows are the months in which the papers came out"
        " (arXiv), or their years.",
        "![Eighteen papers and what they took from one another](zoo.svg)",
        _lineage(),
        "## Year by year",
        "Parameters and multiply-adds are counted, of one network a paper at its own input.",
        _time_line(),
        "## The families",
        _families(),
    )
    return {"zoo.md": text, "zoo.svg": _drawing()}


def published(paper: str) -> tuple[int, int]:
    """Year and month in which a paper came out: arXiv's, else the year of its venue and 0.

    >>> published("vgg2014"), published("lenet1998")
    ((2014, 9), (1998, 0))
    """
    known = facts.papers()[paper]
    if known.arxiv is None:
        return known.year, 0
    return 2000 + int(known.arxiv[:2]), int(known.arxiv[2:4])


def _drawing() -> str:
    days = sorted({published(paper) for paper in PAPERS})
    boxes = [
        Box(paper, (_title(paper), CATALOG[network].name), hue)
        for paper, (_, network, hue) in PAPERS.items()
    ]
    return svg(
        boxes,
        [(giver, taker) for giver, taker, _, _ in LINEAGE],
        title="Who took what from whom: papers by the month in which they came out",
        ranks={paper: days.index(published(paper)) for paper in PAPERS},
        marks=[_day(day) for day in days],
    )


def _title(paper: str) -> str:
    """The network's name as the paper has it, from the page of its family."""
    own = {"yolo2015": "Extraction", "yolo9000": "Darknet-19", "yolov3": "Darknet-53"}
    return own.get(paper) or titles()[PAPERS[paper][0]]


def titles() -> dict[str, str]:
    """The heading of each family's page."""
    first = {f: (PROSE / f"{f}.md").read_text("utf-8").split("\n", 1)[0] for f in BLOCKS}
    return {family: line.removeprefix("# ") for family, line in first.items()}


def _day(day: tuple[int, int]) -> str:
    year, month = day
    return f"{_MONTHS[month - 1]} {year}" if month else str(year)


def _lineage() -> str:
    rows = [
        (_title(giver), _title(taker), what, f"{_title(taker)}'s paper, {where}")
        for giver, taker, what, where in LINEAGE
    ]
    told = "The sections are from memory, not looked up."
    return f"{told}\n\n{table(('from', 'to', 'what', 'where'), rows)}"


def _time_line() -> str:
    rows = []
    for paper in sorted(PAPERS, key=published):
        family, network, _ = PAPERS[paper]
        link = f"[{_title(paper)}](families/{family}.md)"
        best = [e.top5 for e in facts.model_facts(network).errors if e.top5 is not None]
        rows.append(
            f"| {_day(published(paper))} | {link} | {plain(facts.papers()[paper].title)} |"
            f" `{network}` | {totals(network).params:,} | {totals(network).macs:,} |"
            f" {min(best) if best else '-'} |"
        )
    head = "| out | network | paper | counted | parameters | MACs | best printed top-5 error, % |"
    return "\n".join([head, "|---|---|---|---|--:|--:|--:|", *rows])


def _families() -> str:
    many = Counter(row.family for row in CATALOG.values())
    return "\n".join(
        f"- [{title}](families/{family}.md): {many[family]} network{'s' * (many[family] > 1)}"
        for family, title in titles().items()
    )
