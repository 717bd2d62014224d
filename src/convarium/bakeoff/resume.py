"""From where a single training goes on: a checkpoint, its plan, or another network's layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from convarium.bakeoff.entrant import Entrant
from convarium.bakeoff.folder import CHECKPOINTS
from convarium.bakeoff.settings import Settings
from convarium.bakeoff.trained import find_trained
from convarium.errors import InputError, UsageError
from convarium.files import shown
from convarium.machine import Plan
from convarium.train import Checkpoint, World
from convarium.train import checkpoint as checkpoints
from convarium.train.launch import restarted


def checkpoint_for(one: Entrant, asked: str, tell: Callable[[str], None]) -> Checkpoint | None:
    """Where to go on from; None from the start.

    Args:
        one: what is to be trained; its settings name the run's folder.
        asked: "auto", the folder's newest; "never", which takes the folder's away; or a place.
        tell: hears of damaged checkpoints.

    Raises:
        InputError: no checkpoint at the place, or another run's.
    """
    own = one.settings.out / CHECKPOINTS
    if asked == "never":
        checkpoints.discard(own)
        return None
    if asked == "auto":
        return checkpoints.newest(own, tell)
    place = Path(asked).expanduser()
    if place.is_dir():
        inner = place / CHECKPOINTS
        where = inner if inner.is_dir() else place
        found = checkpoints.newest(where, tell, clear=False)  # another run's, as it is
    else:
        manifest = place.with_suffix(".json")
        found = checkpoints.read_checkpoint(manifest) if manifest.is_file() else None
    if found is None:
        raise InputError(f"{shown(place)} holds no checkpoint. Give a run's folder.")
    if found.about.get("config") != one.config:
        raise InputError(
            f"{shown(place)} is of another network, data, recipe, seed or length. "
            "Give the same, or start over with --resume never."
        )
    return found


def resume_for(
    one: Entrant, asked: str, world: World, tell: Callable[[str], None]
) -> Checkpoint | None:
    """As `checkpoint_for`, looked up by rank 0, which alone gets the tensors.

    A run that torchrun started again goes on from its own folder.
    """
    found: list[Checkpoint] = []

    def told() -> Checkpoint | None:
        own = checkpoints.manifests_config(one.settings.out / CHECKPOINTS) == one.config
        again = restarted() and (asked == "never" or own)
        kept = checkpoint_for(one, "auto" if again else asked, tell)
        if kept is None:
            return None
        found.append(kept)
        return replace(kept, tensors={})

    heard = world.of_first(told)
    return found[0] if found else heard


def plan_of(resume: Checkpoint, settings: Settings) -> Plan:
    """The checkpoint's plan, with what the user asks for otherwise.

    Raises:
        InputError: the checkpoint holds no plan.
    """
    s = settings
    asked: dict[str, Any] = {"threads": s.threads, "layout": s.layout}
    asked |= {"precision": s.precision, "micro_batch": s.micro_batch}
    try:
        plan = Plan(**resume.about["plan"])
    except (KeyError, TypeError, UsageError) as error:
        raise InputError(f"{shown(resume.path)}: its plan cannot be read ({error}).") from error
    return replace(plan, **{what: value for what, value in asked.items() if value is not None})


def tensors_to_start_from(one: Entrant, place: str | None) -> dict[str, Tensor] | None:
    """The tensors of the trained network at `place`; None where the recipe starts from none.

    Raises:
        UsageError: the recipe starts from a network, and no place is given.
        InputError: nothing trained lies there.
    """
    wanted = one.recipe.init_from
    if place is not None:
        return load_file(find_trained(place).weights)
    if wanted is None:
        return None
    raise UsageError(
        f"this recipe starts from the layers of a trained {wanted}: give its run or weights with "
        "--init-from, or --set init_from=none."
    )
