# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the training loop and of its tolerance towards environments."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from pendulum import PendulumVecEnv, make_cfg
from tensordict import TensorDict

from rslcore.runners import OnPolicyRunner, step_checks
from rslcore.runners.step_checks import StepChecks


def train(env: Any, iterations: int = 2, log_dir: Path | None = None, seed: int = 1, **cfg: Any) -> OnPolicyRunner:
    """Train a new runner, from the same seed unless another is given."""
    torch.manual_seed(seed)
    runner = OnPolicyRunner(env, make_cfg(**cfg), log_dir, "cpu", console="none")
    runner.learn(iterations)
    return runner


def parameters(runner: OnPolicyRunner) -> torch.Tensor:
    """Return all parameters as one vector."""
    return torch.nn.utils.parameters_to_vector([*runner.alg.actor.parameters(), *runner.alg.critic.parameters()])


class Wrapped:
    """Changes what ``step`` of a pendulum returns."""

    def __init__(self, change: Any) -> None:
        self.env = PendulumVecEnv()
        self.change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def step(self, actions: torch.Tensor) -> Any:
        """Step, and change the result."""
        return self.change(*self.env.step(actions))


def test_surface_of_rsl_rl() -> None:
    """The attributes and methods that programs for rsl_rl 5.5.1 use are there, with its values of a single process."""
    runner = OnPolicyRunner(PendulumVecEnv(), make_cfg(), None, torch.device("cpu"))
    assert (runner.is_distributed, runner.gpu_world_size, runner.gpu_global_rank, runner.gpu_local_rank) == (
        False,
        1,
        0,
        0,
    )
    assert runner.cfg["multi_gpu"] is None
    assert runner.current_learning_iteration == 0
    runner.add_git_repo_to_log("/somewhere/file.py")
    assert runner.logger.git_status_repos[-1] == "/somewhere/file.py"
    assert runner.logger.logger_type == "tensorboard"
    for name in ("writer", "log_dir", "tot_time", "tot_timesteps", "rewbuffer", "lenbuffer", "disable_logs"):
        assert hasattr(runner.logger, name)
    assert runner.get_inference_policy() is runner.alg.get_policy()


def test_step_is_looked_up_and_called_once_per_transition() -> None:
    """A step function put onto the environment during training is used, num_steps_per_env times per iteration."""
    env = PendulumVecEnv()
    calls = []
    original = env.step

    def first(actions: torch.Tensor) -> Any:
        calls.append("first")
        env.step = second  # type: ignore[method-assign]
        return original(actions)

    def second(actions: torch.Tensor) -> Any:
        calls.append("second")
        return original(actions)

    env.step = first  # type: ignore[method-assign]
    train(env, 3)
    assert calls == ["first"] + ["second"] * (3 * 8 - 1)


FLAGS = [
    *((torch.uint8, 1), (torch.int32, 1), (torch.int64, 1), (torch.float32, 1)),
    *((torch.uint8, 255), (torch.int8, -1), (torch.int64, 2), (torch.int64, 256), (torch.int32, -(2**31))),
    *((torch.float32, 0.5), (torch.float64, -1e-300), (torch.float16, 2.0)),
]
"""Dtypes of dones and time_outs, and what stands for "set" in them."""


@pytest.mark.parametrize("model", ["mlp", "lstm"])
def test_dones_of_every_dtype_mean_the_same(model: str) -> None:
    """Law: whatever is not zero is set: dones and time_outs of any dtype train the same, and end the same episodes."""

    def train_with(dtype: torch.dtype, one: float) -> tuple[torch.Tensor, list[float]]:
        def convert(obs: Any, rewards: Any, dones: Any, extras: Any) -> Any:
            flags = dones.to(dtype) * torch.tensor(one, dtype=dtype)
            return obs, rewards, flags, {"time_outs": flags}

        cfg = make_cfg()
        if model == "lstm":
            for part in ("actor", "critic"):
                cfg[part] |= {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 8, "rnn_num_layers": 1}
        runner = train(Wrapped(convert), 6, **cfg)
        return parameters(runner), list(runner.logger.lenbuffer)

    expected, lengths = train_with(torch.bool, 1)
    assert lengths == [40.0] * 16
    for dtype, one in FLAGS:
        actual, lengths = train_with(dtype, one)
        assert lengths == [40.0] * 16 and torch.equal(actual, expected), (dtype, one)


