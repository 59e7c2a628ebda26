# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Every operator written plainly in torch: the text to read first, the oracle of the tests, and the fallback.

The functions take canonical arguments: shapes checked, flags (`dones`, `time_outs`) as uint8, everything on one device.
Like the compiled operators they write into tensors that the caller owns and return nothing.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from rslcore import _checks as checks
from rslcore.ops._exporting import exporting
from rslcore.ops.reference_learning import clip_adam, kl_adaptive_lr, ppo_loss  # noqa: F401 - a part of this page
from rslcore.ops.reference_policy import bias_activation, mlp  # noqa: F401 - a part of this page
from rslcore.ops.reference_policy import network as _network
from rslcore.ops.reference_rnn import rnn_scan  # noqa: F401 - a part of this page

ADVANTAGE_EPS = 1e-8
"""Added to the standard deviation of the advantages, as rsl_rl does."""

FEISTEL_ROUNDS = 8
"""Rounds of the permutation network, a multiple of four: with 6, fixed points and pairs are visibly not uniform."""

FEISTEL_MIN_BITS = 6
"""Smallest domain of the permutation network: with fewer bits the permutations of few elements are not uniform."""

PERMUTATION_STREAM = 1
"""Philox stream of `permutation`; each use of random numbers has its own."""

GAUSSIAN_STREAM = 2
"""Philox stream of `gaussian_sample`."""

GAUSSIAN_LANES = 16
"""Philox blocks of `gaussian_sample` that lie side by side: word k of block i is element 16 k + i of their 64."""

CART_POLE_STREAM = 3
"""Philox stream of `cart_pole_step`."""

_PHILOX_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_PHILOX_WEYL = (0x9E3779B9, 0xBB67AE85)
_PHILOX_ROUNDS = 10
_MASK32 = 0xFFFFFFFF

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
"""Logarithm of the normalization of a standard normal density."""
_MIX_MULTIPLIERS = (0x9E3779B1, 0x85EBCA77)


def gae(
    rewards: torch.Tensor,
    values: torch.Tensor,
    dones: torch.Tensor,
    last_values: torch.Tensor,
    time_outs: torch.Tensor | None,
    terminal_values: torch.Tensor | None,
    gamma: float,
    lam: float,
    normalize: bool,
    returns: torch.Tensor,
    advantages: torch.Tensor,
) -> None:
    """Generalized advantage estimation (Schulman et al. 2016, eq. 16), backwards over t.

    delta_t = r_t + gamma * V_{t+1} * (1 - done_t) - V_t
    A_t = delta_t + gamma * lam * (1 - done_t) * A_{t+1}

    A step cut by the time limit is bootstrapped: gamma * V(s_t) is added to its reward as rsl_rl does, or gamma * V of
    the true final observation where `terminal_values` gives it.
    """
    bootstrap = values if terminal_values is None else terminal_values
    advantage = torch.zeros_like(last_values)
    next_values = last_values
    steps: list[torch.Tensor] = []  # stacked at the end: ONNX does not know writing into rows
    for t in reversed(range(rewards.shape[0])):
        alive = (dones[t] == 0).to(rewards.dtype)
        reward = rewards[t]
        if time_outs is not None:
            reward = torch.where(time_outs[t] != 0, reward + gamma * bootstrap[t], reward)
        delta = reward + gamma * next_values * alive - values[t]
        advantage = delta + gamma * lam * alive * advantage
        steps.insert(0, advantage)
        next_values = values[t]
    if not steps:
        return
    stacked = torch.stack(steps)
    returns.copy_(stacked + values)
    advantages.copy_(stacked)
    if normalize and advantages.numel() > 0:
        wide = stacked.double()
        advantages.copy_(((wide - wide.mean()) / (wide.std() + ADVANTAGE_EPS)).to(advantages.dtype))


def update_moments(
    x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, count: torch.Tensor, until: int | None
) -> None:
    """Merge the moments of the rows of `x` [B, F] into `mean`, `var` [F] and `count` [] (Chan et al. 1983, eq. 2.1)."""
    if count.is_cpu:  # elsewhere looking would make the host wait
        checks.sample_count("update_moments", int(count))
    rows = x.shape[0]
    if rows == 0:
        return
    wide = x.double()
    batch_mean = wide.mean(dim=0)
    batch_var = wide.var(dim=0, unbiased=False)
    new_count = count + rows
    rate = rows / new_count.double()
    delta = batch_mean - mean.double()
    new_mean = mean.double() + rate * delta
    new_var = var.double() + rate * (batch_var - var.double() + delta * (1 - rate) * delta)
    ended = torch.zeros_like(count, dtype=torch.bool) if until is None else count >= until
    mean.copy_(torch.where(ended, mean, new_mean.to(mean.dtype)))
    var.copy_(torch.where(ended, var, new_var.to(var.dtype)))
    count.copy_(torch.where(ended, count, new_count))


