# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Gymnasium's vector environments keep their episodes whole when seen through `GymnasiumVecEnv`."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hand_made import NUM_ENVS, STEPS, Counter, actions_of, check_returns, check_transitions

from rslcore.env import GymnasiumVecEnv

gymnasium = pytest.importorskip("gymnasium")
from rslcore.env.gymnasium_wrapper import CopiedLastObservation  # noqa: E402

spaces = gymnasium.spaces
AutoresetMode = gymnasium.vector.AutoresetMode

MODES = [pytest.param(mode, id=mode.value) for mode in AutoresetMode]


class CounterEnv(gymnasium.Env):
    """A `Counter` as a Gymnasium environment; every reset but the first begins the next episode."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, index: int) -> None:
        self.counter = Counter(index, episode=-1)

    def reset(self, *, seed=None, options=None):
        """Begin the next episode."""
        super().reset(seed=seed)
        self.counter.restart()
        return self.observe(), {}

    def step(self, action):
        """Count."""
        reward, terminated, truncated = self.counter.step(float(action))
        return self.observe(), reward, terminated, truncated, {"steps": self.counter.step_count}

    def observe(self):
        """The observation, as the space says."""
        return self.counter.observation


class DictCounterEnv(CounterEnv):
    """The same with nested observations of several kinds."""

    observation_space = spaces.Dict(
        {
            "state": CounterEnv.observation_space,
            "more": spaces.Tuple((spaces.Discrete(7, start=-1), spaces.Box(0, 255, (8, 5, 3), np.uint8))),
        }
    )

    def observe(self):
        """State, step as a category, and an image full of the step."""
        step = self.counter.step_count
        return {"state": self.counter.observation, "more": (step - 1, np.full((8, 5, 3), step, np.uint8))}


def counters(vector_class, mode, env_class=CounterEnv, **kwargs):
    """N counters in a vector environment."""
    functions = [functools.partial(env_class, index) for index in range(NUM_ENVS)]
    return vector_class(functions, autoreset_mode=mode, **kwargs)


@pytest.fixture
def adapt():
    """Make adapters that are closed after the test, which ends the processes of async ones."""
    made = []

    def make(envs, **kwargs):
        made.append(GymnasiumVecEnv(envs, **{"max_episode_length": 100, **kwargs}))
        return made[-1]

    yield make
    for env in made:
        env.close()


VECTORS = [
    pytest.param(gymnasium.vector.SyncVectorEnv, {}, id="sync"),
    pytest.param(gymnasium.vector.SyncVectorEnv, {"copy": False}, id="sync-reused-buffers"),
    pytest.param(gymnasium.vector.AsyncVectorEnv, {}, id="async"),
    pytest.param(gymnasium.vector.AsyncVectorEnv, {"copy": False}, id="async-reused-buffers"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("vector_class", "kwargs"), VECTORS)
def test_every_step_is_a_transition_of_the_script(adapt, vector_class, kwargs, mode):
    """In all modes: rewards, dones, time_outs, final_obs and next observations are those of the hand-made episodes.

    In particular no step with an ignored action and a reward of 0 stands between two episodes.
    """
    check_transitions(adapt(counters(vector_class, mode, **kwargs)))


class LivesEnv(gymnasium.Env):
    """A game of three lives, each lost after two steps; every life is an episode, and a reset within a game is none.

    Observations are (game, lives, steps), in an array that is used again on every step, as many environments do.
    """

    observation_space = spaces.Box(0, 99, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.array = np.zeros(3, np.float32)
        self.game, self.lives, self.steps = 0, 0, 0

    def observe(self):
        """Write into the array."""
        self.array[:] = self.game, self.lives, self.steps
        return self.array

    def reset(self, *, seed=None, options=None):
        """Begin a new game if the last one is over."""
        super().reset(seed=seed)
        if self.lives == 0:
            self.game, self.lives = self.game + 1, 3
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        """Lose a life on every second step."""
        self.steps += 1
        lost = self.steps == 2
        self.lives -= lost
        return self.observe(), 0.0, lost, False, {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("vector_class", "kwargs"), VECTORS)
def test_an_end_that_is_no_full_reset_goes_on_where_the_game_is(adapt, vector_class, kwargs, mode):
    """Where the environment's own reset goes on with the game, so do the adapter's, in all modes."""
    cannot_copy = vector_class is gymnasium.vector.AsyncVectorEnv and mode == AutoresetMode.SAME_STEP
    make = (lambda: CopiedLastObservation(LivesEnv())) if cannot_copy else LivesEnv
    env = adapt(vector_class([make], autoreset_mode=mode, **kwargs))
    seen, last = [], []
    for _ in range(7):
        observations, _, dones, extras = env.step(torch.zeros(1, 1))
        seen += observations["policy"].tolist()
        last += extras["final_obs"]["policy"].tolist() if dones[0] else []
    assert seen == [[1, 3, 1], [1, 2, 0], [1, 2, 1], [1, 1, 0], [1, 1, 1], [2, 3, 0], [2, 3, 1]]
    assert last == [[1, 2, 2], [1, 1, 2], [1, 0, 2]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_final_obs_are_the_last_ones_of_an_environment_that_uses_its_array_again(vectorization, mode):
    """What `make` puts together gives the true last observations in all modes."""
    if "Lives-v0" not in gymnasium.registry:
        gymnasium.register("Lives-v0", LivesEnv, max_episode_steps=100, disable_env_checker=True)
    env = GymnasiumVecEnv.make("Lives-v0", 1, vectorization=vectorization, vector_kwargs={"autoreset_mode": mode})
    last = []
    for _ in range(6):
        *_, extras = env.step(torch.zeros(1, 1))
        last += extras["final_obs"]["policy"].tolist() if "final_obs" in extras else []
    assert last == [[1, 2, 2], [1, 1, 2], [1, 0, 2]]
    env.close()


@pytest.mark.parametrize("dictionary", [False, True])
def test_final_obs_that_the_reset_has_overwritten_are_not_passed_on(adapt, dictionary):
    """Foreign environments in SAME_STEP mode may hand out the state after the reset: a warning, and no final_obs."""
    env_class = DictLivesEnv if dictionary else LivesEnv
    env = adapt(gymnasium.vector.AsyncVectorEnv([env_class], autoreset_mode=AutoresetMode.SAME_STEP))
    env.step(torch.zeros(1, 1))
    with pytest.warns(UserWarning, match=r"GymnasiumVecEnv: .*final_obs.* those after the reset.*DISABLED"):
        *_, dones, extras = env.step(torch.zeros(1, 1))
    assert dones[0] and "final_obs" not in extras


class DictLivesEnv(LivesEnv):
    """The same, with a group of its own for a number that changes and one that does not."""

    observation_space = spaces.Dict(lives=LivesEnv.observation_space, constant=spaces.Discrete(2))

    def observe(self):
        """The array, and a constant."""
        return {"lives": super().observe(), "constant": 1}


@pytest.mark.parametrize("mode", MODES)
def test_returns_are_those_computed_by_hand(adapt, mode):
    """GAE over the adapter's rollout equals the sums written out for each episode, in all modes."""
    check_returns(adapt(counters(gymnasium.vector.SyncVectorEnv, mode)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vector_class", [gymnasium.vector.SyncVectorEnv, gymnasium.vector.AsyncVectorEnv])
def test_nested_observations_become_groups(adapt, vector_class, mode):
    """Dict and Tuple give one group per entry; the final observations have them too."""
    env = adapt(counters(vector_class, mode, DictCounterEnv))
    assert env.obs_groups == {name: ["more/0", "more/1", "state"] for name in ("actor", "critic")}
    check_transitions(env, group="state")
    for step in range(STEPS):
        observations, _, dones, extras = env.step(actions_of(step))
        for groups in (observations, extras["final_obs"]) if dones.any() else (observations,):
            steps = groups["state"][:, 2].long()
            assert torch.equal(groups["more/0"], torch.nn.functional.one_hot(steps, 7).float())
            assert groups["more/1"].dtype == torch.uint8 and groups["more/1"].shape == (NUM_ENVS, 3, 8, 5)
            assert torch.equal(groups["more/1"][:, 0, 0, 0].long(), steps)


@pytest.mark.parametrize("mode", MODES)
def test_assigned_episode_lengths_cut_first_episodes_off(adapt, mode):
    """Where the count reaches the limit the episode ends as a time-out, with its true last observation."""
    env = adapt(counters(gymnasium.vector.SyncVectorEnv, mode), max_episode_length=100)
    env.episode_length_buf = torch.tensor([98, 99, 0])
    observations, _, dones, extras = env.step(torch.zeros(3, 1))
    assert dones.tolist() == [False, True, True] and extras["time_outs"].tolist() == [False, True, False]
    assert extras["final_obs"]["policy"].tolist() == [[0, 0, 1], [1, 0, 1], [2, 0, 1]]
    assert observations["policy"].tolist() == [[0, 0, 1], [1, 1, 0], [2, 1, 0]]
    observations, _, dones, extras = env.step(torch.zeros(3, 1))
    assert dones.tolist() == [True, True, False] and extras["time_outs"].tolist() == [True, False, False]
    assert observations["policy"].tolist() == [[0, 1, 0], [1, 2, 0], [2, 1, 1]]


def test_a_limit_on_the_last_step_of_an_episode_is_what_the_environment_says(adapt):
    """A terminal state is none by the limit, even where both come on one step."""
    env = adapt(counters(gymnasium.vector.SyncVectorEnv, AutoresetMode.SAME_STEP))
    env.step(torch.zeros(3, 1))
    env.step(torch.zeros(3, 1))
    env.episode_length_buf = torch.full((3,), 99)
    _, _, dones, extras = env.step(torch.zeros(3, 1))  # environment 0 terminates on its third step
    assert dones.all() and extras["time_outs"].tolist()[0] is False


def test_seed_decides_the_run():
    """Same seed, same observations; environment i starts with seed + i; sync and async agree."""
    runs = []
    for seed, vectorization in ((3, "sync"), (3, "async"), (4, "sync")):
        env = GymnasiumVecEnv.make("CartPole-v1", 2, seed=seed, vectorization=vectorization)
        rows = [env.get_observations()["policy"]]
        rows += [env.step(torch.ones(2, 1))[0]["policy"] for _ in range(12)]
        runs.append(torch.stack(rows))
        env.close()
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(runs[0][0, 1], runs[2][0, 0])


def test_reset_starts_new_episodes_and_observations_are_not_overwritten():
    """reset(seed) goes back to the first observations; tensors returned earlier keep their values."""
    env = GymnasiumVecEnv.make("Pendulum-v1", 2, seed=5, vector_kwargs={"copy": False})
    first = env.get_observations()["policy"]
    kept = first.clone()
    env.step(torch.ones(2, 1))
    assert torch.equal(first, kept) and (env.episode_length_buf == 1).all()
    assert torch.equal(env.reset(seed=5)["policy"], kept) and (env.episode_length_buf == 0).all()
    assert torch.equal(env.get_observations()["policy"], kept)


def test_pendulum_actions_are_clipped_or_rescaled():
    """Pendulum's torque range is [-2, 2]: "clip" stops there, "rescale" maps 1 to it, and both get a Gaussian."""
    speeds = {}
    for mode, action in (("clip", 9.0), ("clip", 2.0), ("rescale", 9.0), ("rescale", 1.0), ("rescale", 0.5)):
        env = GymnasiumVecEnv.make("Pendulum-v1", 1, seed=1, action_mode=mode)
        assert env.distribution_cfg == {"class_name": "GaussianDistribution"} and env.max_episode_length == 200
        speeds[mode, action] = env.step(torch.full((1, 1), action))[0]["policy"][0, 2].item()
    assert speeds["clip", 9.0] == speeds["clip", 2.0] == speeds["rescale", 9.0] == speeds["rescale", 1.0]
    assert speeds["rescale", 0.5] < speeds["rescale", 1.0]


def test_log_info_averages_entries_of_the_info(adapt):
    """Entries asked for are logged as means over the environments that report them."""
    env = adapt(counters(gymnasium.vector.SyncVectorEnv, AutoresetMode.DISABLED), log_info=("steps", "absent"))
    *_, extras = env.step(torch.zeros(3, 1))
    assert extras["log"]["Info/steps"] == 1.0 and "Info/absent" not in extras["log"]


def test_time_step_of_mujoco_environments_is_known():
    """MuJoCo's environments tell the duration of a step, others do not."""
    pytest.importorskip("mujoco")
    assert GymnasiumVecEnv.make("InvertedPendulum-v5", 1).step_dt == pytest.approx(0.04)
    assert GymnasiumVecEnv.make("CartPole-v1", 1).step_dt is None


def test_vector_environments_that_cannot_reset_at_once_are_refused():
    """A class of its own in NEXT_STEP mode would bring dead steps into the training: one error that says what to do."""
    with pytest.raises(ValueError, match=r"CartPoleVectorEnv resets .* \(NEXT_STEP\).*vectorization_mode='sync'"):
        GymnasiumVecEnv(gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="vector_entry_point"))
    envs = counters(gymnasium.vector.AsyncVectorEnv, AutoresetMode.NEXT_STEP, shared_memory=False)
    with pytest.raises(ValueError, match=r"shared_memory=False.*SAME_STEP"):
        GymnasiumVecEnv(envs)
    envs.close()


class SameStepVectorEnv(gymnasium.vector.VectorEnv):
    """A vector environment of its own kind that resets within the step; its final_obs are a batch, or missing."""

    def __init__(self, with_final_obs: bool) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = NUM_ENVS
        self.single_observation_space = CounterEnv.observation_space
        self.single_action_space = CounterEnv.action_space
        self.with_final_obs = with_final_obs

    def reset(self, *, seed=None, options=None):
        """Ignore masks, as such classes may."""
        assert options is None
        self.counters = [Counter(index) for index in range(NUM_ENVS)]
        return self.observe(), {}

    def observe(self):
        """All observations."""
        return np.stack([counter.observation for counter in self.counters])

    def step(self, actions):
        """Step all, then begin new episodes."""
        rewards, terminated, truncated = map(
            np.array, zip(*[c.step(float(a)) for c, a in zip(self.counters, actions, strict=True)], strict=True)
        )
        final_obs = self.observe()
        for index in np.flatnonzero(terminated | truncated):
            self.counters[index].restart()
        info = {"final_obs": final_obs} if self.with_final_obs else {}
        return self.observe(), rewards, terminated, truncated, info


@pytest.mark.parametrize("with_final_obs", [True, False])
def test_foreign_vector_environments_in_same_step_mode(adapt, with_final_obs):
    """They work; without their final_obs none are invented; lengths assigned cut nothing off, as nothing can."""
    env = adapt(SameStepVectorEnv(with_final_obs))
    check_transitions(env, has_final_obs=with_final_obs)
    env.episode_length_buf = torch.full((3,), 99)
    env.reset()
    env.episode_length_buf = torch.full((3,), 99)
    assert env.step(torch.zeros(3, 1))[2].tolist() == [False, False, True]


class OddSpaceEnv(CounterEnv):
    """Has a space that is not supported."""

    def __init__(self, observation_space=None, action_space=None) -> None:
        super().__init__(0)
        self.observation_space = observation_space or self.observation_space
        self.action_space = action_space or self.action_space


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"observation_space": spaces.Text(5)}, r"observations of Text.* not supported; supported: Box.*Discrete"),
        (
            {"observation_space": spaces.Dict(a=spaces.Sequence(spaces.Discrete(2)))},
            r"observation 'a' of Sequence.* are not supported",
        ),
        ({"action_space": spaces.Dict(a=spaces.Discrete(2))}, r"actions of Dict.* not supported; supported: Box"),
        ({"action_space": spaces.Box(0, 9, (2,), np.int64)}, r"actions of Box.*int64.* not supported"),
    ],
)
def test_unsupported_spaces_are_named(kwargs, message):
    """The error names the space and those that are supported."""
    envs = gymnasium.vector.SyncVectorEnv([lambda: OddSpaceEnv(**kwargs)])
    with pytest.raises(ValueError, match=f"GymnasiumVecEnv: {message}"):
        GymnasiumVecEnv(envs, max_episode_length=9)