def test_reused_buffers_change_nothing() -> None:
    """An environment that returns the same tensors every step, overwritten, trains the same parameters."""
    kept: dict[str, Any] = {}

    def reuse(obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any]) -> Any:
        fresh = {"obs": obs["policy"], "rewards": rewards, "dones": dones, "log": extras["log"]["upright"]}
        for name, value in fresh.items():
            kept.setdefault(name, value.clone()).copy_(value)
        obs = TensorDict({"policy": kept["obs"]}, batch_size=[16])
        log = {"upright": kept["log"]}
        return obs, kept["rewards"], kept["dones"], {"time_outs": kept["dones"], "log": log}

    assert torch.equal(parameters(train(Wrapped(reuse), 6)), parameters(train(PendulumVecEnv(), 6)))


def test_missing_cfg_and_episode_lengths_are_tolerated(tmp_path: Path) -> None:
    """Without cfg training logs; without episode_length_buf random starts are left out with a warning."""
    env = PendulumVecEnv()
    assert not hasattr(env, "cfg")
    train(env, 1, tmp_path)

    class WithoutLengths(Wrapped):
        def __getattr__(self, name: str) -> Any:
            if name == "episode_length_buf":
                raise AttributeError(name)
            return super().__getattr__(name)

    runner = OnPolicyRunner(WithoutLengths(lambda *step: step), make_cfg(), None, "cpu")
    with pytest.warns(UserWarning, match="no `episode_length_buf`"):
        runner.learn(1, init_at_random_ep_len=True)


def test_random_episode_lengths() -> None:
    """Random episode starts spread over [0, max), also where every environment has its own maximum."""
    for limit in (40, torch.full((16,), 40)):
        env = PendulumVecEnv()
        env.max_episode_length = limit  # type: ignore[assignment]
        runner = OnPolicyRunner(env, make_cfg(), None, "cpu")
        runner._randomize_episode_lengths()
        assert env.episode_length_buf.dtype == torch.int64
        assert len(set(env.episode_length_buf.tolist())) > 4
        assert 0 <= int(env.episode_length_buf.min()) <= int(env.episode_length_buf.max()) < 40


def test_nan_is_named_before_anything_is_learned() -> None:
    """NaN names group, environments, step and iteration, stops before the update, and can be allowed."""

    class Broken:
        def __init__(self, where: str) -> None:
            self.where, self.count = where, 0

        def __call__(self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Any) -> Any:
            self.count += 1
            if self.count == 8 + 3:  # step 2 of iteration 1
                target = {"policy": obs["policy"], "rewards": rewards}[self.where]
                target[[5, 11]] = float("nan")
            return obs, rewards, dones, extras

    for where, name in (("policy", "observation group 'policy'"), ("rewards", "rewards")):
        torch.manual_seed(1)
        runner = OnPolicyRunner(Wrapped(Broken(where)), make_cfg(), None, "cpu")
        runner.learn(1)
        learned = parameters(runner).clone()
        with pytest.raises(
            ValueError, match=rf"{name} must not contain NaN.*environment\(s\) 5, 11 at step 2 of iteration 1"
        ):
            runner.learn(1)
        assert torch.equal(parameters(runner), learned)
    train(Wrapped(Broken("rewards")), 1, check_for_nan=False)


