# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Which observations a model was trained on, so that weights never meet columns that mean something else."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rslcore import checkpoint

KEY = "observation_groups"
"""Key of a checkpoint, which rsl_rl ignores."""

Layout = list[list[Any]]
"""Name and shape [D] or [C, H, W] of every group that a model sees, in their order."""


def observation_layouts(obs: Mapping[str, Any], obs_groups: Mapping[str, Sequence[str]]) -> dict[str, Layout]:
    """Return the content of the key: observation set, e.g. "actor", to the layout of what it sees.

    Args:
        obs: Observations of the environment, [N, ...] per group.
        obs_groups: Observation sets to the groups they are made of.
    """
    known = set(obs.keys())
    return {
        name: [[group, [int(size) for size in obs[group].shape[1:]]] for group in groups if group in known]
        for name, groups in obs_groups.items()
    }


def check_observation_groups(own: Mapping[str, Layout], found: Any, parts: Iterable[str]) -> None:  # noqa: ANN401
    """Refuse a checkpoint whose models have seen the groups of today's in another order or width.

    Groups that only the one or the other knows may be the same under another name: a warning says so.

    Args:
        own: Layouts of the models as they are.
        found: Those of the checkpoint; None in files without them, which are not looked at.
        parts: Parts of the algorithm that are to be loaded. "rnd" sees the set "rnd_state"; a "teacher" that a run of
            PPO has trained was its "actor" there.

    Raises:
        CheckpointError: The message names model and group.
    """
    if found is None:
        return
    if not isinstance(found, Mapping):
        raise checkpoint.CheckpointError(f"checkpoint: '{KEY}' must be a dict, got {type(found).__name__}")
    for part in parts:
        name = "rnd_state" if part == "rnd" else part
        before = found.get(name, found.get("actor") if name == "teacher" else None)
        if name in own and before is not None:
            _check_layout(part, own[name], before)


def _check_layout(part: str, own: Layout, before: Layout) -> None:
    now, then = _places(own), _places(before)
    for group, place in now.items():
        if then.get(group, place) != place:
            raise checkpoint.CheckpointError(
                f"checkpoint: the observation group '{group}' of the {part} was {then[group]} of what it saw, and is "
                f"{place} now: it was trained with {_text(before)}, got {_text(own)}"
            )
    if now.keys() != then.keys():
        warnings.warn(
            f"checkpoint: the {part} was trained with the observation groups {_text(before)}, and gets {_text(own)}; "
            "make sure that they mean the same",
            stacklevel=4,
        )


def _places(layout: Layout) -> dict[str, str]:
    """Return where every group stands in what a model sees: columns side by side, then images one after the other."""
    places: dict[str, str] = {}
    columns = images = 0
    for group, shape in layout:
        if len(shape) == 1:
            places[group] = f"columns {columns}:{columns + shape[0]}"
            columns += shape[0]
        else:
            places[group] = f"image {images} of shape {list(shape)}"
            images += 1
    return places


def _text(layout: Layout) -> str:
    return ", ".join(f"'{group}' {list(shape)}" for group, shape in layout)
