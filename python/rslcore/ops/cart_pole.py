# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Poles balanced on carts, in as many environments as memory holds: a simulation that costs next to nothing."""

from __future__ import annotations

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors

_STEP = "cart_pole_step"
_RESET = "cart_pole_reset"

MAX_POLES = 2**32
"""Largest number of poles over all environments: what the 32 bits of a Philox counter number."""


def cart_pole_step(
    actions: torch.Tensor,
    state: torch.Tensor,
    episode_lengths: torch.Tensor,
    episodes: torch.Tensor,
    ended: torch.Tensor,
    *,
    seed: int,
    max_episode_length: int,
    final_observations: torch.Tensor | None = None,
    out: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Advance N environments of P poles by one control step of 0.02 s, and begin new episodes where one ended.

    The cart and pole of Barto, Sutton and Anderson 1983, "Neuronlike Adaptive Elements That Can Solve Difficult
    Learning Control Problems", with their constants and Euler steps, and without their friction as Gymnasium's
    CartPole-v1 has it: with actions of -1 and 1 the states are those of CartPole-v1. Every pole has a cart of its own.
    The force on it is 10 N times its action, cut to [-1, 1]. The reward is 1 on every step. An episode ends when a cart
    is more than 2.4 m from the middle, a pole leans by more than 12 degrees or any component of the state is NaN, or by
    the time limit; the next one begins on the same step with all components drawn from [-0.05, 0.05].

    In place; nothing is read by the host. The start of an episode is a function of (seed, number of the episode in its
    environment, environment, P) alone, by Philox 4x32-10 (Salmon et al. 2011): it depends neither on N nor on threads.

    Args:
        actions: Actions [N, P], dtype of `state`.
        state: Position (m), velocity (m/s), angle (rad) and angular velocity (rad/s) of every pole, [P, 4, N],
            float32 or float64, at most 2^32 poles; updated.
        episode_lengths: Steps of the running episodes, int64 [N]; updated.
        episodes: Episodes begun so far, int64 [N]; updated.
        ended: Episodes that ended so far, by a fall and by the time limit, int64 [2]; updated.
        seed: Any 64-bit integer.
        max_episode_length: Time limit in steps, at least 1.
        final_observations: Where to write the last observations of episodes that end, [N, 4 P]; other rows are left
            as they are.
        out: Where to write the results, in their order.

    Returns:
        observations [N, 4 P] (pole after pole, as in `state`; after the reset where an episode ended), rewards [N],
        dones and time_outs, bool [N] (in `out` uint8 too), or `out`.

    Raises:
        TypeError: An argument is no tensor or has another dtype, or an integer is none.
        ValueError: A shape or device does not fit, two arguments share memory, or a gradient is asked for.
    """
    targets = _empty(state) if out is None and _is_state(state) else out
    if type(targets) is tuple and len(targets) == 4 and _is_int64(seed) and _is_int64(max_episode_length):
        args = (
            *(actions, state, episode_lengths, episodes, ended, seed, max_episode_length),
            *(*targets, final_observations),
        )
        written = (state, episode_lengths, episodes, ended, *targets)
        if _library.run_as_is(_STEP, args, written if final_observations is None else (*written, final_observations)):
            return targets
    num_poles, num_envs = _check_state(_STEP, state)
    if out is not None and not (isinstance(out, (tuple, list)) and len(out) == 4):
        raise TypeError(f"{_STEP}: `out` must be (observations, rewards, dones, time_outs), got {type(out).__name__}")
    observations, rewards, dones, time_outs = _empty(state) if out is None else out
    changed = {
        "state": state,
        "out[0]": observations,
        "out[1]": rewards,
        "episode_lengths": episode_lengths,
        "episodes": episodes,
        "ended": ended,
        "out[2]": dones,
        "out[3]": time_outs,
    }
    if final_observations is not None:
        changed["final_observations"] = final_observations
    rows, per_env = (num_envs, 4 * num_poles), (num_envs,)
    _check(_STEP, {"actions": actions}, checks.dtype_name(state), (num_envs, num_poles))
    for name in ("out[0]", "final_observations"):
        _check(_STEP, {name: changed[name]} if name in changed else {}, checks.dtype_name(state), rows)
    _check(_STEP, {"out[1]": rewards}, checks.dtype_name(state), per_env)
    _check(_STEP, {"episode_lengths": episode_lengths, "episodes": episodes}, "int64", per_env)
    _check(_STEP, {"ended": ended}, "int64", (2,))
    for name in ("out[2]", "out[3]"):
        checks.kind(_STEP, name, changed[name], torch.Tensor)
        checks.dtype(_STEP, name, changed[name], ("bool", "uint8"))
        checks.shape(_STEP, name, changed[name], per_env)
    checks.integer(_STEP, "seed", seed)
    checks.integer(_STEP, "max_episode_length", max_episode_length)
    checks.number(_STEP, "max_episode_length", max_episode_length, 1, float("inf"))
    _tensors.check_devices(_STEP, {"state": state, "actions": actions, **changed})
    _tensors.refuse_gradient(_STEP, {"actions": actions, **changed})
    _tensors.check_targets(_STEP, changed)
    flat = {name: x.contiguous() for name, x in changed.items()}
    args = (
        *(actions.contiguous(), flat["state"], flat["episode_lengths"], flat["episodes"], flat["ended"]),
        *(int(seed), int(max_episode_length)),
        *(flat["out[0]"], flat["out[1]"], flat["out[2]"], flat["out[3]"], flat.get("final_observations")),
    )
    _library.run(_STEP, state.device, args, written=tuple(flat.values()))
    for name, x in changed.items():
        _tensors.write_back(flat[name], x)
    return observations, rewards, dones, time_outs


def cart_pole_reset(
    state: torch.Tensor,
    episode_lengths: torch.Tensor,
    episodes: torch.Tensor,
    *,
    seed: int,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Begin a new episode in all N environments, as `cart_pole_step` does where one ended.

    Args:
        state: [P, 4, N], float32 or float64; written.
        episode_lengths: int64 [N]; becomes 0.
        episodes: Episodes begun so far, int64 [N]; updated.
        seed: Any 64-bit integer.
        out: Where to write the observations [N, 4 P].

    Returns:
        The first observations [N, 4 P], or `out`.

    Raises:
        TypeError: An argument is no tensor or has another dtype, or `seed` is no integer.
        ValueError: A shape or device does not fit, two arguments share memory, or a gradient is asked for.
    """
    num_poles, num_envs = _check_state(_RESET, state)
    observations = state.new_empty(num_envs, 4 * num_poles) if out is None else out
    changed = {"state": state, "out": observations, "episode_lengths": episode_lengths, "episodes": episodes}
    _check(_RESET, {"out": observations}, checks.dtype_name(state), (num_envs, 4 * num_poles))
    _check(_RESET, {"episode_lengths": episode_lengths, "episodes": episodes}, "int64", (num_envs,))
    checks.integer(_RESET, "seed", seed)
    _tensors.check_devices(_RESET, changed)
    _tensors.refuse_gradient(_RESET, changed)
    _tensors.check_targets(_RESET, changed)
    flat = {name: x.contiguous() for name, x in changed.items()}
    args = (flat["state"], flat["episode_lengths"], flat["episodes"], int(seed), flat["out"])
    _library.run(_RESET, state.device, args, written=tuple(flat.values()))
    for name, x in changed.items():
        _tensors.write_back(flat[name], x)
    return observations


def _is_state(state: object) -> bool:
    return type(state) is torch.Tensor and state.dim() == 3


def _is_int64(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _empty(state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    num_poles, _, num_envs = state.shape
    flags = [state.new_empty(num_envs, dtype=torch.bool) for _ in range(2)]
    return state.new_empty(num_envs, 4 * num_poles), state.new_empty(num_envs), flags[0], flags[1]


def _check_state(op: str, state: torch.Tensor) -> tuple[int, int]:
    """P and N."""
    checks.kind(op, "state", state, torch.Tensor)
    checks.dtype(op, "state", state, checks.FLOATS)
    if state.dim() != 3 or state.shape[0] == 0 or state.shape[1] != 4:
        raise ValueError(f"{op}: `state` must be [P, 4, N], P > 0, got {list(state.shape)}")
    if state.shape[0] * state.shape[2] > MAX_POLES:
        raise ValueError(f"{op}: `state` must have at most 2^32 poles, got {list(state.shape)}")
    return state.shape[0], state.shape[2]


def _check(op: str, named: dict[str, torch.Tensor], dtype: str, shape: tuple[int, ...]) -> None:
    """Refuse tensors of another dtype or shape than expected by `state`."""
    for name, x in named.items():
        checks.kind(op, name, x, torch.Tensor)
        checks.dtype(op, name, x, (dtype,), like="state" if dtype != "int64" else None)
        checks.shape(op, name, x, shape)
