# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The laws of MujocoVecEnv, on a pendulum whose motion is easy to predict."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rslcore.env import MujocoVecEnv
from rslcore.env.mujoco_vec_env import import_mujoco

mujoco = pytest.importorskip("mujoco")
pytest.importorskip("mjbatch")

PENDULUM = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body><joint name="pivot" type="hinge" axis="0 1 0" damping="0.1"/>
      <geom name="bob" type="sphere" pos="0 0 -1" size="0.1" mass="1"/></body>
  </worldbody>
  <actuator><motor joint="pivot"/></actuator>
</mujoco>
"""
LIMIT = 7


class PendulumEnv(MujocoVecEnv):
    """Starts at a random angle; ends in a terminal state beyond `max_angle`."""

    reward_terms = ("angle", "effort")

    def __init__(self, num_envs: int = 4, seed: int = 0, max_angle: float = 1e9, **kwargs):
        super().__init__(
            mujoco.MjModel.from_xml_string(PENDULUM),
            num_envs,
            decimation=2,
            max_episode_length=LIMIT,
            seed=seed,
            **kwargs,
        )
        self.max_angle = max_angle
        self.mass = self.expand("body_mass")
        self.mass[:, 1] = self.uniform(num_envs, low=0.5, high=2.0).double()
        self.recompute_constants()
        self.events = self.persist("events", torch.zeros(num_envs, device="cpu"))
        self.reset()

    def compute_terminated(self):
        """Beyond the largest angle."""
        return self.qpos[:, 0].abs() > self.max_angle

    def compute_rewards(self, terminated):
        """Two terms easy to sum by hand."""
        return {"angle": -self.qpos[:, 0].float(), "effort": -0.5 * self.ctrl[:, 0].float()}

    def reset_envs(self, env_ids):
        """Hang with a small random angle."""
        self.qpos[env_ids, 0] = self.uniform(len(env_ids), low=-0.1, high=0.1).double()

    def update_events(self):
        """Draw random numbers on every step, as a task with commands does."""
        self.events += torch.rand(self.num_envs, generator=self.generator, device="cpu")

    def compute_observations(self):
        """Angle and velocity; the random numbers in a group of their own."""
        return {
            "policy": torch.stack((self.qpos[:, 0], self.qvel[:, 0]), 1).float(),
            "events": self.events[:, None] + 0,
        }


def rollout(env, steps, action_seed=3):
    """Step with seeded actions and return everything that came back, stacked."""
    generator = torch.Generator().manual_seed(action_seed)
    rows = []
    for _ in range(steps):
        observations, rewards, dones, _ = env.step(torch.randn(env.num_envs, 1, generator=generator))
        rows.append(torch.cat((observations["policy"], observations["events"], rewards[:, None], dones[:, None]), 1))
    return torch.stack(rows)


def test_step_returns_reset_observation_and_keeps_the_final_one():
    """On the step that ends an episode: obs is the new episode's first, final_obs the old one's true last."""
    env = PendulumEnv(seed=1)
    for _ in range(LIMIT - 1):
        _, _, dones, extras = env.step(torch.ones(4, 1))
        assert not dones.any() and "final_obs" not in extras and "log" not in extras
    before = env.state_dict()
    observations, rewards, dones, extras = env.step(torch.ones(4, 1))
    assert dones.all()
    assert (observations["policy"][:, 0].abs() <= 0.1).all() and (observations["policy"][:, 1] == 0).all()
    assert (env.episode_length_buf == 0).all()

    # One more step of the old episode, had there been no limit, gives the same last state.
    env.load_state_dict(before)
    env.max_episode_length = LIMIT + 1
    continued, continued_rewards, dones, _ = env.step(torch.ones(4, 1))
    assert not dones.any()
    torch.testing.assert_close(extras["final_obs"]["policy"], continued["policy"], rtol=0, atol=0)
    torch.testing.assert_close(rewards, continued_rewards, rtol=0, atol=0)


class OneBufferEnv(PendulumEnv):
    """Writes its observations into the same tensors on every step."""

    def compute_observations(self):
        """Fill the tensors."""
        if not hasattr(self, "buffers"):
            self.buffers = super().compute_observations()
        for name, value in super().compute_observations().items():
            self.buffers[name].copy_(value)
        return self.buffers


def test_final_obs_are_the_last_ones_of_a_task_that_uses_its_tensors_again():
    """The true last observations stay, though the task writes those after the reset into the same memory."""
    envs = PendulumEnv(seed=1), OneBufferEnv(seed=1)
    for _ in range(LIMIT):
        extras = [env.step(torch.ones(4, 1))[3] for env in envs]
    first, second = (e["final_obs"]["policy"] for e in extras)
    assert torch.equal(first, second) and not torch.equal(second, envs[1].get_observations()["policy"])


def test_time_out_is_the_limit_and_not_a_terminal_state():
    """time_outs marks episodes ended by the limit alone; a terminal state on the last step is no time-out."""
    env = PendulumEnv(num_envs=3, max_angle=0.5)
    env.qpos[:, 0] = torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64)
    _, _, dones, extras = env.step(torch.zeros(3, 1))
    assert dones.tolist() == [False, True, False]
    assert extras["time_outs"].tolist() == [False, False, False]
    env.episode_length_buf = torch.tensor([LIMIT - 1, LIMIT - 1, 0])
    env.qpos[:, 0] = torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64)
    _, _, dones, extras = env.step(torch.zeros(3, 1))
    assert dones.tolist() == [True, True, False]
    assert extras["time_outs"].tolist() == [True, False, False]
    assert extras["log"]["Episode_Termination/terminated"] == 0.5


def test_reset_leaves_other_environments_alone():
    """An environment that goes on is not touched by the resets of others."""
    alone, other = PendulumEnv(seed=5, max_angle=0.5), PendulumEnv(seed=5, max_angle=0.5)
    other.qpos[1, 0] = 2.0
    kept = [0, 2, 3]
    a, b = alone.step(torch.zeros(4, 1)), other.step(torch.zeros(4, 1))
    assert not a[2].any() and b[2].tolist() == [False, True, False, False]
    torch.testing.assert_close(a[0]["policy"][kept], b[0]["policy"][kept], rtol=0, atol=0)


def test_log_is_the_episode_sum_per_second_of_the_limit():
    """Episode_Reward/x is the sum of the term over the episode, divided by the time limit in seconds."""
    env = PendulumEnv()
    for _ in range(LIMIT):
        *_, extras = env.step(torch.full((4, 1), 2.0))
    expected = LIMIT * -0.5 * 2.0 / (LIMIT * 0.02)
    assert extras["log"]["Episode_Reward/effort"].item() == pytest.approx(expected)
    *_, extras = env.step(torch.zeros(4, 1))
    assert (env._episode_sums[1] == 0).all()


def test_same_seed_same_bits_whatever_the_number_of_threads():
    """The seed decides the run; the number of physics threads does not."""
    runs = [rollout(PendulumEnv(seed=seed, num_threads=threads), 20) for seed, threads in ((7, 1), (7, 3), (8, 1))]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_state_dict_continues_exactly(tmp_path):
    """A saved state, read back with weights_only, continues bit for bit in an environment of any seed."""
    env = PendulumEnv(seed=2)
    rollout(env, 10)
    torch.save(env.state_dict(), tmp_path / "env.pt")
    expected_observations = env.get_observations()
    expected = rollout(env, 20)

    other = PendulumEnv(seed=99)
    other.load_state_dict(torch.load(tmp_path / "env.pt", weights_only=True))
    for name, value in expected_observations.items():
        assert torch.equal(other.get_observations()[name], value)
    assert torch.equal(rollout(other, 20), expected)


def test_state_dict_is_a_copy():
    """Going on does not change a state taken before."""
    env = PendulumEnv()
    state = env.state_dict()
    sim, generator = state["sim"].clone(), state["generator"].clone()
    rollout(env, 3)
    assert torch.equal(state["sim"], sim) and torch.equal(state["generator"], generator)


@pytest.mark.parametrize("num_envs", [3, 5])
def test_foreign_state_is_refused_and_changes_nothing(num_envs):
    """A state of another size names the entry, and the environment goes on as before."""
    env, reference = PendulumEnv(), PendulumEnv()
    with pytest.raises(ValueError, match=r"load_state_dict: `sim` must be \[4, \d+\], got \[" + str(num_envs)):
        env.load_state_dict(PendulumEnv(num_envs=num_envs).state_dict())
    state = env.state_dict()
    del state["task"]["events"]
    with pytest.raises(ValueError, match="`task` must have the keys"):
        env.load_state_dict(state)
    assert torch.equal(rollout(env, 5), rollout(reference, 5))


def test_get_observations_advances_nothing():
    """Looking twice gives the same, and the run goes on as without looking."""
    env, reference = PendulumEnv(), PendulumEnv()
    assert torch.equal(env.get_observations()["events"], env.get_observations()["events"])
    assert torch.equal(rollout(env, 5), rollout(reference, 5))


def test_model_fields_differ_between_environments():
    """A randomized mass changes the motion of its own environment; constants derived from it follow."""
    env = PendulumEnv(num_envs=2)
    env.mass[:, 1] = torch.tensor([1.0, 3.0], dtype=torch.float64)
    env.recompute_constants()
    env.reset()
    env.qpos[:] = 0.0
    env.qvel[:] = 0.0
    env.step(torch.ones(2, 1))
    assert env.qvel[0, 0] > 1.5 * env.qvel[1, 0] > 0


@pytest.mark.parametrize("shape", [(4,), (4, 2), (3, 1)])
def test_wrong_action_shape_is_refused(shape):
    """The message says which shape was expected and given; no physics happens."""
    env = PendulumEnv()
    before = env.state_dict()["sim"]
    with pytest.raises(ValueError, match=r"PendulumEnv.step: `actions` must be \[4, 1\], got \["):
        env.step(torch.zeros(shape))
    assert torch.equal(env.state_dict()["sim"], before)


def test_works_under_inference_mode_and_outside():
    """A trainer steps under inference_mode, an evaluation may not; buffers survive the change."""
    env = PendulumEnv()
    with torch.inference_mode():
        rollout(env, LIMIT + 1)
    rollout(env, LIMIT + 1)


def test_missing_simulator_is_one_clear_error():
    """Without mujoco the package imports, and making an environment says what to install."""
    script = (
        "import sys; sys.modules['mujoco'] = None\n"
        "import rslcore.tasks\n"
        "try: rslcore.tasks.get('quadruped-flat').make_env(2)\n"
        "except ImportError as error: print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.count("\n") == 1 and 'pip install "rslcore[mujoco]"' in out


def test_the_simulator_reads_no_clock_unless_told():
    """MuJoCo's own timers stay at zero, physics is not timed; a clock that the user set is kept."""
    model = mujoco.MjModel.from_xml_string(PENDULUM)

    def seconds_of_a_step():
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data)
        return data.timer[mujoco.mjtTimer.mjTIMER_STEP].duration

    times = iter(range(1000))
    mujoco.set_mjcb_time(lambda: next(times))
    import_mujoco()
    assert seconds_of_a_step() > 0
    mujoco.set_mjcb_time(None)
    assert seconds_of_a_step() > 0
    import_mujoco()
    assert seconds_of_a_step() == 0