def test_bad_arguments_are_one_clear_error():
    """Each error names the argument, what is expected and what was given."""
    envs = counters(gymnasium.vector.SyncVectorEnv, AutoresetMode.SAME_STEP)
    with pytest.raises(ValueError, match="no time limit in its `spec`; give `max_episode_length`"):
        GymnasiumVecEnv(envs)
    with pytest.raises(ValueError, match="`max_episode_length` must be at least 1, got 0"):
        GymnasiumVecEnv(envs, max_episode_length=0)
    with pytest.raises(ValueError, match="`image_layout` must be 'auto', 'hwc' or 'chw', got 'cwh'"):
        GymnasiumVecEnv(envs, max_episode_length=9, image_layout="cwh")
    with pytest.raises(TypeError, match=r"must be a gymnasium.vector.VectorEnv, got CounterEnv"):
        GymnasiumVecEnv(CounterEnv(0))
    with pytest.raises(ValueError, match=r"make: `vectorization` must be one of .*'async'.*, got 'threads'"):
        GymnasiumVecEnv.make("CartPole-v1", 2, vectorization="threads")
    with pytest.raises(ValueError, match="make: `num_envs` must be at least 1, got 0"):
        GymnasiumVecEnv.make("CartPole-v1", 0)
    with pytest.raises(ValueError, match="`action_mode` must be 'clip', 'rescale' or 'none', got 'scale'"):
        GymnasiumVecEnv.make("Pendulum-v1", 1, action_mode="scale")
    with pytest.raises(RuntimeError, match="render_mode='rgb_array'"):
        GymnasiumVecEnv.make("Pendulum-v1", 1).render()


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 1)])
def test_wrong_action_size_is_refused_and_changes_nothing(adapt, shape):
    """The error gives both shapes; no environment has been stepped."""
    env = adapt(counters(gymnasium.vector.SyncVectorEnv, AutoresetMode.SAME_STEP))
    with pytest.raises(ValueError, match=r"GymnasiumVecEnv.step: `actions` must be \[3, 1\], got \["):
        env.step(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"`actions\[1, 0\]` must be a category from 0 to 1, got 2"):
        env.step(torch.tensor([[0.0], [2.0], [0.0]]))
    check_transitions(env)


