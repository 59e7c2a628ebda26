# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of saving and resuming a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from limits import HANG
from pendulum import PendulumVecEnv, SavingPendulumVecEnv, make_cfg

from rslcore import checkpoint
from rslcore.algorithms import PPO
from rslcore.logging import read_metrics
from rslcore.runners import OnPolicyRunner

HERE = Path(__file__).parent


def make_runner(run_dir: Path | None, env: Any = None, *, seed: int = 1, **cfg: Any) -> OnPolicyRunner:
    """Return a silent runner."""
    torch.manual_seed(seed)
    return OnPolicyRunner(env or SavingPendulumVecEnv(), make_cfg(**cfg), run_dir, "cpu", console="none")


def assert_same_state(a: Any, b: Any, path: str = "") -> None:
    """Equal bit for bit, in every tensor and number."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            if key not in ("tot_time",):  # wall time
                assert_same_state(a[key], b[key], f"{path}[{key!r}]")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same_state(x, y, f"{path}[{index}]")
    else:
        assert a == b, path


def without_times(run_dir: Path) -> list[dict[str, Any]]:
    """Return the metrics that do not depend on the clock."""
    return [{k: v for k, v in r.items() if "Perf" not in k and k != "total_time"} for r in read_metrics(run_dir)]


def check_exact_resume(tmp_path: Path, make_env: Any, **cfg: Any) -> None:
    """Compare 6 iterations with 3, a new runner, and 3 more."""
    straight = make_runner(tmp_path / "straight", make_env(), **cfg)
    straight.learn(6, init_at_random_ep_len=True)

    run_dir = tmp_path / "resumed"
    make_runner(run_dir, make_env(), **cfg).learn(3, init_at_random_ep_len=True)
    resumed = make_runner(run_dir, make_env(), seed=99, **cfg)
    resumed.load(checkpoint.latest(run_dir) or "")
    torch.rand(7)  # what happens between load and learn must not matter
    resumed.learn(3, init_at_random_ep_len=True)

    assert resumed.current_learning_iteration == straight.current_learning_iteration == 5
    contents = [checkpoint.read(tmp_path / name / "model_5.pt") for name in ("straight", "resumed")]
    assert_same_state(*contents)
    assert without_times(run_dir) == without_times(tmp_path / "straight")
    assert [record["iteration"] for record in read_metrics(run_dir)] == list(range(6))


def test_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    """6 iterations equal 3, a new process's load, and 3 more: parameters, optimizer, environment, metrics, all bits."""
    check_exact_resume(tmp_path, SavingPendulumVecEnv)


def test_resumed_half_cheetah_is_the_same_run(tmp_path: Path) -> None:
    """The same law on real physics."""
    pytest.importorskip("mujoco", reason="half-cheetah needs mujoco")
    pytest.importorskip("mjbatch", reason="half-cheetah needs mjbatch")
    pytest.importorskip("gymnasium", reason="half-cheetah needs gymnasium's model")
    from rslcore.tasks import registry

    check_exact_resume(tmp_path, lambda: registry.get("half-cheetah").make_env(8, seed=3, device="cpu"))


def test_learning_twice_is_learning_once(tmp_path: Path) -> None:
    """learn(2), learn(1) equals learn(3): an iteration that is done is not repeated."""
    make_runner(tmp_path / "once").learn(3)
    twice = make_runner(tmp_path / "twice")
    twice.learn(2)
    assert twice.current_learning_iteration == 1
    twice.learn(1)
    assert_same_state(checkpoint.read(tmp_path / "once/model_2.pt"), checkpoint.read(tmp_path / "twice/model_2.pt"))