def test_tasks_do_not_import_the_simulator():
    """Listing tasks is cheap: importing rslcore.tasks imports neither mujoco nor mjbatch nor gymnasium."""
    script = "import sys, rslcore.tasks; print([m for m in ('mujoco', 'mjbatch', 'gymnasium') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


@pytest.mark.parametrize("before", [0, 3])
def test_unstable_physics_ends_the_episode(before, tmp_path, monkeypatch):
    """NaN or huge velocities are a terminal state without reward and not a silent jump, from the first step on."""
    monkeypatch.chdir(tmp_path)
    env = PendulumEnv()
    for _ in range(before):
        env.step(torch.ones(4, 1))
    env.qvel[1], env.qvel[3] = 1e12, float("nan")
    observations, rewards, dones, extras = env.step(torch.ones(4, 1))
    assert dones.tolist() == [False, True, False, True] and not extras["time_outs"].any()
    assert (env.episode_length_buf == torch.tensor([before + 1, 0, before + 1, 0])).all()
    assert extras["log"]["Episode_Termination/unstable"] == 1.0
    assert rewards[[1, 3]].tolist() == [0.0, 0.0] and (rewards[[0, 2]] != 0.0).all()
    assert all(group.isfinite().all() for group in (*extras["final_obs"].values(), *observations.values()))
    assert not env.step(torch.ones(4, 1))[2].any()
    assert not list(tmp_path.iterdir()), "MuJoCo wrote its log file"


