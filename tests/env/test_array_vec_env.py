# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Environments on arrays of NumPy, torch and JAX, seen through `ArrayVecEnv`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hand_made import NUM_ENVS, Counter, check_returns, check_transitions

from rslcore.env import ArrayVecEnv


class CounterArrays:
    """The hand-made episodes on arrays; everything it returns lies in buffers that it uses again."""

    def __init__(self, same_step: bool, convert=np.asarray, final_obs: bool = True) -> None:
        self.same_step, self.convert, self.final_obs = same_step, convert, final_obs
        self.counters = [Counter(index, episode=-1) for index in range(NUM_ENVS)]
        self.observations = np.zeros((NUM_ENVS, 3))
        self.final = np.zeros((NUM_ENVS, 3))
        self.rewards = np.zeros(NUM_ENVS)
        self.flags = np.zeros((2, NUM_ENVS), dtype=bool)

    def reset(self, seed=None, mask=None):
        """Begin the next episodes."""
        for index, counter in enumerate(self.counters):
            if mask is None or bool(mask[index]):
                counter.restart()
        return self.observe()

    def observe(self):
        """Write the observations into the buffer."""
        self.observations[:] = [counter.observation for counter in self.counters]
        return self.convert(self.observations)

    def step(self, actions):
        """Step all."""
        assert tuple(actions.shape) == (NUM_ENVS,) and str(actions.dtype).endswith("int32")
        for index, counter in enumerate(self.counters):
            self.rewards[index], self.flags[0, index], self.flags[1, index] = counter.step(float(actions[index]))
        info = {}
        self.observe()
        if self.same_step:
            self.final[:] = self.observations
            if self.final_obs:
                info["final_obs"] = self.convert(self.final)
            for index in np.flatnonzero(self.flags.any(0)):
                self.counters[index].restart()
        return self.observe(), *map(self.convert, (self.rewards, self.flags[0], self.flags[1])), info


def adapt(envs, **kwargs):
    """An adapter with two categories, as the hand-made episodes need them."""
    mode = "same_step" if envs.same_step else "disabled"
    return ArrayVecEnv(envs, NUM_ENVS, num_categories=2, max_episode_length=100, autoreset=mode, **kwargs)


def jax_array(array):
    """A JAX array, float32 or bool."""
    return pytest.importorskip("jax", reason="JAX is not installed").numpy.array(array)


LIBRARIES = [
    pytest.param(np.asarray, id="numpy"),
    pytest.param(torch.from_numpy, id="torch"),
    pytest.param(jax_array, id="jax"),
]


@pytest.mark.parametrize("convert", LIBRARIES)
@pytest.mark.parametrize("same_step", [True, False])
def test_every_step_is_a_transition_of_the_script(convert, same_step):
    """In both modes, for arrays of every library, also where they are used again: the hand-made episodes come out."""
    check_transitions(adapt(CounterArrays(same_step, convert)))


@pytest.mark.parametrize("same_step", [True, False])
def test_returns_are_those_computed_by_hand(same_step):
    """GAE over the adapter's rollout equals the sums written out for each episode."""
    check_returns(adapt(CounterArrays(same_step)))


def test_final_observations_are_not_invented():
    """An environment that resets itself and does not tell its last observations gives none."""
    check_transitions(adapt(CounterArrays(True, final_obs=False)), has_final_obs=False)


class OneArray(CounterArrays):
    """Gives as its last observations the array that it has written the first ones of the next episode into."""

    def step(self, actions):
        """Step, and hand out the same array twice."""
        *results, info = super().step(actions)
        info["final_obs"] = results[0]
        return *results, info


@pytest.mark.parametrize("convert", LIBRARIES[:2])
def test_final_observations_that_the_reset_has_overwritten_are_not_passed_on(convert):
    """The same memory cannot hold both observations: a warning says so, and there are no final_obs."""
    env = adapt(OneArray(True, convert))
    with pytest.warns(UserWarning, match=r"ArrayVecEnv: `final_obs` .* the same memory as the observations"):
        *_, dones, extras = env.step(torch.zeros(3, 1))
    assert dones.any() and "final_obs" not in extras