def test_works_under_inference_mode_and_outside(adapt):
    """A trainer steps under inference_mode, an evaluation may not."""
    env = adapt(counters(gymnasium.vector.SyncVectorEnv, AutoresetMode.DISABLED))
    for context in (torch.inference_mode, torch.enable_grad, torch.inference_mode):
        with context():
            for step in range(5):
                env.step(actions_of(step))


@pytest.mark.parametrize("mode", MODES)
def test_vector_wrappers_are_passed_through(adapt, mode):
    """Wrappers around the vector environment neither hide what it can do nor lose the masked resets."""
    envs = counters(gymnasium.vector.SyncVectorEnv, mode)
    envs = gymnasium.wrappers.vector.TransformReward(envs, lambda rewards: 1.0 * rewards)
    if mode != AutoresetMode.SAME_STEP:  # which Gymnasium's observation wrappers do not take
        envs = gymnasium.wrappers.vector.TransformObservation(envs, lambda observations: observations)
    check_transitions(adapt(envs))


@pytest.mark.parametrize("mode", MODES)
def test_the_default_device_is_not_the_adapters(adapt, mode, default_device):
    """Whatever torch makes tensors on by default, those of an adapter are where it says: here, on the CPU."""
    env = adapt(counters(gymnasium.vector.SyncVectorEnv, mode, DictCounterEnv), max_episode_length=4)
    for step in range(6):
        observations, rewards, dones, extras = env.step(torch.zeros(3, 1, device="cpu"))
        tensors = [*observations.values(), rewards, dones, extras["time_outs"], *extras.get("final_obs", {}).values()]
        assert {x.device.type for x in tensors} == {"cpu"}, step
    assert env.episode_length_buf.device.type == env.reset().device.type == "cpu"
