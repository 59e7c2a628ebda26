# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Generalized advantage estimation."""

from __future__ import annotations

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors

_OP = "gae"


def gae(
    rewards: torch.Tensor,
    values: torch.Tensor,
    dones: torch.Tensor,
    last_values: torch.Tensor,
    *,
    gamma: float,
    lam: float,
    time_outs: torch.Tensor | None = None,
    terminal_values: torch.Tensor | None = None,
    normalize: bool = False,
    out: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns and advantages of a rollout (Schulman et al. 2016, "High-Dimensional Continuous Control", eq. 16).

    Backwards over t, with V_T = `last_values` and A_T = 0::

        delta_t = r_t + gamma * V_{t+1} * (1 - done_t) - V_t
        A_t     = delta_t + gamma * lam * (1 - done_t) * A_{t+1}
        R_t     = A_t + V_t

    `dones[t]` tells that the episode ended on step t, so that the observation after it belongs to the next episode.

    Args:
        rewards: Rewards [T, N] or [T, N, 1], float32 or float64.
        values: Values V(s_t) of the observations acted on, shape and dtype of `rewards`.
        dones: Episode ended on step t, [T, N]; bool, uint8, int32, int64 or float32, non-zero means done.
        last_values: Value of the observation after the last step, [N] or [N, 1].
        gamma: Discount factor, in [0, 1].
        lam: GAE lambda, in [0, 1].
        time_outs: Episode ended by the time limit on step t, shape and dtypes of `dones`. gamma * V(s_t) is added to
            the reward of such a step, as rsl_rl does.
        terminal_values: Value of the true final observation [T, N]; used in place of V(s_t) where `time_outs` is set.
        normalize: Scale the advantages of the whole rollout to zero mean and unit (unbiased) standard deviation, with
            1e-8 added to the deviation, as rsl_rl does. One sample has no deviation: its advantage becomes NaN.
        out: Where to write (returns, advantages), each with the shape and dtype of `rewards`.

    Returns:
        returns and advantages, shape and dtype of `rewards`.

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape, a device, `gamma` or `lam` does not fit, or a gradient is asked for (GAE has none).
    """
    checks.boolean(_OP, "normalize", normalize)
    plain = _plain(rewards, values, dones, last_values, gamma, lam, time_outs, terminal_values, out)
    if not plain:
        tensors = checks.gae(
            torch.Tensor, rewards, values, dones, last_values, gamma, lam, time_outs, terminal_values, out
        )
        _tensors.check_devices(_OP, tensors)
        _tensors.refuse_gradient(_OP, tensors)
        last_values = last_values.reshape(rewards.shape[1])
    if out is not None:
        _tensors.check_target(_OP, "out[0]", out[0])
        _tensors.check_target(_OP, "out[1]", out[1])

    def flat(x: torch.Tensor) -> torch.Tensor:
        return x.contiguous() if plain else x.reshape(rewards.shape[:2]).contiguous()

    returns, advantages = out if out is not None else (torch.empty_like(rewards), torch.empty_like(rewards))
    flat_returns, flat_advantages = flat(returns), flat(advantages)
    args = (
        flat(rewards),
        flat(values),
        flat(_tensors.as_flags(dones)),
        last_values.contiguous(),
        None if time_outs is None else flat(_tensors.as_flags(time_outs)),
        None if terminal_values is None else flat(terminal_values),
        float(gamma),
        float(lam),
        normalize,
        flat_returns,
        flat_advantages,
    )
    _library.run(_OP, rewards.device, args, written=(flat_returns, flat_advantages))
    _tensors.write_back(flat_returns, returns)
    _tensors.write_back(flat_advantages, advantages)
    return returns, advantages


def _plain(
    rewards: torch.Tensor,
    values: torch.Tensor,
    dones: torch.Tensor,
    last_values: torch.Tensor,
    gamma: float,
    lam: float,
    time_outs: torch.Tensor | None,
    terminal_values: torch.Tensor | None,
    out: tuple[torch.Tensor, torch.Tensor] | None,
) -> bool:
    """Whether all is as it nearly always is, so that the checks by name and the reshapes, 15 us, need not run."""
    if type(rewards) is not torch.Tensor or rewards.dtype not in (torch.float32, torch.float64):
        return False
    shape, dtype, device = rewards.shape, rewards.dtype, rewards.device
    if len(shape) != 2 and (len(shape) != 3 or shape[2] != 1):
        return False
    if terminal_values is not None and time_outs is None:
        return False
    if type(gamma) is not float or type(lam) is not float or not (0.0 <= gamma <= 1.0 and 0.0 <= lam <= 1.0):
        return False
    if out is not None and (type(out) is not tuple or len(out) != 2):
        return False
    for x in (rewards, values, *(() if terminal_values is None else (terminal_values,)), *(out or ())):
        if type(x) is not torch.Tensor or x.dtype != dtype or x.shape != shape or x.device != device or x.requires_grad:
            return False
        if x.layout is not torch.strided:
            return False
    for x in (dones,) if time_outs is None else (dones, time_outs):
        if type(x) is not torch.Tensor or x.dtype not in (torch.bool, torch.uint8) or x.shape != shape:
            return False
        if x.device != device or x.layout is not torch.strided:
            return False
    return (
        type(last_values) is torch.Tensor
        and last_values.dtype == dtype
        and last_values.shape == shape[1:]
        and last_values.device == device
        and last_values.layout is torch.strided
        and not last_values.requires_grad
    )
