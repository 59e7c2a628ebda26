# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Actions drawn from a diagonal Gaussian policy, together with their log-probability."""

from __future__ import annotations

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors

_OP = "gaussian_sample"


def gaussian_sample(
    mean: torch.Tensor,
    std: torch.Tensor,
    *,
    seed: int,
    offset: int | torch.Tensor = 0,
    noise: torch.Tensor | None = None,
    out: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw actions x = mean + std * noise and evaluate their log-probability density, in one pass.

    log p(x) = -sum over A of [ ((x - mean) / std)^2 / 2 + log(std) + log(sqrt(2 pi)) ]

    The noise comes from Philox 4x32-10 (Salmon et al. 2011) through Box and Muller (1958): a function of
    (seed, offset, position), with the same integers on CPU and CUDA, for both dtypes and for any number of threads;
    no generator's state is read or changed. It reaches to 6.7 standard deviations. log p is that of the action as
    rounded: whoever evaluates the stored action again finds the same value.

    Args:
        mean: Means [B, A], float32 or float64, at most 2^34 elements.
        std: Standard deviations, [A] or [B, A], dtype of `mean`. Where one is not positive (or infinite, or below the
            normal numbers of its dtype) the log-probability is NaN; nothing is raised, as looking would stall a GPU.
        seed: Any 64-bit integer.
        offset: Number of the draw under this seed: count it up to draw the next one. Any 64-bit integer, or an int64
            tensor [] on the device of `mean`, which a captured CUDA graph reads anew at every replay.
        noise: Standard normal numbers [B, A] to use instead of drawing them.
        out: Where to write (actions, log_prob), for example slots of a rollout buffer: [B, A] and [B] or [B, 1].

    Returns:
        actions [B, A] and log_prob [B], or `out`.

    Raises:
        TypeError: An argument is no tensor or has another dtype, or `seed` or `offset` is no integer.
        ValueError: A shape or device does not fit, `out` shares memory with another argument, or a gradient is asked
            for: sampling has none.
    """
    number, counter = (0, offset) if isinstance(offset, torch.Tensor) else (offset, None)
    targets = _empty(mean) if out is None and type(mean) is torch.Tensor and mean.dim() == 2 else out
    if type(targets) is tuple and len(targets) == 2 and _is_int64(seed) and _is_int64(number):
        args = (mean, _tensors.without_copies(std, mean), noise, seed, number, counter, *targets)
        if _library.run_as_is(_OP, args, written=targets):
            return targets
    tensors = checks.gaussian(_OP, torch.Tensor, mean, std, noise, out)
    checks.integer(_OP, "seed", seed)
    if counter is None:
        checks.integer(_OP, "offset", offset)
    else:
        checks.dtype(_OP, "offset", counter, ("int64",))
        checks.shape(_OP, "offset", counter, ())
        tensors["offset"] = counter
    _tensors.check_devices(_OP, tensors)
    _tensors.refuse_gradient(_OP, tensors)
    actions, log_prob = _empty(mean) if out is None else out
    _tensors.check_targets(_OP, {"out[0]": actions, "out[1]": log_prob})
    flat_actions, flat_log_prob = actions.contiguous(), log_prob.contiguous()
    args = (
        mean.contiguous(),
        _tensors.without_copies(std, mean).contiguous(),
        None if noise is None else noise.contiguous(),
        seed,
        number,
        counter,
        flat_actions,
        flat_log_prob,
    )
    _library.run(_OP, mean.device, args, written=(flat_actions, flat_log_prob))
    _tensors.write_back(flat_actions, actions)
    _tensors.write_back(flat_log_prob, log_prob)
    return actions, log_prob


def _empty(mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(mean, memory_format=torch.contiguous_format), mean.new_empty(mean.shape[0])


def _is_int64(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63