def test_the_default_device_is_not_the_environments(default_device):
    """Whatever torch makes tensors on by default, those of the environment are where it says: here, on the CPU."""
    env = PendulumEnv(max_angle=0.5)
    env.qpos[1, 0] = 2.0
    for step in range(LIMIT + 1):
        if step == 2:
            env.qvel[2] = 1e12
        observations, rewards, dones, extras = env.step(torch.ones(4, 1, device="cpu"))
        tensors = [*observations.values(), rewards, dones, *extras.get("final_obs", {}).values()]
        assert {x.device.type for x in (*tensors, *extras.get("log", {}).values())} == {"cpu"}
    env.load_state_dict(env.state_dict())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MuJoCo draws with other libraries")
@pytest.mark.parametrize(
    "make",
    [
        "from test_mujoco_vec_env import PendulumEnv; env = PendulumEnv()",
        "from rslcore.env import GymnasiumVecEnv\n"
        "env = GymnasiumVecEnv.make('InvertedPendulum-v5', 1, env_kwargs={'render_mode': 'rgb_array'})",
    ],
    ids=["MujocoVecEnv", "GymnasiumVecEnv"],
)
def test_drawing_without_a_screen_says_what_helps(make):
    """The message has the variable to set; a second attempt gives it again, where MuJoCo would end the process."""
    pytest.importorskip("gymnasium")
    script = f"""{make}
for _ in range(2):
    try: env.render()
    except RuntimeError as error: print(error)
from rslcore.env import GymnasiumVecEnv
other = GymnasiumVecEnv.make("FrozenLake-v1", 1, env_kwargs={{"render_mode": "rgb_array"}}, max_episode_length=9)
try: print(other.render().ndim)
except RuntimeError as error: print(3 if "pygame" in str(error) else error)  # which draws it, if it is installed
import os; os._exit(0)
"""
    settings = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    run = subprocess.run(
        [sys.executable, "-u", "-c", script],
        env={**settings, "MUJOCO_GL": "glfw"},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    lines = run.stdout.splitlines()
    assert run.returncode == 0 and len(lines) == 3 and lines[2] == "3", run.stderr
    for line in lines[:2]:
        assert "VecEnv.render: MuJoCo cannot draw with MUJOCO_GL=glfw: " in line or "PendulumEnv.render: " in line
        assert "start Python anew with MUJOCO_GL=egl" in line


class WrongEnv(PendulumEnv):
    """A task with one mistake."""

    def __init__(self, terms=None, terminated=None, names=("angle", "effort"), reset=True):
        self.reward_terms = names
        self.terms, self.terminated, self.resets = terms, terminated, reset
        super().__init__()

    def reset(self, seed=None):
        """Begin, unless it was forgotten."""
        if self.resets:
            super().reset(seed)

    def compute_terminated(self):
        """The mistake, if it is one of these."""
        return super().compute_terminated() if self.terminated is None else self.terminated

    def compute_rewards(self, terminated):
        """The mistake, if it is one of these."""
        terms = super().compute_rewards(terminated)
        return terms if self.terms is None else self.terms(terms)


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        ({"names": ()}, ValueError, r"WrongEnv: `reward_terms` must name at least one term, as a tuple, got \(\)"),
        (
            {"names": "angle"},
            ValueError,
            "WrongEnv: `reward_terms` must name at least one term, as a tuple, got 'angle'",
        ),
        (
            {"names": ("angel", "effort")},
            ValueError,
            r"compute_rewards: must return the terms named in `reward_terms`, \['angel', 'effort'\], "
            r"got \['angle', 'effort'\]",
        ),
        ({"names": ("angle",)}, ValueError, r"`reward_terms`, \['angle'\], got \['angle', 'effort'\]"),
        (
            {"terms": lambda terms: {name: value[:, None] for name, value in terms.items()}},
            ValueError,
            r"compute_rewards: the term 'angle' must be a tensor \[4\], got \[4, 1\]",
        ),
        (
            {"terms": lambda terms: {**terms, "effort": terms["effort"][:1]}},
            ValueError,
            r"compute_rewards: the term 'effort' must be a tensor \[4\], got \[1\]",
        ),
        ({"terms": lambda terms: {**terms, "effort": 0.0}}, ValueError, r"'effort' must be a tensor \[4\], got float"),
        (
            {"terms": lambda terms: list(terms.values())},
            ValueError,
            r"must return the terms named in `reward_terms`, .* got list",
        ),
        (
            {"terminated": torch.zeros(4, 1, dtype=torch.bool)},
            ValueError,
            r"compute_terminated: must return bool \[4\], got bool \[4, 1\]",
        ),
        ({"terminated": torch.zeros(4)}, ValueError, r"compute_terminated: must return bool \[4\], got float32 \[4\]"),
        ({"reset": False}, RuntimeError, r"WrongEnv.step: call reset\(\) first; a task does so at the end of its"),
    ],
)
def test_mistakes_of_a_task_are_named(mistake, error, message):
    """One error that says which method returned what, and what was expected."""
    with pytest.raises(error, match=message):
        WrongEnv(**mistake).step(torch.zeros(4, 1))


def test_a_forgotten_reset_is_named_where_observations_are_asked_for():
    """No observations of nothing."""
    with pytest.raises(RuntimeError, match=r"WrongEnv.get_observations: call reset\(\) first"):
        WrongEnv(reset=False).get_observations()
