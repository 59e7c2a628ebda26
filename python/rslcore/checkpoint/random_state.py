# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The state of the random generators a training run draws from, in tensors and plain numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from rslcore.checkpoint.files import CheckpointError

_MT19937_WORDS = 624
"""Words of the state of NumPy's generator."""


def seed_generators(seed: int) -> None:
    """Seed the global generators of torch (all devices), NumPy and Python: those that :func:`random_state` returns.

    Args:
        seed: Any 64-bit integer; of NumPy's its low 32 bits.
    """
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def random_state(device: torch.device | str) -> dict[str, Any]:
    """Return the state of the global generators of torch (CPU, and ``device`` if it is a GPU), NumPy and Python."""
    _, keys, position, has_gauss, cached_gaussian = np.random.get_state()
    version, words, gauss_next = random.getstate()
    python_words = torch.tensor(words, dtype=torch.int64, device="cpu")
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": {
            "keys": torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached_gaussian": float(cached_gaussian),
        },
        "python": {
            "version": version,
            "words": python_words,
            "gauss_next": gauss_next,
        },
    }
    if torch.device(device).type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def check_random_state(state: dict[str, Any], device: torch.device | str) -> None:
    """Refuse what :func:`restore_random_state` could not continue from, by trying it on generators of no other use.

    Raises:
        CheckpointError: The message names the generator.
    """
    trials: dict[str, Callable[[], Any]] = {
        "torch": lambda: torch.Generator().set_state(state["torch"].cpu()),
        "numpy": lambda: np.random.RandomState().set_state(_numpy_state(state["numpy"])),
        "python": lambda: random.Random().setstate(_python_state(state["python"])),
    }
    if "cuda" in state and torch.device(device).type == "cuda":
        trials["cuda"] = lambda: torch.Generator(device).set_state(state["cuda"].cpu())
    for name, trial in trials.items():
        _try_state(name, trial)


def _try_state(name: str, trial: Callable[[], Any]) -> None:
    try:
        trial()
    except Exception as error:  # whatever a generator makes of values that are not its own
        raise CheckpointError(
            f"checkpoint: rslcore_state['random']['{name}'] is no state of that generator ({error})"
        ) from error


def restore_random_state(state: dict[str, Any], device: torch.device | str) -> None:
    """Continue the global generators from what :func:`random_state` returned.

    A state saved without a GPU leaves the generator of a GPU as it is.
    """
    torch.set_rng_state(state["torch"].cpu())
    np.random.set_state(_numpy_state(state["numpy"]))
    random.setstate(_python_state(state["python"]))
    if "cuda" in state and torch.device(device).type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def _numpy_state(state: Mapping[str, Any]) -> tuple[str, Any, int, int, float]:
    """NumPy's arguments; NumPy itself does not look at the position, and reads wherever it points to."""
    if not 0 <= state["position"] <= _MT19937_WORDS:
        raise ValueError(f"the position must be 0 to {_MT19937_WORDS}, got {state['position']}")
    keys = state["keys"].cpu().numpy().astype(np.uint32)
    return "MT19937", keys, int(state["position"]), int(state["has_gauss"]), float(state["cached_gaussian"])


def _python_state(state: Mapping[str, Any]) -> tuple[int, tuple[int, ...], float | None]:
    gauss_next = state["gauss_next"]
    return state["version"], tuple(state["words"].tolist()), None if gauss_next is None else float(gauss_next)