@pytest.mark.parametrize("convert", LIBRARIES[:2])
def test_final_observations_are_kept_where_arrays_are_shared(convert):
    """With copy=False a reset may write into the array of the last observations: they are what they were before."""
    arrays = CounterArrays(False, convert)
    arrays.observations = arrays.observations.astype(np.float32)
    check_transitions(adapt(arrays, copy=False))


def test_assigned_episode_lengths_cut_episodes_off_where_environments_can_be_reset():
    """With autoreset "disabled" the adapter ends episodes at the limit, as time-outs."""
    env = adapt(CounterArrays(False))
    env.episode_length_buf = torch.tensor([99, 0, 0])
    observations, _, dones, extras = env.step(torch.zeros(3, 1))
    assert dones.tolist() == [True, False, True] and extras["time_outs"].tolist() == [True, False, False]
    assert observations["policy"][0].tolist() == [0, 1, 0]
    assert extras["final_obs"]["policy"][0].tolist() == [0, 0, 1]


class Memory:
    """Returns the same arrays on every step."""

    def __init__(self, array, num_envs=2):
        self.array, self.num_envs = array, num_envs
        self.actions = None

    def reset(self, seed=None):
        """Nothing happens."""
        return self.array

    def step(self, actions):
        """Keep the actions."""
        self.actions = actions
        zeros = self.array[:, 0] * 0
        return self.array, zeros, zeros, zeros


def address(env):
    """Memory address of the observations."""
    return env.get_observations()["policy"].data_ptr()


def test_numpy_is_copied_unless_told_otherwise():
    """By default buffers may be used again; copy=False shares them."""
    array = np.zeros((2, 3), dtype=np.float32)
    options = {"num_actions": 1, "max_episode_length": 5}
    assert address(ArrayVecEnv(Memory(array), 2, **options)) != array.ctypes.data
    assert address(ArrayVecEnv(Memory(array), 2, copy=False, **options)) == array.ctypes.data


def test_jax_is_shared_both_ways():
    """Observations are JAX's own memory, float32 and bool; actions arrive as JAX arrays."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    array = jax.numpy.arange(6.0).reshape(2, 3)
    envs = Memory(array)
    env = ArrayVecEnv(envs, 2, num_actions=2, action_range=(-1.0, (1.0, 3.0)), max_episode_length=5)
    assert address(env) == array.unsafe_buffer_pointer()
    env.step(torch.tensor([[9.0, 9.0], [-9.0, 0.5]]))
    assert isinstance(envs.actions, jax.Array) and envs.actions.tolist() == [[1.0, 3.0], [-1.0, 0.5]]
    assert address(ArrayVecEnv(envs, 2, num_actions=1, max_episode_length=5, copy=True)) != address(env)


def test_actions_keep_their_values_when_the_caller_changes_its_tensor():
    """The library gets memory of its own: overwriting the policy's tensor does not change an array it keeps."""
    envs = Memory(np.zeros((2, 3), dtype=np.float32))
    for mode in ("none", "clip"):
        env = ArrayVecEnv(envs, 2, num_actions=1, action_mode=mode, max_episode_length=5)
        actions = torch.ones(2, 1)
        env.step(actions)
        actions.zero_()
        assert envs.actions.tolist() == [[1.0], [1.0]]