def normalize(x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, eps: float) -> torch.Tensor:
    """(x - mean) / (sqrt(var) + eps), per column of `x` [B, F]."""
    return (x - mean) / (var.sqrt() + eps)


def normalize_out(x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, eps: float, out: torch.Tensor) -> None:
    """`normalize` into `out`."""
    out.copy_(normalize(x, mean, var, eps))


def update_and_normalize(
    x: torch.Tensor,
    mean: torch.Tensor,
    var: torch.Tensor,
    count: torch.Tensor,
    eps: float,
    until: int | None,
    out: torch.Tensor,
) -> None:
    """`update_moments`, then `normalize` with the new moments."""
    update_moments(x, mean, var, count, until)
    normalize_out(x, mean, var, eps, out)


def discounted_return(rewards: torch.Tensor, running: torch.Tensor, gamma: float) -> None:
    """In place: running = gamma * running + rewards."""
    running.mul_(gamma).add_(rewards)


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Philox 4x32-10 (Salmon et al. 2011): four random 32-bit integers from a counter and a key.

    The counter is made of integers or of int64 tensors, whose products wrap around: the bits are right all the same.
    """
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(_PHILOX_ROUNDS):
        p0, p1 = x0 * _PHILOX_MULTIPLIERS[0], x2 * _PHILOX_MULTIPLIERS[1]
        high0, high1 = (p0 >> 32) & _MASK32, (p1 >> 32) & _MASK32
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, p1 & _MASK32, high0 ^ x3 ^ k1, p0 & _MASK32
        k0, k1 = (k0 + _PHILOX_WEYL[0]) & _MASK32, (k1 + _PHILOX_WEYL[1]) & _MASK32
    return x0, x1, x2, x3


def permutation(n: int, seed: int, offset: int, out: torch.Tensor, counter: torch.Tensor | None = None) -> None:
    """Write a pseudo-random permutation of 0..n-1 into `out` [n]: a keyed bijection, cycle walked.

    `counter` [] is added to `offset`.

    The bijection is an alternating Feistel network (Luby and Rackoff 1988) on the smallest power of two that holds n,
    split into a high and a low half; its round keys come from Philox under (seed, offset). A Feistel network is an even
    permutation, so a random bit decides whether the images 0 and 1 are exchanged. An image outside 0..n-1 goes through
    the network again until it falls inside (Black and Rogaway 2002, cycle walking), which keeps it a bijection.
    """
    if n == 0:
        return
    bits = max((n - 1).bit_length(), FEISTEL_MIN_BITS)
    low_bits = bits // 2
    low_mask, high_mask = (1 << low_bits) - 1, (1 << (bits - low_bits)) - 1
    offset += 0 if counter is None else int(counter)
    words = [word for block in range(FEISTEL_ROUNDS // 4 + 1) for word in _random_words(block, seed, offset)]
    keys, swap = words[:FEISTEL_ROUNDS], words[FEISTEL_ROUNDS] & 1
    image = torch.arange(n, dtype=torch.int64, device=out.device)
    outside = image.clone()
    while outside.numel() > 0:
        low, high = image[outside] & low_mask, image[outside] >> low_bits
        for number, key in enumerate(keys):
            if number % 2 == 0:
                high = high ^ (_mix(low, key) & high_mask)
            else:
                low = low ^ (_mix(high, key) & low_mask)
        passed = (high << low_bits) | low
        passed = torch.where(passed <= 1, passed ^ swap, passed)
        image[outside] = passed
        outside = outside[passed >= n]
    out.copy_(image)


def _random_words(block: int, seed: int, offset: int) -> tuple[int, int, int, int]:
    counter = (block, PERMUTATION_STREAM, offset & _MASK32, (offset >> 32) & _MASK32)
    return philox(counter, _key(seed))


def gaussian_sample(
    mean: torch.Tensor,
    std: torch.Tensor,
    noise: torch.Tensor | None,
    seed: int,
    offset: int,
    counter: torch.Tensor | None,
    actions: torch.Tensor,
    log_prob: torch.Tensor,
) -> None:
    """Write mean + std * noise into `actions` [B, A] and its log-probability density into `log_prob` (B elements).

    log p = -sum over A of ((x - mean) / std)^2 / 2 + log(std) + log(sqrt(2 pi)), of the action x as it was rounded.
    """
    number = offset if counter is None else offset + counter
    z = standard_normal(mean.numel(), seed, number, mean.device).view_as(mean) if noise is None else noise
    actions.copy_(mean + std * z.to(mean.dtype))
    log_std = torch.where((std > 0) & (std < torch.inf), std, torch.nan).log()
    surprise = 0.5 * ((actions - mean) / std) ** 2 + log_std
    log_prob.copy_(-(surprise.sum(dim=-1) + mean.shape[1] * LOG_SQRT_2PI).view_as(log_prob))


def policy_step(*arguments: Any) -> None:  # noqa: ANN401 - twelve of two networks, see csrc/policy_step/torch.cpp
    """Write means, standard deviations, actions, their log-probability and values of observations."""
    std, seed, offset, mean, std_rows, actions, log_prob, values = arguments[12:]
    mean.copy_(_network(*arguments[:6]))
    values.copy_(_network(*arguments[6:12]).view_as(values))
    std_rows.copy_(std.expand_as(mean))
    gaussian_sample(mean, std, None, seed, offset, None, actions, log_prob)


def standard_normal(n: int, seed: int, offset: int | torch.Tensor, device: torch.device) -> torch.Tensor:
    """The random numbers of `gaussian_sample`, float64 [n]: Philox words through Box and Muller (1958).

    Words 0 and 1 of a Philox block make two numbers, words 2 and 3 another two: radius sqrt(-2 log u) with
    u = (2 (w / 2) + 1) / 2^32 from the first, angle 2 pi w / 2^32 from the second.
    """
    groups = -(-n // (4 * GAUSSIAN_LANES))
    block = torch.arange(groups * GAUSSIAN_LANES, device=device)
    words = philox((block, GAUSSIAN_STREAM, offset & _MASK32, (offset >> 32) & _MASK32), _key(seed))
    numbers = []
    for radius_word, angle_word in (words[:2], words[2:]):
        radius = (-2 * (((radius_word >> 1).double() + 0.5) * 2.0**-31).log()).sqrt()
        angle = angle_word.double() * (2 * math.pi * 2.0**-32)
        numbers += [radius * angle.cos(), radius * angle.sin()]
    return torch.stack(numbers).view(4, groups, GAUSSIAN_LANES).transpose(0, 1).reshape(-1)[:n]


def _key(seed: int) -> tuple[int, int]:
    return seed & _MASK32, (seed >> 32) & _MASK32


def episode_stats(
    rewards: torch.Tensor,
    intrinsic_rewards: torch.Tensor | None,
    dones: torch.Tensor,
    running: torch.Tensor,
    finished: torch.Tensor,
    count: torch.Tensor,
) -> None:
    """Add a step to the sums of the `running` episodes [R, N]; those that end go to the ring `finished` [W, R].

    Row 0 counts steps, row 1 sums rewards, intrinsic ones included; with intrinsic rewards, row 2 sums the others and
    row 3 the intrinsic ones. Episode number i, counted from 0 over all steps and within a step by environment, is kept
    in row i mod W until episode i + W ends.
    """
    window = finished.shape[0]
    rewards = rewards.reshape(-1)
    parts = [rewards]
    if intrinsic_rewards is not None:
        intrinsic = intrinsic_rewards.reshape(-1)
        parts = [rewards + intrinsic, rewards, intrinsic]
    running += torch.stack([torch.ones_like(rewards), *parts])
    done = dones.reshape(-1) != 0
    ended = done.cumsum(dim=0)
    number, total = count + ended - 1, done.sum()
    kept = done & (ended > total - window)
    # Environments whose episode is not kept write into a row too many.
    row = torch.where(kept, number % window, window)
    finished.copy_(torch.cat([finished, finished[:1]]).index_copy(0, row, running.t())[:window])
    running.masked_fill_(done, 0)
    count += total


def _mix(x: torch.Tensor, key: int) -> torch.Tensor:
    """Round function: a 32-bit multiply and xor-shift hash of x under a key."""
    x = ((x ^ key) * _MIX_MULTIPLIERS[0]) & _MASK32
    x = x ^ (x >> 15)
    x = (x * _MIX_MULTIPLIERS[1]) & _MASK32
    return x ^ (x >> 16)


def _can_inspect(x: torch.Tensor) -> bool:
    """Whether values may be looked at: on a GPU that would wait for the device, an exporter would keep the outcome."""
    return x.device.type == "cpu" and not exporting()


def shuffle_rows(fields: list[torch.Tensor], index: torch.Tensor, out: list[torch.Tensor]) -> None:
    """out[f][i] = fields[f][index[i]] for every field."""
    rows = fields[0].shape[0] if fields else 0
    outside = (index < 0) | (index >= rows)
    if fields and _can_inspect(index) and bool(outside.any()):
        bad = int(outside.nonzero()[0])
        if rows == 0:
            raise ValueError(f"shuffle_rows: `fields` have no rows to take, got index[{bad}] = {int(index[bad])}")
        raise ValueError(f"shuffle_rows: `index` must be in 0..{rows - 1}, got index[{bad}] = {int(index[bad])}")
    for field, target in zip(fields, out, strict=True):
        target.copy_(field.index_select(0, index))


def split_trajectories(dones: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, offsets: torch.Tensor) -> None:
    """Trajectories of a rollout [T, N]: environment by environment, one ends where an episode or the rollout does.

    Trajectory k begins on row starts[k] = t * N + n of the flat rollout and has lengths[k] steps; those of environment
    n are offsets[n] .. offsets[n + 1] - 1. Behind the last trajectory `starts` and `lengths` [T * N] are zero.
    """
    num_steps, num_envs = dones.shape
    offsets.zero_()
    starts.zero_()
    lengths.zero_()
    if dones.numel() == 0:
        return
    last = dones.t() != 0
    last[:, -1] = True
    first = torch.cat([torch.ones_like(last[:, :1]), last[:, :-1]], dim=1)
    offsets[1:] = last.long().sum(dim=1).cumsum(dim=0)
    trajectory = first.flatten().long().cumsum(dim=0) - 1
    rows = torch.arange(num_steps * num_envs, device=dones.device).view(num_steps, num_envs).t()
    starts.index_add_(0, trajectory, (rows * first).flatten())
    lengths.index_add_(0, trajectory, torch.ones_like(trajectory))


def pad_trajectories(x: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Step l of trajectory k of `x` [T, N, ...] at [l, k] of the result [T, K, ...], zero behind its last step."""
    num_steps, num_envs = x.shape[:2]
    rows = _trajectory_rows("pad_trajectories", starts, lengths, num_steps, num_envs)
    zero = x.new_zeros(1, *x.shape[2:])
    return torch.cat([x.flatten(0, 1), zero])[rows]