def test_nan_in_the_first_observations_is_named() -> None:
    """NaN in the observations that a training starts from names group and environments, before any action."""
    for check in (True, False):
        env = PendulumVecEnv()
        first = env.get_observations().clone()
        first["policy"][[5, 11]] = float("nan")
        env.get_observations = lambda first=first: first  # type: ignore[method-assign, misc]
        runner = OnPolicyRunner(env, {**make_cfg(), "check_for_nan": check}, None, "cpu")
        named = r"env.get_observations: observation group 'policy' .* got NaN in environment\(s\) 5, 11 before"
        with pytest.raises((ValueError, RuntimeError), match=named if check else "must be finite"):
            runner.learn(1)


@pytest.mark.parametrize("device", ["cpu", "elsewhere"])
def test_nan_in_a_final_observation_is_named(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of final observations that a value is bootstrapped from are checked, the others may hold anything."""
    if device != "cpu":
        monkeypatch.setattr(step_checks, "_on_host", lambda tensor: False)
    checks = step_checks.StepChecks(4, True)
    final_obs = TensorDict({"policy": torch.full((4, 2), float("nan"))}, batch_size=[4])
    final_obs["policy"][2] = 1.0
    checks.check_final(final_obs, {}, torch.tensor([0.0, 0.0, 1.0, 0.0]), iteration=3, step=5)
    checks.raise_if_nan(3)
    with pytest.raises(ValueError, match=r"extras\['final_obs'\] group 'policy' .* environment\(s\) 1 at step 6 of it"):
        checks.check_final(final_obs, {}, torch.tensor([False, True, True, False]), iteration=3, step=6)
        checks.raise_if_nan(3)


def test_large_numbers_are_finite() -> None:
    """Numbers whose sum overflows pass, and images of integers, and groups without a number."""
    large = torch.full((1, 2), 3e38)
    obs = {"policy": large, "image": torch.zeros(1, 2, 2, dtype=torch.uint8), "none": torch.zeros(1, 0)}
    StepChecks(1, True).check(obs, large[:, 0], torch.zeros(1), {}, 0, 0)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_nan_on_a_device_is_named_by_its_first_step(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is read per step, the end of the rollout names the first bad step and its environments."""
    if device == "cpu":
        monkeypatch.setattr(step_checks, "_on_host", lambda tensor: False)
    checks = StepChecks(4, True)
    for step in range(5):
        obs, rewards = torch.zeros(4, 3, device=device), torch.zeros(4, device=device)
        if step >= 2:
            rewards[step - 1 :] = float("nan")
        if step == 4:
            obs[0] = float("nan")
        checks.check({"policy": obs}, rewards, torch.zeros(4, device=device), {}, 7, step)
    with pytest.raises(ValueError, match=r"rewards .* environment\(s\) 1, 2, 3 at step 2 of iteration 7"):
        checks.raise_if_nan(7)


def test_nan_noted_on_a_device_stops_before_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner reads what was noted before it learns from the rollout."""
    monkeypatch.setattr(step_checks, "_on_host", lambda tensor: False)
    runner = OnPolicyRunner(
        Wrapped(lambda obs, rewards, dones, extras: (obs, rewards * float("nan"), dones, extras)),
        make_cfg(),
        None,
        "cpu",
    )
    before = parameters(runner).clone()
    with pytest.raises(ValueError, match="rewards must not contain NaN"):
        runner.learn(1)
    assert torch.equal(parameters(runner), before)


def test_wrong_shapes_are_named() -> None:
    """Rewards or dones of another shape than [N] are refused by name."""
    with pytest.raises(ValueError, match=r"env.step: `rewards` must be \[16\], got \[16, 1\]"):
        train(Wrapped(lambda obs, rewards, dones, extras: (obs, rewards[:, None], dones, extras)))
    with pytest.raises(ValueError, match=r"env.step: `dones` must be \[16\], got \[3\]"):
        train(Wrapped(lambda obs, rewards, dones, extras: (obs, rewards, dones[:3], extras)))


def test_exceptions_propagate_and_files_are_flushed(tmp_path: Path) -> None:
    """What the environment raises reaches the caller unchanged; what was logged before it is on disk."""

    class StopEarly(Exception):  # noqa: N818
        pass

    count = 0

    def stop(*step: Any) -> Any:
        nonlocal count
        count += 1
        if count == 20:
            raise StopEarly
        return step

    with pytest.raises(StopEarly):
        train(Wrapped(stop), 5, tmp_path)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_checkpoints_by_interval_and_at_the_end(tmp_path: Path) -> None:
    """There is a model_{it}.pt for every multiple of save_interval and for the last iteration."""
    train(PendulumVecEnv(), 6, tmp_path, save_interval=2)
    assert {file.name for file in tmp_path.glob("model_*.pt")} == {f"model_{it}.pt" for it in (0, 2, 4, 5)}


def test_engine_and_progress_are_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The start of training prints which engine runs and why."""
    runner = OnPolicyRunner(PendulumVecEnv(), make_cfg(), tmp_path, "cpu", console="plain")
    runner.learn(1)
    assert f"Engine: {runner.alg.engine.name} ({runner.alg.engine_reason})" in capsys.readouterr().out


def test_json_console_prints_json_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With console="json" every line of standard output is a JSON object; models are printed on standard error."""
    import json

    OnPolicyRunner(PendulumVecEnv(), make_cfg(), tmp_path, "cpu", console="json").learn(2)
    printed = capsys.readouterr()
    records = [json.loads(line) for line in printed.out.splitlines()]
    assert [record["iteration"] for record in records if "iteration" in record] == [0, 1]
    assert "Actor Model" in printed.err


def test_unknown_console_is_refused() -> None:
    """An unknown console style names the valid ones."""
    with pytest.raises(ValueError, match="must be one of auto, plain, live, json, none, got 'loud'"):
        OnPolicyRunner(PendulumVecEnv(), make_cfg(), None, "cpu", console="loud")


def test_observations_that_are_on_the_device_are_not_copied() -> None:
    """Observations reach the algorithm as the environment gave them where they are on its device already."""
    seen: list[Any] = []
    kept: list[Any] = []

    def keep(obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any]) -> Any:
        kept.append(obs)
        return obs, rewards, dones, extras

    runner = OnPolicyRunner(Wrapped(keep), make_cfg(), None, "cpu")
    original = runner.alg.process_env_step
    runner.alg.process_env_step = lambda obs, *rest: (seen.append(obs), original(obs, *rest))
    runner.learn(1)
    assert len(seen) == 8
    assert all(a is b for a, b in zip(seen, kept, strict=True))


def test_training_improves() -> None:
    """The loop learns: rewarded for the action 0.7 in every state, the mean action gets there.

    Of 30 seeds all ended within 0.07, half of them within 0.03.
    """

    class Target(PendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            obs, _, dones, extras = super().step(actions)
            return obs, -(actions[:, 0] - 0.7).square(), dones, extras

    errors = []
    for seed in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            runner = train(Target(32, seed), 40, seed=seed)
        policy = runner.get_inference_policy()
        errors.append((policy(runner.env.get_observations()) - 0.7).abs().mean().item())
    assert sum(errors) / len(errors) < 0.2, errors


def test_checkpoints_of_rsl_rl_4_are_read(tmp_path: Path) -> None:
    """A checkpoint of rsl_rl 4.x names the noise of the actions "std", and has nothing of ours."""
    saved = OnPolicyRunner(PendulumVecEnv(), make_cfg(), None, "cpu").alg.save()
    content = {key: saved[key] for key in ("actor_state_dict", "critic_state_dict", "optimizer_state_dict")}
    content["actor_state_dict"] = dict(content["actor_state_dict"])
    content["actor_state_dict"]["std"] = content["actor_state_dict"].pop("distribution.std_param") * 0.5
    torch.save({**content, "iter": 3, "infos": None}, tmp_path / "model_3.pt")
    runner = OnPolicyRunner(PendulumVecEnv(), make_cfg(), None, "cpu")
    runner.load(tmp_path / "model_3.pt")
    assert runner.current_learning_iteration == 3
    loaded = runner.alg.actor.state_dict()["distribution.std_param"]
    assert torch.equal(loaded, content["actor_state_dict"]["std"])