def test_groups_and_types():
    """A mapping gives groups; uint8 images stay, everything else becomes float32; the first reset may have an info."""

    class Groups(Memory):
        def reset(self, seed=None):
            assert seed == 7
            return {"image": np.zeros((2, 1, 4, 4), np.uint8), "state": np.ones((2, 3)), "count": self.array}, {}

    env = ArrayVecEnv(Groups(np.ones((2, 1), np.int64)), 2, num_categories=(2, 3), max_episode_length=5, seed=7)
    assert {name: value.dtype for name, value in env.get_observations().items()} == {
        "image": torch.uint8,
        "state": torch.float32,
        "count": torch.float32,
    }
    assert env.num_actions == 2
    assert env.distribution_cfg == {"class_name": "CategoricalDistribution", "num_categories": [2, 3]}
    assert env.obs_groups["critic"] == ["image", "state", "count"]


def test_images_that_seem_to_have_their_channels_last_are_named(recwarn):
    """They are taken as [N, C, H, W], as the contract says; a warning says that this may not be meant."""
    options = {"num_actions": 1, "max_episode_length": 5}
    ArrayVecEnv(Memory(np.zeros((2, 3, 20, 24), np.uint8)), 2, **options)
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"group 'policy' \[2, 20, 24, 3\] is taken for images .* of 20 channels"):
        ArrayVecEnv(Memory(np.zeros((2, 20, 24, 3), np.uint8)), 2, **options)


@pytest.mark.parametrize(
    ("array", "kwargs", "error", "message"),
    [
        (np.zeros((2, 3)), {}, ValueError, "exactly one of `num_actions` .* and `num_categories`.* got None and None"),
        (np.zeros((2, 3)), {"num_actions": 1, "autoreset": "next_step"}, ValueError, "'same_step' or 'disabled', got"),
        (np.zeros((3, 3)), {"num_actions": 1}, ValueError, r"group 'policy' must be \[2, ...\].* got \[3, 3\]"),
        (np.zeros(2), {"num_actions": 1}, ValueError, r"group 'policy' must be \[2, ...\].* got \[2\]"),
        ([[0.0], [0.0]], {"num_actions": 1}, TypeError, "observations must be arrays of NumPy, torch .* got list"),
        (np.zeros((2, 3)), {"num_categories": 0}, ValueError, "numbers of categories must be at least 1, got 0"),
        (
            np.zeros((2, 3)),
            {"num_actions": 1, "action_mode": "rescale"},
            ValueError,
            "'rescale' needs actions with finite bounds, got -inf to inf",
        ),
        (
            np.zeros((2, 3)),
            {"num_actions": 1, "action_range": (1.0, 0.0)},
            ValueError,
            "lower bounds of actions must not exceed",
        ),
    ],
)
def test_bad_arguments_are_one_clear_error(array, kwargs, error, message):
    """Each error names the argument, what is expected and what was given."""
    with pytest.raises(error, match=f"ArrayVecEnv: .*{message}"):
        ArrayVecEnv(Memory(array), 2, max_episode_length=5, **kwargs)


def test_wrong_shapes_from_the_environment_are_named():
    """Rewards that are not [N] are an error, not broadcast."""

    class Wrong(Memory):
        def step(self, actions):
            return self.array, self.array, self.array[:, 0], self.array[:, 0]

    env = ArrayVecEnv(Wrong(np.zeros((2, 3))), 2, num_actions=1, max_episode_length=5)
    with pytest.raises(ValueError, match=r"ArrayVecEnv.step: `rewards` must be \[2\], got \[2, 3\]"):
        env.step(torch.zeros(2, 1))


@pytest.mark.parametrize("convert", LIBRARIES[:2])
@pytest.mark.parametrize("same_step", [True, False])
def test_the_default_device_is_not_the_adapters(convert, same_step, default_device):
    """Whatever torch makes tensors on by default, those of an adapter are where the arrays are: here, on the CPU."""
    env = adapt(CounterArrays(same_step, convert), seed=3)
    env.episode_length_buf[0] = 99
    for step in range(6):
        observations, rewards, dones, extras = env.step(torch.zeros(3, 1, device="cpu"))
        tensors = [*observations.values(), rewards, dones, extras["time_outs"], *extras.get("final_obs", {}).values()]
        assert {x.device.type for x in tensors} == {"cpu"}, step
