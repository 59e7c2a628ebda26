# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Sizes of zero in every argument of every operator: it works or says what is wrong, and no process dies of it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from rslcore import ops

SIZES = (0, 1, 3)
GAMMA = {"gamma": 0.9, "lam": 0.9}


def zeros(*shape: int) -> torch.Tensor:
    """Inputs that want a gradient."""
    return torch.zeros(*shape, requires_grad=True)


def whole(*shape: int) -> torch.Tensor:
    """Whole numbers."""
    return torch.zeros(shape, dtype=torch.int64)


def backward(result: Any) -> None:
    """Ask for all gradients."""
    (result if isinstance(result, torch.Tensor) else result[0]).sum().backward()


def mlp(rows: int, columns: int, widths: tuple[int, ...], want: bool) -> None:
    """A network, some of whose layers have no outputs: their gradients and buffers are empty."""
    shapes = list(itertools.pairwise((columns, *widths)))
    weights = [torch.zeros(out, into, requires_grad=want) for into, out in shapes]
    y = ops.mlp(torch.zeros(rows, columns, requires_grad=want), weights, [None] * len(weights))
    assert y.shape == (rows, widths[-1])
    if want:
        backward(y)


def policy_step(rows: int, actions: int, columns: int, hidden: int) -> None:
    """An env step of policy and value function."""

    def network(outputs: int) -> Any:
        weights = [torch.zeros(hidden, columns), torch.zeros(outputs, hidden)]
        return ops.PolicyNetwork(weights, [torch.zeros(hidden), torch.zeros(outputs)], "elu")

    shapes = ((rows, actions),) * 3 + ((rows,), (rows, 1))
    out = ops.PolicyStep(*map(torch.zeros, shapes))
    obs = [torch.zeros(rows, columns)]
    ops.policy_step(obs, obs, network(actions), network(1), torch.ones(actions), seed=1, offset=0, out=out)


def episode_stats(envs: int, rows: int) -> None:
    """A step that ends all episodes."""
    intrinsic = torch.zeros(envs) if rows == 4 else None
    buffers = torch.zeros(rows, envs), torch.zeros(5, rows), whole()
    ops.episode_stats(torch.zeros(envs), torch.ones(envs), *buffers, intrinsic_rewards=intrinsic)


def ppo_loss(rows: int, actions: int) -> None:
    """The loss and its gradients."""
    same = torch.zeros(rows)
    old = torch.zeros(rows, actions), torch.ones(rows, actions)
    backward(
        ops.ppo_loss(
            *(zeros(rows, actions), zeros(actions), zeros(rows, 1), torch.zeros(rows, actions)),
            *(same, same, same, same, *old),
            **{"clip_param": 0.2, "value_loss_coef": 1.0, "entropy_coef": 0.01},
        )
    )


def clip_adam(tensors: int, size: int) -> None:
    """A step of some parameters."""
    lists = [[torch.zeros(size) for _ in range(tensors)] for _ in range(4)]
    steps = [torch.zeros(()) for _ in range(tensors)]
    ops.clip_adam(*lists, steps, group_sizes=[tensors], max_norm=1.0, lr=1e-3)


def cart_pole(envs: int, poles: int) -> None:
    """A reset and a step."""
    state = torch.zeros(poles, 4, envs)
    ops.cart_pole_reset(state, whole(envs), whole(envs), seed=1)
    counters = whole(envs), whole(envs), whole(2)
    ops.cart_pole_step(torch.zeros(envs, poles), state, *counters, seed=1, max_episode_length=5)


def rnn(gates: int, steps: int, envs: int, inputs: int, units: int) -> None:
    """A layer and its gradients."""
    states = [zeros(envs, units) for _ in range(gates - 2 if gates == 4 else 1)]
    parameters = zeros(gates * units, inputs), zeros(gates * units, units), zeros(gates * units), zeros(gates * units)
    layer = ops.lstm if gates == 4 else ops.gru
    backward(layer(zeros(steps, envs, inputs), torch.zeros(steps, envs), *states, *parameters))


def normalization(rows: int, features: tuple[int, ...]) -> None:
    """Moments and what they are for."""
    moments = torch.zeros(features), torch.ones(features)
    backward(ops.normalize(zeros(rows, *features), *moments))
    ops.update_moments(torch.zeros(rows, *features), *moments, whole())
    ops.update_and_normalize(torch.zeros(rows, *features), *moments, whole())
    ops.discounted_return(torch.zeros(rows, *features), torch.zeros(rows, *features), gamma=0.9)


def trajectories(steps: int, envs: int, count: int, features: tuple[int, ...], length: int) -> None:
    """Padding, and back."""
    place = whole(count), whole(count) + length
    ops.pad_trajectories(torch.zeros(steps, envs, *features), *place)
    ops.unpad_trajectories(torch.zeros(steps, count, *features), *place, num_envs=envs)


def calls() -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Every operator with every combination of sizes."""
    widths = ((0,), (0, 0), (2,), (2, 0), (0, 2), (3, 0, 2))
    yield from ((mlp, case) for case in itertools.product((*SIZES, 4096), SIZES, widths, (False, True)))
    yield from ((policy_step, case) for case in itertools.product(SIZES, repeat=4))
    yield from ((rnn, case) for case in itertools.product((3, 4), SIZES, SIZES, SIZES, SIZES))
    yield from ((episode_stats, case) for case in itertools.product(SIZES, (2, 4)))
    features = ((), (0,), (3,), (0, 3), (3, 0))
    yield from ((normalization, case) for case in itertools.product(SIZES, features))
    yield from ((trajectories, case) for case in itertools.product(SIZES, SIZES, SIZES, features, (0, 1)))
    for a, b in itertools.product(SIZES, SIZES):
        yield from ((check, (a, b)) for check in (ppo_loss, clip_adam, cart_pole))
        x, y = torch.zeros(a, b), torch.zeros(b)
        for normalize in (False, True):
            yield (lambda x, y, normalize: ops.gae(x, x, x, y, **GAMMA, normalize=normalize)), (x, y, normalize)
        yield ops.split_trajectories, (x,)
        yield (lambda x, y: ops.gaussian_sample(x, y + 1, seed=1)), (x, y)
        yield (lambda a, b: backward(ops.bias_activation(zeros(a, b), zeros(b), "elu"))), (a, b)
        for n, layers in itertools.product(SIZES, SIZES):
            yield (lambda x, n: ops.shuffle_rows([x], whole(n))), (x, n)
            states = [torch.zeros(a, layers, b, n)]
            yield (lambda states, k, n: ops.gather_hidden_states(states, whole(k), num_envs=n)), (states, n, b)
    yield from ((lambda n: ops.permutation(n, seed=1), (n,)) for n in SIZES)


def main() -> None:
    """Make every call; the last line printed is the one that ended the process."""
    torch.set_num_threads(1)
    for operator, arguments in calls():
        print(operator.__name__, arguments, flush=True)
        try:
            operator(*arguments)
        except ValueError as error:
            assert ": " in str(error), error


def test_no_size_of_zero_ends_a_process() -> None:
    """Law: no operator divides by a size it has not looked at."""
    ran = subprocess.run([sys.executable, __file__], capture_output=True, text=True)
    assert ran.returncode == 0, f"{ran.stdout.splitlines()[-1]}: {ran.returncode} {ran.stderr[-2000:]}"


if __name__ == "__main__":
    main()