def pad_trajectories_out(x: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, out: torch.Tensor) -> None:
    """`pad_trajectories` into `out`."""
    out.copy_(pad_trajectories(x, starts, lengths))


def unpad_trajectories(
    padded: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, num_envs: int
) -> torch.Tensor:
    """The steps of padded trajectories [T, K, ...] back at their places [T, N, ...]; places of none are zero."""
    num_steps = padded.shape[0]
    rows = _trajectory_rows("unpad_trajectories", starts, lengths, num_steps, num_envs)
    flat = padded.new_zeros(num_steps * num_envs + 1, *padded.shape[2:])
    return flat.index_put((rows,), padded)[:-1].unflatten(0, (num_steps, num_envs))


def unpad_trajectories_out(
    padded: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, num_envs: int, out: torch.Tensor
) -> None:
    """`unpad_trajectories` into `out`."""
    out.copy_(unpad_trajectories(padded, starts, lengths, num_envs))


def _trajectory_rows(
    op: str, starts: torch.Tensor, lengths: torch.Tensor, num_steps: int, num_envs: int
) -> torch.Tensor:
    """Row of the flat rollout for each step of padded trajectories [T, K]; T * N, one too many, for padding."""
    if _can_inspect(starts):
        _check_trajectories(op, starts, lengths, num_steps, num_envs)
    steps = torch.arange(num_steps, device=starts.device)[:, None]
    rows, end = starts + steps * num_envs, num_steps * num_envs
    return torch.where((steps < lengths) & (starts >= 0) & (starts < end) & (rows < end), rows, end)