def test_checkpoint_exists_before_the_first_iteration(tmp_path: Path) -> None:
    """A run stopped in its first step has a checkpoint, from which iteration 0 starts."""

    class Stopping(SavingPendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            raise RuntimeError("simulator lost")

    with pytest.raises(RuntimeError, match="simulator lost"):
        make_runner(tmp_path, Stopping()).learn(2)
    resumed = make_runner(tmp_path, seed=5)
    resumed.load(checkpoint.latest(tmp_path) or "")
    resumed.learn(2)
    straight = make_runner(tmp_path / "straight")
    straight.learn(2)
    assert_same_state(resumed.alg.save(), straight.alg.save())
    assert [record["iteration"] for record in read_metrics(tmp_path)] == [0, 1]


def test_killed_runs_resume_and_end_equal(tmp_path: Path) -> None:
    """Killed at random moments, a run leaves a loadable checkpoint; resumed, it is the run never stopped."""
    run_dir = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, str(HERE / "killed_training.py"), str(run_dir), "5"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG)
    assert result.returncode == 0, result.stderr
    found = [int(line) for line in result.stdout.split()]
    assert len(found) == 5
    assert found == sorted(set(found))

    resumed = make_runner(run_dir, seed=42)
    resumed.load(checkpoint.resolve(run_dir))
    resumed.learn(2)
    iterations = resumed.current_learning_iteration + 1
    assert iterations == found[-1] + 3
    assert not list(run_dir.glob(".*-tmp"))
    straight = make_runner(tmp_path / "straight", seed=0)
    straight.learn(iterations)
    assert_same_state(resumed.alg.save(), straight.alg.save())
    assert without_times(run_dir) == without_times(tmp_path / "straight")


def test_ctrl_c_saves_and_learning_can_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C in a rollout saves the last finished iteration, says where, and leaves a runner that can learn again."""

    class Interrupting(SavingPendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            if self.num_steps == 29:  # in the fourth iteration of 8 steps
                self.num_steps += 1
                raise KeyboardInterrupt
            return super().step(actions)

    runner = OnPolicyRunner(Interrupting(), make_cfg(save_interval=100), tmp_path, "cpu", console="plain")
    with pytest.raises(KeyboardInterrupt):
        runner.learn(10)
    assert f"checkpoint saved in {tmp_path}/model_2.pt" in capsys.readouterr().out
    assert checkpoint.read(tmp_path / "model_2.pt")["iter"] == 2
    runner.learn(2)
    assert runner.current_learning_iteration == 4
    assert [record["iteration"] for record in read_metrics(tmp_path)] == [0, 1, 2, 3, 4]


class PressingCtrlC(SavingPendulumVecEnv):
    """Sends SIGINT to this process in the given steps."""

    presses: tuple[int, ...] = ()

    def step(self, actions: torch.Tensor) -> Any:
        """Step, then press."""
        result = super().step(actions)
        if self.num_steps in self.presses:
            os.kill(os.getpid(), signal.SIGINT)
        return result


def test_first_ctrl_c_ends_after_the_iteration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGINT in a rollout: the iteration is finished and saved, exactly as if it had been the last one."""
    env = PressingCtrlC()
    env.presses = (20,)  # in the third iteration of 8 steps
    torch.manual_seed(1)
    runner = OnPolicyRunner(env, make_cfg(save_interval=100), tmp_path / "stopped", "cpu", console="plain")
    with pytest.raises(KeyboardInterrupt):
        runner.learn(10)
    assert f"checkpoint saved in {tmp_path}/stopped/model_2.pt" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    make_runner(tmp_path / "straight", save_interval=100).learn(3)
    assert_same_state(*(checkpoint.read(tmp_path / name / "model_2.pt") for name in ("stopped", "straight")))
    runner.learn(1)
    assert runner.current_learning_iteration == 3


def test_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    """Two SIGINTs in a rollout: it ends there, and nothing is saved."""
    env = PressingCtrlC()
    env.presses = (20, 21)
    with pytest.raises(KeyboardInterrupt):
        make_runner(tmp_path, env, save_interval=100).learn(10)
    assert env.num_steps == 21
    assert [file.name for file in tmp_path.glob("model_*.pt")] == ["model_0.pt"]


def test_interrupted_update_is_not_saved(tmp_path: Path) -> None:
    """An update broken off in the middle never gets into a checkpoint, not by a later learn either."""
    runner = make_runner(tmp_path)
    runner.learn(3)
    before = (tmp_path / "model_2.pt").read_bytes()
    step = runner.alg.optimizer.step

    def interrupted(*arguments: Any) -> None:
        step(*arguments)
        raise KeyboardInterrupt

    runner.alg.optimizer.step = interrupted
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            runner.learn(1)
        assert (tmp_path / "model_2.pt").read_bytes() == before
        assert checkpoint.latest(tmp_path) == tmp_path / "model_2.pt"


def test_resuming_an_earlier_checkpoint_supersedes_later_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resumed from model_1, the run's latest checkpoint is of the new branch at every moment, and the rest is kept."""
    make_runner(tmp_path, save_interval=1).learn(4)
    runner = OnPolicyRunner(SavingPendulumVecEnv(), make_cfg(), tmp_path, "cpu", console="plain")
    runner.load(tmp_path / "model_1.pt")
    runner.learn(1)
    assert "superseded, as training continues before them: model_2.pt, model_3.pt\n" in capsys.readouterr().out
    assert checkpoint.latest(tmp_path) == tmp_path / "model_2.pt"
    assert checkpoint.latest(tmp_path / "superseded") == tmp_path / "superseded/model_3.pt"


