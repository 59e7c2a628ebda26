# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A tensor of another device among the arguments is refused by name, and nothing is written.

For tensors on the meta device, which torch would let through to a fake kernel that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rslcore import ops
from rslcore.ops import PolicyNetwork, PolicyStep, Trajectories


def zeros(*shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Zeros."""
    return torch.zeros(shape, dtype=dtype)


def count(*shape: int) -> torch.Tensor:
    """Integers that are zero."""
    return torch.zeros(shape, dtype=torch.int64)


def step_of_networks(
    actor_obs: list, critic_obs: list, actor: list, critic: list, std: torch.Tensor, out: list
) -> None:
    """`policy_step` of networks of one layer, given as [weight, bias, mean, var]."""

    def network(tensors: list) -> PolicyNetwork:
        weight, bias, mean, var = tensors
        return PolicyNetwork([weight], [bias], mean=mean, var=var)

    ops.policy_step(actor_obs, critic_obs, network(actor), network(critic), std, seed=0, out=PolicyStep(*out))


def recurrent(gates: int, **states: torch.Tensor) -> dict[str, Any]:
    """Arguments for a layer of five units on [3, 4, 2]."""
    rows = 5 * gates
    layer = {"weight_ih": zeros(rows, 2), "weight_hh": zeros(rows, 5), "bias_ih": zeros(rows), "bias_hh": zeros(rows)}
    return {"x": zeros(3, 4, 2), "dones": zeros(3, 4), "h_0": zeros(4, 5), **states, **layer}


CALLS: dict[str, tuple[Callable[..., object], dict[str, Any]]] = {
    "gae": (
        lambda **tensors: ops.gae(**{**tensors, "out": tuple(tensors["out"])}, gamma=0.9, lam=0.9),
        {name: zeros(4, 3) for name in ("rewards", "values", "dones", "time_outs", "terminal_values")}
        | {"last_values": zeros(3), "out": [zeros(4, 3), zeros(4, 3)]},
    ),
    "update_moments": (
        ops.update_moments,
        {"x": zeros(5, 3), "mean": zeros(3), "var": zeros(3), "count": count()},
    ),
    "normalize": (ops.normalize, {"x": zeros(5, 3), "mean": zeros(3), "var": zeros(3), "out": zeros(5, 3)}),
    "update_and_normalize": (
        ops.update_and_normalize,
        {"x": zeros(5, 3), "mean": zeros(3), "var": zeros(3), "count": count(), "out": zeros(5, 3)},
    ),
    "discounted_return": (
        lambda **tensors: ops.discounted_return(**tensors, gamma=0.9),
        {"rewards": zeros(4), "running": zeros(4)},
    ),
    "shuffle_rows": (ops.shuffle_rows, {"fields": [zeros(4, 3), zeros(4)], "index": count(4)}),
    "gaussian_sample": (
        lambda **tensors: ops.gaussian_sample(**{**tensors, "out": tuple(tensors["out"])}, seed=0),
        {"mean": zeros(4, 3), "std": zeros(3), "offset": count(), "out": [zeros(4, 3), zeros(4)]},
    ),
    "policy_step": (
        step_of_networks,
        {
            "actor_obs": [zeros(4, 2), zeros(4, 1)],
            "critic_obs": [zeros(4, 2)],
            "actor": [zeros(2, 3), zeros(2), zeros(3), zeros(3)],
            "critic": [zeros(1, 2), zeros(1), zeros(2), zeros(2)],
            "std": zeros(2),
            "out": [zeros(4, 2), zeros(4, 2), zeros(4, 2), zeros(4), zeros(4)],
        },
    ),
    "episode_stats": (
        ops.episode_stats,
        {
            "rewards": zeros(4),
            "dones": zeros(4),
            "running": zeros(4, 4),
            "finished": zeros(9, 4),
            "count": count(),
            "intrinsic_rewards": zeros(4),
        },
    ),
    "cart_pole_step": (
        lambda **tensors: ops.cart_pole_step(**{**tensors, "out": tuple(tensors["out"])}, seed=0, max_episode_length=9),
        {
            "actions": zeros(4, 2),
            "state": zeros(2, 4, 4),
            "episode_lengths": count(4),
            "episodes": count(4),
            "ended": count(2),
            "final_observations": zeros(4, 8),
            "out": [zeros(4, 8), zeros(4), zeros(4, dtype=torch.bool), zeros(4, dtype=torch.bool)],
        },
    ),
    "cart_pole_reset": (
        lambda **tensors: ops.cart_pole_reset(**tensors, seed=0),
        {"state": zeros(2, 4, 4), "episode_lengths": count(4), "episodes": count(4), "out": zeros(4, 8)},
    ),
    "mlp": (
        ops.mlp,
        {"x": zeros(7, 4), "weights": [zeros(5, 4), zeros(3, 5)], "biases": [zeros(5), zeros(3)]},
    ),
    "bias_activation": (ops.bias_activation, {"x": zeros(7, 4), "bias": zeros(4)}),
    "ppo_loss": (
        lambda **tensors: ops.ppo_loss(**tensors, clip_param=0.2, value_loss_coef=1.0, entropy_coef=0.0),
        {name: zeros(7, 3) for name in ("mean", "actions", "old_mean")}
        | {name: zeros(7) for name in ("values", "old_log_prob", "advantages", "returns", "old_values")}
        | {"std": zeros(3), "old_std": zeros(3)},
    ),
    "kl_adaptive_lr": (
        lambda **tensors: ops.kl_adaptive_lr(**tensors, desired_kl=0.01),
        {"learning_rate": zeros(), "kl": zeros()},
    ),
    "clip_adam": (
        lambda **lists: ops.clip_adam(**lists, max_norm=1.0, lr=1e-3),
        {name: [zeros(3), zeros(2)] for name in ("params", "grads", "exp_avgs", "exp_avg_sqs")}
        | {"steps": [zeros(), zeros()]},
    ),
    "split_trajectories": (
        lambda dones, out: ops.split_trajectories(dones, out=Trajectories(*out)),
        {"dones": zeros(3, 4), "out": [count(12), count(12), count(5)]},
    ),
    "pad_trajectories": (
        ops.pad_trajectories,
        {"x": zeros(3, 4), "starts": count(2), "lengths": count(2), "out": zeros(3, 2)},
    ),
    "unpad_trajectories": (
        lambda **tensors: ops.unpad_trajectories(**tensors, num_envs=4),
        {"padded": zeros(3, 2), "starts": count(2), "lengths": count(2), "out": zeros(3, 4)},
    ),
    "gather_hidden_states": (
        lambda **tensors: ops.gather_hidden_states(**tensors, num_envs=4),
        {"states": [zeros(3, 1, 4, 5), zeros(3, 1, 4, 5)], "starts": count(2)},
    ),
    "lstm": (ops.lstm, recurrent(4, c_0=zeros(4, 5))),
    "gru": (ops.gru, recurrent(3)),
}
"""Every operator with all its tensors, some of them in lists."""

PLACES = [
    (op, name, number)
    for op, (_, arguments) in CALLS.items()
    for name, x in arguments.items()
    for number in (range(len(x)) if isinstance(x, list) else [None])
]


def test_none_is_forgotten() -> None:
    """All of the operators but those that take one tensor at most, or check as their sibling does."""
    functions = {name for name in ops.__all__ if not name[0].isupper()}
    assert functions - CALLS.keys() == {"bind_policy_step", "permutation"}


@pytest.mark.parametrize(("op", "name", "number"), PLACES)
def test_one_on_another_device(op: str, name: str, number: int | None) -> None:
    """Whichever argument it is: the message names the operator, that argument or the first one, and both devices."""
    call, given = CALLS[op]
    call(**given)
    arguments = {key: list(x) if isinstance(x, list) else x for key, x in given.items()}
    if number is None:
        arguments[name] = arguments[name].to("meta")
    else:
        arguments[name][number] = arguments[name][number].to("meta")
    rest = [x for key in given for x in (given[key] if isinstance(given[key], list) else [given[key]])]
    versions = [x._version for x in rest]
    with pytest.raises(ValueError, match=rf"^{op}: `.*must be on (cpu|meta) like `.*`, got (meta|cpu)") as raised:
        call(**arguments)
    assert f"`{name}" in str(raised.value)
    assert [x._version for x in rest] == versions