def _check_trajectories(op: str, starts: torch.Tensor, lengths: torch.Tensor, num_steps: int, num_envs: int) -> None:
    """Refuse trajectories that leave the rollout, or precede or overlap the one before."""
    steps, envs = starts // max(num_envs, 1), starts % max(num_envs, 1)
    inside = (starts >= 0) & (steps < num_steps) & (lengths > 0) & (lengths <= num_steps - steps)
    first = torch.where(inside, envs * num_steps + steps, -1)
    ends = torch.where(inside, first + lengths, 0).cummax(dim=0).values
    free = torch.cat([ends.new_zeros(1), ends[:-1]])[: first.shape[0]]
    bad = ((lengths != 0) & (first < free)).nonzero().flatten()
    if bad.numel() > 0:
        k = int(bad[0])
        raise ValueError(
            f"{op}: `starts` and `lengths` must be trajectories of a rollout [{num_steps}, {num_envs}] in the order of "
            f"split_trajectories, got starts[{k}] = {int(starts[k])}, lengths[{k}] = {int(lengths[k])}"
        )


def cart_pole_step(
    actions: torch.Tensor,
    state: torch.Tensor,
    episode_lengths: torch.Tensor,
    episodes: torch.Tensor,
    ended: torch.Tensor,
    seed: int,
    max_episode_length: int,
    observations: torch.Tensor,
    rewards: torch.Tensor,
    dones: torch.Tensor,
    time_outs: torch.Tensor,
    final_observations: torch.Tensor | None,
) -> None:
    """One Euler step of 0.02 s of the carts and poles of Barto, Sutton and Anderson 1983, without friction.

    With force F, masses M = 1 of the cart and m = 0.1 of the pole, half-length l = 0.5, g = 9.8:
    u = (F + m l w^2 sin a) / (M + m), w' = (g sin a - u cos a) / (l (4/3 - m cos^2 a / (M + m))),
    v' = u - m l w' cos a / (M + m).
    """
    x, v, a, w = state.unbind(1)
    force, total, moment = 10.0 * actions.t().clamp(-1.0, 1.0), 1.1, 0.05
    push = (force + moment * w * w * a.sin()) / total
    w_dot = (9.8 * a.sin() - push * a.cos()) / (0.5 * (4.0 / 3.0 - 0.1 * a.cos() ** 2 / total))
    v_dot = push - moment * w_dot * a.cos() / total
    state.copy_(torch.stack([x + 0.02 * v, v + 0.02 * v_dot, a + 0.02 * w, w + 0.02 * w_dot], dim=1))
    stands = (state[:, 0].abs() <= 2.4) & (state[:, 2].abs() <= math.radians(12.0)) & ~state.isnan().any(dim=1)
    fell = ~stands.all(dim=0)
    episode_lengths += 1
    late = (episode_lengths >= max_episode_length) & ~fell
    observations.copy_(state.permute(2, 0, 1).reshape(observations.shape))
    rewards.fill_(1.0)
    done = fell | late
    dones.copy_(done)
    time_outs.copy_(late)
    ended += torch.stack([fell.sum(), late.sum()])
    if final_observations is not None:
        final_observations.copy_(observations.where(done[:, None], final_observations))
    start = cart_pole_start(seed, episodes, state)
    episodes += done
    episode_lengths.masked_fill_(done, 0)
    state.copy_(start.where(done, state))
    observations.copy_(state.permute(2, 0, 1).reshape(observations.shape))


def cart_pole_reset(
    state: torch.Tensor, episode_lengths: torch.Tensor, episodes: torch.Tensor, seed: int, observations: torch.Tensor
) -> None:
    """Begin a new episode everywhere."""
    state.copy_(cart_pole_start(seed, episodes, state))
    episodes += 1
    episode_lengths.zero_()
    observations.copy_(state.permute(2, 0, 1).reshape(observations.shape))


def cart_pole_start(seed: int, episodes: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """State [P, 4, N] at the start of episode `episodes` [N]: 0.05 (2 u - 1), u the upper 24 bits of a Philox word."""
    num_poles, _, num_envs = state.shape
    env, pole = torch.arange(num_envs, device=state.device), torch.arange(num_poles, device=state.device)
    counter = (env * num_poles + pole[:, None], CART_POLE_STREAM, episodes & _MASK32, (episodes >> 32) & _MASK32)
    words = torch.stack(torch.broadcast_tensors(*philox(counter, _key(seed))), dim=1)
    return 0.05 * (2.0 * ((words >> 8).to(state.dtype) * 2.0**-24) - 1.0)
