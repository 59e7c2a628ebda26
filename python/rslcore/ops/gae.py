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
            1e-8 added to the deviation, as rsl_rl does. One sample has no deviation, and is refused.
        out: Where to write (returns, advantages), each with the shape and dtype of `rewards`.

    Returns:
        returns and advantages, shape and dtype of `rewards`.

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape, a device, `gamma` or `lam` does not fit, one sample is to be normalized, or a gradient is
            asked for (GAE has none).
    """
    targets = _pair_like(rewards) if out is None and type(rewards) is torch.Tensor else out
    if type(targets) is tuple and len(targets) == 2 and type(normalize) is bool and _is_unit(gamma) and _is_unit(lam):
        args = (rewards, values, dones, last_values, time_outs, terminal_values, gamma, lam, normalize, *targets)
        if _library.run_as_is(_OP, args, written=targets):
            return targets
    tensors = checks.gae(
        *(torch.Tensor, rewards, values, dones, last_values, gamma, lam, time_outs, terminal_values, normalize, out)
    )
    _tensors.check_devices(_OP, tensors)
    _tensors.refuse_gradient(_OP, tensors)
    returns, advantages = _pair_like(rewards) if out is None else out
    _tensors.check_targets(_OP, {"out[0]": returns, "out[1]": advantages})

    def flat(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(rewards.shape[:2]).contiguous()

    flat_returns, flat_advantages = flat(returns), flat(advantages)
    args = (
        flat(rewards),
        flat(values),
        flat(_tensors.as_flags(dones)),
        last_values.reshape(rewards.shape[1]).contiguous(),
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


def _pair_like(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(x), torch.empty_like(x)


def _is_unit(x: object) -> bool:
    return type(x) is float and 0.0 <= x <= 1.0
