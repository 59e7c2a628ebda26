# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Has a training diverged? Asked of everything to be saved, before it takes the place of an older checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from rslcore import checkpoint
from rslcore.modules import EmpiricalNormalization

LARGEST_PARAMETER = 1e18
"""The product of two larger numbers overflows float32."""


class _Saved(NamedTuple):
    """A tensor of a checkpoint."""

    name: str
    tensor: torch.Tensor
    limit: float
    """What all magnitudes must be below; infinity admits every finite number."""
    constant: bool
    """A buffer of a model's own, which may hold infinities, e.g. as a mask: only NaN is refused."""


def excess(alg: Any) -> torch.Tensor:  # noqa: ANN401
    """Return whether an algorithm may have diverged, float []: not below 1; otherwise :func:`first_excess` tells.

    Norms stand for largest magnitudes here, which they bound: they take a twentieth of the time. One foreach kernel and
    a few small ones; on a GPU, the host does not wait.
    """
    saved = list(_saved_tensors(alg))
    device = alg.device if hasattr(alg, "device") else "cpu"
    if not saved:
        return torch.zeros((), device=device)
    largest: dict[tuple[float, bool, torch.device], list[torch.Tensor]] = {}
    for norm, entry in zip(torch._foreach_norm([entry.tensor for entry in saved]), saved, strict=True):
        largest.setdefault((entry.limit, entry.constant, norm.device), []).append(norm)
    shares = [
        _share(torch.stack(norms).amax(), limit, constant=constant).to(device)
        for (limit, constant, _), norms in largest.items()
    ]
    return torch.stack(shares).amax()


def first_excess(alg: Any) -> str | None:  # noqa: ANN401
    """Return what is wrong with the first tensor that must not be saved, by its name; None where all is well."""
    for entry in _saved_tensors(alg):
        largest = torch.linalg.vector_norm(entry.tensor, math.inf)
        if not _share(largest, entry.limit, constant=entry.constant) < 1:
            kind = f"below {entry.limit:g}" if entry.limit < math.inf else "finite"
            return f"all parameters must be {kind}, got {largest:g} in {entry.name}"
    return None


def _share(largest: torch.Tensor, limit: float, *, constant: bool) -> torch.Tensor:
    """Return a magnitude as a share of its limit; of an unlimited one 0 where it is finite, otherwise NaN."""
    if constant:
        largest = torch.nan_to_num(largest, nan=math.nan, posinf=0.0)
    return largest / limit if limit < math.inf else largest * 0.0


def _saved_tensors(alg: Any) -> Iterator[_Saved]:  # noqa: ANN401
    """Yield what can diverge of what an algorithm saves: models, normalizers, optimizers, and RND's running average."""
    policy = set(map(id, alg.get_policy().parameters()))
    for part in checkpoint.PARTS:
        model = getattr(alg, f"_raw_{part}", getattr(alg, part, None))
        if isinstance(model, nn.Module):
            normalizers = {name for name, module in model.named_modules() if isinstance(module, EmpiricalNormalization)}
            for name, tensor in model.state_dict(keep_vars=True).items():
                if not isinstance(tensor, torch.Tensor):
                    continue
                constant = not isinstance(tensor, nn.Parameter) and name.rpartition(".")[0] not in normalizers
                limit = LARGEST_PARAMETER if id(tensor) in policy else math.inf
                yield from _floating(f"{part}_state_dict['{name}']", tensor, limit, constant=constant)
    for name, optimizer in (
        ("optimizer_state_dict", getattr(alg, "optimizer", None)),
        ("rnd_optimizer_state_dict", getattr(getattr(alg, "rnd", None), "optimizer", None)),
    ):
        if isinstance(optimizer, torch.optim.Optimizer):
            for number, state in enumerate(optimizer.state.values()):
                for key, value in state.items():
                    if isinstance(value, torch.Tensor) and value.dim() > 0:  # not the number of steps
                        yield from _floating(f"{name}['state'][{number}]['{key}']", value, math.inf)
    average = getattr(getattr(getattr(alg, "rnd", None), "reward_normalizer", None), "discounted_avg", None)
    if isinstance(average, torch.Tensor):
        yield from _floating("rnd_progress['discounted_avg']", average, math.inf)


def _floating(name: str, tensor: torch.Tensor, limit: float, *, constant: bool = False) -> Iterator[_Saved]:
    if tensor.is_floating_point() and tensor.numel():
        yield _Saved(name, tensor.detach(), limit, constant)
