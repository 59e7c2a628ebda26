# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a policy does in one env step on CUDA: one graph per step of the rollout, from the storage into the storage."""

from __future__ import annotations

from typing import Any

import torch

from rslcore import ops
from rslcore.engine.graph_capture import Recording
from rslcore.engine.graph_known import Fork
from rslcore.engine.known import KnownMLP, describe_mlp
from rslcore.ops import _library
from rslcore.storage import RolloutStorage
from rslcore.storage.records import Slot
from rslcore.utils import tf32_products


class StaticPolicyStep:
    """Acts on the observations stored in a step, and writes all results into the same step; never asks the host.

    Noise is that of :func:`rslcore.ops.gaussian_sample`, with the number of the draw in device memory.
    """

    def __init__(self, actor: Any, critic: Any, seed: int, device: torch.device) -> None:  # noqa: ANN401
        """Prepare for models that :func:`~rslcore.engine.describe_mlp` knows, and a seed of the noise."""
        self._actor, self._critic, self._seed = actor, critic, seed
        self._fork = Fork(device)
        with torch.inference_mode(False):
            self._counter = torch.zeros((), dtype=torch.int64, device=device)
        self._next: int | None = None

    def load(self, number: int) -> None:
        """Let the coming draw be this one; where it follows the one before, the device knows already."""
        if number != self._next:
            self._counter.fill_(number)
        self._next = number + 1

    @torch.no_grad()
    def work(self, slot: Slot) -> None:
        """Write mean, standard deviation, actions, log-probability and values of a step."""
        with self._fork.beside():
            slot.values.copy_(self._critic.mlp(self._critic.get_latent(slot.groups)))
        mean = self._actor.mlp(self._actor.get_latent(slot.groups))
        std = self._actor.distribution.current_std()
        targets = slot.actions, slot.actions_log_prob
        ops.gaussian_sample(mean, std, seed=self._seed, offset=self._counter, out=targets)
        slot.distribution_params[0].copy_(mean)
        slot.distribution_params[1].copy_(std)
        self._counter += 1
        self._fork.join()


class CapturedPolicySteps:
    """The steps of a rollout of known models on CUDA, each a graph.

    Models are looked at when a rollout begins. The first step after a change runs uncaptured; every other one is
    captured when it comes for the first time, and from then on launched.
    """

    device_type = "cuda"
    """Where the models must be."""

    reason: str
    """Why the models' own code acts; empty where the graphs do."""

    def __init__(self, *, enabled: bool = True, use_tf32: bool = False) -> None:
        """Start without models; not ``enabled``, their own code always acts. TF32 products where they are wanted."""
        self._enabled = enabled
        self.reason = "" if enabled else "the eager engine was asked for"
        self._use_tf32 = use_tf32
        self._models: tuple[Any, Any, Any] = (None, None, None)
        self._device = torch.device(self.device_type)
        self._print: tuple[Any, ...] = ()
        self._step: StaticPolicyStep | None = None
        self._recordings: dict[int, Recording] = {}
        self._pool: Any = None
        self._is_warm = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the graphs: a copy of an algorithm has other tensors, and captures its own."""
        return vars(CapturedPolicySteps(enabled=self._enabled, use_tf32=self._use_tf32))

    def act(self, actor: Any, critic: Any, sampler: Any, storage: RolloutStorage) -> bool:  # noqa: ANN401
        """Let the models act on the observations stored in the current step.

        Returns:
            Whether the step now has mean, standard deviation, actions, log-probability and values; if not, the models'
            own code must run.
        """
        if not self._enabled:
            return False
        models = self._models
        if storage.step == 0 or actor is not models[0] or critic is not models[1] or sampler is not models[2]:
            self._models = (actor, critic, sampler)
            self.reason = self._look(actor, critic, sampler, storage)
        if self.reason or self._step is None:
            return False
        slot = storage.slot()
        self._step.load(sampler.next_offset())
        self._run(storage.step, slot)
        sampler.offset += 1
        actor.distribution.take(*slot.distribution_params)
        return True

    def values(self, critic: Any, obs: Any) -> None:  # noqa: ANN401
        """Values of observations: the critic's own code has them, once per rollout."""

    def _run(self, number: int, slot: Slot) -> None:
        assert self._step is not None
        recording = self._recordings.get(number)
        if recording is not None:
            recording.replay()
            return
        with tf32_products(self._use_tf32):
            if self._is_warm:
                recording = Recording(self._device, self._pool)
                recording.capture(_once(self._step, slot))
                self._recordings[number], self._pool = recording, recording.pool
            else:
                self._step.work(slot)
                self._is_warm = True

    def _look(self, actor: Any, critic: Any, sampler: Any, storage: RolloutStorage) -> str:  # noqa: ANN401
        """Drop graphs that no longer fit; return why there can be none."""
        policy, value = describe_mlp(actor), describe_mlp(critic)
        if (reason := refuses_steps(policy, value, sampler, storage)) is not None:
            self._step = None
            return reason
        assert isinstance(policy, KnownMLP) and isinstance(value, KnownMLP) and policy.distribution is not None
        if policy.device.type != self.device_type or value.device != policy.device:
            return f"the models are not on one {self.device_type} device"
        std = policy.distribution.current_std()
        storage.make_distribution_params([std.expand(storage.num_envs, -1)] * 2)
        now = _print_of(policy, value, sampler, storage)
        if self._step is None or now != self._print:
            self._print, self._recordings, self._is_warm = now, {}, False
            self._device = policy.device
            self._step = StaticPolicyStep(actor, critic, sampler.seed, policy.device)
            self._pool = None
        return ""


def refuses_steps(policy: KnownMLP | str, value: KnownMLP | str, sampler: Any, storage: Any) -> str | None:  # noqa: ANN401
    """Return why the steps of these models cannot be captured; None if they can."""
    if isinstance(policy, str):
        return f"the actor {policy}"
    if isinstance(value, str):
        return f"the critic {value}"
    if policy.distribution is None or value.distribution is not None:
        return "the actor needs a distribution, and the critic none"
    if sampler is None or any(callable(method) for method in vars(sampler).values()):
        return "actions are drawn otherwise"
    if type(storage) is not RolloutStorage:
        return f"the storage has code of its own: {type(storage).__name__}"
    if (error := _library.errors.get(policy.device.type, "no kernels")) is not None:
        return f"the compiled operators are missing: {error}"
    return None


def _once(step: StaticPolicyStep, slot: Slot) -> Any:  # noqa: ANN401
    """The work of a step, done when it is iterated over."""
    step.work(slot)
    yield from ()


def _print_of(policy: KnownMLP, value: KnownMLP, sampler: Any, storage: RolloutStorage) -> tuple[Any, ...]:  # noqa: ANN401
    """Everything that graphs of these steps have frozen."""
    parts: list[Any] = [sampler.seed, torch.backends.cuda.matmul.fp32_precision]
    for known in (policy, value):
        normalizer = known.normalizer
        moments = () if normalizer is None else (normalizer._mean, normalizer._var)
        parts += [known, None if normalizer is None else normalizer.eps]
        parts += [tensor.data_ptr() for tensor in (*known.weights, *known.biases, *moments)]
    distribution = policy.distribution
    assert distribution is not None
    noise = distribution.std_param if distribution.std_type == "scalar" else distribution.log_std_param
    parts += [noise.data_ptr(), tuple(distribution.std_range), distribution.std_type]
    return (*parts, *(buffer.data_ptr() for buffer in storage._buffers()))