def test_an_error_before_an_iteration_is_done_moves_checkpoints_back(tmp_path: Path) -> None:
    """Resumed from model_1 and stopped by an error of any kind in its first iteration, a run has lost nothing."""

    class Stopping(SavingPendulumVecEnv):
        error: BaseException | None = None

        def step(self, actions: torch.Tensor) -> Any:
            if self.error is not None:
                raise self.error
            return super().step(actions)

    make_runner(tmp_path, save_interval=1).learn(4)
    before = {file: file.read_bytes() for file in tmp_path.glob("*.pt")}
    for error in (
        RuntimeError("simulator lost"),
        ValueError("settings"),
        OSError("disk"),
        SystemExit(1),
        KeyboardInterrupt(),
    ):
        env = Stopping()
        runner = make_runner(tmp_path, env)
        runner.load(tmp_path / "model_1.pt")
        env.error = error
        with pytest.raises(type(error)):
            runner.learn(1)
        assert {file: file.read_bytes() for file in tmp_path.glob("*.pt")} == before
        assert not (tmp_path / "superseded").exists()
    env.error = None
    runner.learn(1)
    assert checkpoint.latest(tmp_path) == tmp_path / "model_2.pt"
    env.error = RuntimeError("later")
    with pytest.raises(RuntimeError, match="later"):
        runner.learn(1)
    assert sorted(file.name for file in (tmp_path / "superseded").iterdir()) == ["model_2.pt", "model_3.pt"]


def test_a_checkpoint_of_another_run_is_not_replaced(tmp_path: Path) -> None:
    """A new run in an old folder keeps the old model_0.pt in superseded/; its own it writes again."""
    make_runner(tmp_path).learn(1)
    old = (tmp_path / "model_0.pt").read_bytes()
    runner = make_runner(tmp_path, seed=7)
    runner.learn(1)
    runner.learn(1)
    assert (tmp_path / "superseded/model_0.pt").read_bytes() == old
    assert [folder.name for folder in tmp_path.glob("superseded*")] == ["superseded"]


def test_one_training_per_folder(tmp_path: Path) -> None:
    """A second training in a folder that is being trained in is refused and changes nothing; afterwards it may."""

    class Nested(SavingPendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            before = sorted(os.listdir(tmp_path))
            with pytest.raises(checkpoint.CheckpointError, match=f"is being trained by process {os.getpid()}"):
                make_runner(tmp_path).learn(1)
            assert sorted(os.listdir(tmp_path)) == before
            return super().step(actions)

    make_runner(tmp_path, Nested(), num_steps_per_env=2).learn(1)
    make_runner(tmp_path).learn(1)


def test_diverged_update_is_not_saved(tmp_path: Path) -> None:
    """Losses and parameters that are not finite are a ValueError naming the iteration; the checkpoint is of before."""

    class Exploding(SavingPendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            obs, rewards, dones, extras = super().step(actions)
            return obs, rewards * (1e25 if self.num_steps > 16 else 1.0), dones, extras

    losses = make_runner(tmp_path / "losses", Exploding(), save_interval=1)
    parameters = make_runner(tmp_path / "parameters", save_interval=1)
    for runner, what in ((losses, "the loss 'value' must be finite, got"), (parameters, "all parameters must be")):
        runner.learn(2)
        if runner is parameters:
            runner.alg.schedule = "fixed"
            runner.alg.num_learning_epochs = runner.alg.num_mini_batches = 1  # no loss after the step
            runner.alg.optimizer.param_groups[0]["lr"] = 1e39
        with pytest.raises(ValueError, match=f"{what}.* in iteration 2"):
            runner.learn(1)
        assert checkpoint.latest(runner.logger.log_dir).name == "model_1.pt"
        assert runner.next_iteration == 2


def test_environments_that_cannot_continue_start_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without state, or with another number of environments, training goes on with new episodes, and says so."""
    make_runner(tmp_path).learn(2)
    for env, reason in ((PendulumVecEnv(), "cannot save its state"), (SavingPendulumVecEnv(4), "of 16 environments")):
        runner = OnPolicyRunner(env, make_cfg(), tmp_path / reason[:3], "cpu", console="plain")
        runner.load(tmp_path / "model_1.pt")
        assert runner.logger.tot_timesteps == 2 * 8 * 16
        runner.learn(1)
        assert runner.current_learning_iteration == 2
        assert reason in capsys.readouterr().out


def test_environment_state_refused_for_any_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever exception the environment raises on its saved state, training goes on with new episodes."""

    class Refusing(SavingPendulumVecEnv):
        refused = 0

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.refused += 1
            self.angle = state["angle"].clone()
            if self.refused == 1:
                raise RuntimeError("sizes differ")
            super().load_state_dict(state)

    make_runner(tmp_path).learn(2)
    env = Refusing()
    runner = OnPolicyRunner(env, make_cfg(), tmp_path, "cpu", console="plain")
    runner.load(tmp_path / "model_1.pt")
    angle = env.angle.clone()
    env.step = lambda actions: pytest.fail(f"{torch.equal(env.angle, angle)}")  # type: ignore[method-assign]
    with pytest.raises(pytest.fail.Exception, match="True"):  # none of the state that it has refused is left in it
        runner.learn(1)
    assert "starts new episodes: it refuses the saved state: RuntimeError: sizes differ" in capsys.readouterr().out


def test_environment_can_be_used_after_learning(tmp_path: Path) -> None:
    """No tensor of the environment is one of inference mode: after learn, new or resumed, it steps under no_grad."""

    class InPlace(SavingPendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            self.episode_length_buf += 1
            self.angle += 0.05 * self.speed
            dones = torch.zeros(self.num_envs, dtype=torch.bool)
            return self.get_observations(), self.angle.clone(), dones, {}

    for resumed in (False, True):
        runner = make_runner(tmp_path, InPlace())
        if resumed:
            runner.load(tmp_path / "model_0.pt")
        runner.learn(1, init_at_random_ep_len=True)
        with torch.no_grad():
            runner.env.step(torch.zeros(16, 1))


def test_unsavable_environment_state_is_left_out(tmp_path: Path) -> None:
    """A state with other objects than tensors and plain values is left out with a warning that names it."""

    class Foreign(SavingPendulumVecEnv):
        def state_dict(self) -> dict[str, Any]:
            return super().state_dict() | {"model": torch.nn.Linear(1, 1)}

    runner = make_runner(None, Foreign())
    with pytest.warns(UserWarning, match=r"env.state_dict\(\)\['model'\] \(Linear\)"):
        runner.save(tmp_path / "model_0.pt")
    assert checkpoint.read(tmp_path / "model_0.pt")["rslcore_state"]["env"] is None


def test_loading_a_policy_touches_nothing_else(tmp_path: Path) -> None:
    """load() of a policy to play neither moves random generators nor the environment."""
    make_runner(tmp_path).learn(2)
    env = SavingPendulumVecEnv(seed=8)
    runner = make_runner(None, env, seed=8)
    before = {"env": env.state_dict(), "random": checkpoint.random_state("cpu")}
    runner.load(tmp_path / "model_1.pt", load_cfg={"actor": True})
    runner.load(tmp_path / "model_1.pt")
    assert_same_state(before, {"env": env.state_dict(), "random": checkpoint.random_state("cpu")})
    policy = runner.get_inference_policy("cpu")
    assert not policy.training
    assert policy(env.get_observations()).shape == (16, 1)


def test_wrong_checkpoints_change_nothing(tmp_path: Path) -> None:
    """A checkpoint that does not fit is a ValueError naming key and shapes, and changes nothing."""
    wide = make_cfg()
    wide["actor"]["hidden_dims"] = wide["critic"]["hidden_dims"] = [32]
    OnPolicyRunner(SavingPendulumVecEnv(), wide, None, "cpu").save(tmp_path / "wide.pt")
    torch.save({"model_state_dict": {}, "iter": 3, "infos": None}, tmp_path / "old.pt")
    runner = make_runner(None)
    runner.learn(1)
    before = runner.alg.save()
    before = {key: {k: torch.as_tensor(v).clone() for k, v in before[key].items()} for key in list(before)[:2]}
    with pytest.raises(ValueError, match=r"actor_state_dict\['mlp.0.weight'\] must be \[16, 3\], got \[32, 3\]"):
        runner.load(tmp_path / "wide.pt")
    with pytest.raises(ValueError, match="rsl_rl 3 or older"):
        runner.load(tmp_path / "old.pt")
    after = runner.alg.save()
    assert_same_state(before, {key: after[key] for key in before})
    assert runner.current_learning_iteration == 0


def test_foreign_resume_state_changes_nothing(tmp_path: Path) -> None:
    """A "rslcore_state" without an expected key is refused by its name before the weights are loaded."""
    runner = make_runner(None)
    runner.save(tmp_path / "model.pt")
    content = checkpoint.read(tmp_path / "model.pt")
    weight = runner.alg.actor.mlp[0].weight.clone()
    content["actor_state_dict"]["mlp.0.weight"] += 1
    for part, key in (("random", "numpy"), ("logger", "tot_timesteps")):
        state = content["rslcore_state"]
        broken = {**state, part: {k: v for k, v in state[part].items() if k != key}}
        checkpoint.write({**content, "rslcore_state": broken}, tmp_path / "broken.pt")
        with pytest.raises(checkpoint.CheckpointError, match=rf"rslcore_state\['{part}'\]\['{key}'\] is missing"):
            runner.load(tmp_path / "broken.pt")
    assert torch.equal(runner.alg.actor.mlp[0].weight, weight)


def test_algorithm_with_its_own_load_decides_itself(tmp_path: Path) -> None:
    """What an overridden ``load`` accepts is not refused by the runner."""

    class Lenient(PPO):
        def load(self, loaded_dict: Any, load_cfg: Any, strict: bool) -> bool:
            return False

    runner = make_runner(None)
    runner.alg.__class__ = Lenient
    torch.save({"weights": {}, "iter": 3, "infos": "mine"}, tmp_path / "other.pt")
    assert runner.load(tmp_path / "other.pt") == "mine"


def test_rsl_rl_loads_ours_and_we_load_theirs(tmp_path: Path) -> None:
    """Both directions keep parameters, optimizer moments, learning rate, iteration and infos."""
    original = pytest.importorskip("rsl_rl.runners", reason="rsl-rl-lib is the oracle")

    def same(a: Any, b: Any) -> None:
        for name in ("actor", "critic"):
            assert_same_state(dict(getattr(a.alg, name).state_dict()), dict(getattr(b.alg, name).state_dict()))
        states = [r.alg.optimizer.state_dict()["state"] for r in (a, b)]
        assert states[0].keys() == states[1].keys()
        for index in states[0]:
            for key in ("step", "exp_avg", "exp_avg_sq"):
                assert torch.equal(states[0][index][key], states[1][index][key]), (index, key)
        assert a.alg.learning_rate == b.alg.learning_rate

    class WithCfg(SavingPendulumVecEnv):
        cfg: ClassVar[dict[str, Any]] = {}

    ours = make_runner(tmp_path, WithCfg())
    ours.learn(3)
    ours.save(tmp_path / "ours.pt", infos={"note": 7})
    theirs = original.OnPolicyRunner(WithCfg(), make_cfg(), None, "cpu")
    assert theirs.load(str(tmp_path / "ours.pt")) == {"note": 7}
    assert theirs.current_learning_iteration == 2
    same(ours, theirs)

    theirs.learn(2)
    theirs.save(str(tmp_path / "theirs.pt"), infos={"note": 8})
    back = make_runner(None, WithCfg())
    assert back.load(tmp_path / "theirs.pt") == {"note": 8}
    same(back, theirs)
    assert back.current_learning_iteration == theirs.current_learning_iteration
    back.learn(1)
    assert back.current_learning_iteration == theirs.current_learning_iteration + 1


@pytest.mark.gpu
def test_checkpoints_move_between_devices(tmp_path: Path) -> None:
    """A run on the GPU (environment on the CPU) is saved, resumed there, and its policy loads on the CPU."""
    runner = OnPolicyRunner(SavingPendulumVecEnv(), make_cfg(), tmp_path, "cuda:0", console="none")
    runner.learn(2)
    resumed = OnPolicyRunner(SavingPendulumVecEnv(), make_cfg(), tmp_path, "cuda:0", console="none")
    resumed.load(tmp_path / "model_1.pt")
    resumed.learn(1)
    assert resumed.current_learning_iteration == 2
    on_cpu = make_runner(None)
    on_cpu.load(tmp_path / "model_2.pt")
    for ours, theirs in zip(on_cpu.alg.actor.parameters(), resumed.alg.actor.parameters(), strict=True):
        assert torch.equal(ours, theirs.cpu())
