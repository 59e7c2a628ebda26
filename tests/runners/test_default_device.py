# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of torch's defaults: a default device or dtype of the program's is not the learner's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pendulum import make_cfg
from tensordict import TensorDict

from rslcore.env import CartPoleVecEnv
from rslcore.export import export_to_jit, export_to_onnx
from rslcore.runners import DistillationRunner, OnPolicyRunner

GAUSSIAN = {"class_name": "GaussianDistribution"}
RNN = {"class_name": "RNNModel", "rnn_hidden_dim": 8, "rnn_num_layers": 1}
CATEGORICAL = {"class_name": "CategoricalDistribution", "num_categories": 3}
JOBS: dict[str, dict[str, Any]] = {
    "fused": {"engine": "fused"},
    "eager": {"engine": "eager"},
    "per_minibatch": {"engine": "fused", "normalize_advantage_per_mini_batch": True},
    "adamw": {"engine": "fused", "optimizer": "adamw", "schedule": "fixed"},
    "sgd": {"engine": "eager", "optimizer": "sgd"},
    "rmsprop": {"engine": "fused", "optimizer": "rmsprop"},
    "lstm": {"actor": RNN | {"rnn_type": "lstm"}},
    "gru": {"actor": RNN | {"rnn_type": "gru"}, "engine": "eager"},
    "beta": {"distribution": {"class_name": "BetaDistribution"}},
    "categorical": {"distribution": CATEGORICAL},
    "heteroscedastic": {"distribution": {"class_name": "HeteroscedasticGaussianDistribution"}},
    "log_std": {"distribution": GAUSSIAN | {"std_type": "log"}},
    "rnd": {"rnd_cfg": {"state_normalization": True, "reward_normalization": True, "num_outputs": 4}},
    "symmetry": {
        "symmetry_cfg": {
            "use_data_augmentation": True,
            "use_mirror_loss": True,
            "data_augmentation_func": "test_default_device:mirror",
        }
    },
    "final_obs": {"bootstrap_final_obs": True},
}


def mirror(env: Any, obs: Any, actions: Any) -> tuple[Any, Any]:
    """Observations and actions, and both with their signs turned."""
    if obs is not None:
        turned = TensorDict({k: torch.cat([v, -v]) for k, v in obs.items()}, batch_size=[2 * len(obs)])
    return turned if obs is not None else None, None if actions is None else torch.cat([actions, -actions])


@pytest.fixture(autouse=True)
def _defaults() -> Iterator[None]:
    """Torch's defaults after a test are those of before."""
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(dtype)


def configuration(job: dict[str, Any]) -> dict[str, Any]:
    """A small configuration with the parts of a job."""
    cfg = make_cfg()
    settings = dict(job)
    for part in ("actor", "critic"):
        cfg[part] |= settings.get("actor", {})
    settings.pop("actor", None)
    if "distribution" in settings:
        cfg["actor"]["distribution_cfg"] = settings.pop("distribution")
    cfg["algorithm"] |= settings
    return cfg


class Env(CartPoleVecEnv):
    """Poles on carts, with seconds per step."""

    step_dt = 0.02


def make_env() -> Env:
    """Environments of the learner's own device."""
    return Env(8, device="cpu", max_episode_length=6)


def live(job: dict[str, Any], folder: Path) -> list[torch.Tensor]:
    """All that a program does with a runner: learn, save, load, learn again, export, play."""
    torch.manual_seed(1)
    runner = OnPolicyRunner(make_env(), configuration(job), folder / "run", "cpu", console="none")
    runner.learn(2, init_at_random_ep_len=True)
    runner.save(folder / "model.pt")
    again = OnPolicyRunner(make_env(), configuration(job), None, "cpu", console="none")
    again.load(folder / "model.pt")
    again.learn(1)
    export_to_jit(again.alg.get_policy(), folder / "policy.pt")
    export_to_onnx(again.alg.get_policy(), folder / "policy.onnx")
    policy = again.get_inference_policy()
    actions = policy(again.env.get_observations())
    return [actions.detach(), *again.alg.actor.state_dict().values(), *again.alg.critic.state_dict().values()]


@pytest.mark.parametrize("job", JOBS)
def test_a_default_device_changes_nothing(job: str, tmp_path: Path) -> None:
    """Law: every tensor names its device, so a default of "meta", whose tensors hold nothing, leaves all as it was."""
    expected = live(JOBS[job], tmp_path / "without")
    torch.set_default_device("meta")
    actual = live(JOBS[job], tmp_path / "with")
    assert all(tensor.device.type == "cpu" for tensor in actual)
    assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True))


def distill(folder: Path) -> list[torch.Tensor]:
    """A recurrent teacher, a student of it, saved, loaded and exported."""
    torch.manual_seed(1)
    cfg = configuration({"actor": RNN | {"rnn_type": "lstm"}})
    teacher = OnPolicyRunner(make_env(), cfg, None, "cpu", console="none")
    teacher.learn(1)
    teacher.save(folder / "teacher.pt")
    model = RNN | {"hidden_dims": [16], "rnn_type": "lstm", "obs_normalization": True}
    groups = {"student": ["policy"], "teacher": ["policy"]}
    students = []
    for file in ("teacher.pt", "student.pt"):
        cfg = make_cfg(obs_groups=groups) | {
            "student": RNN | {"hidden_dims": [8], "rnn_type": "gru", "distribution_cfg": GAUSSIAN},
            "teacher": dict(model),
            "algorithm": {"class_name": "Distillation", "gradient_length": 4, "engine": "auto"},
        }
        students.append(DistillationRunner(make_env(), cfg, None, "cpu", console="none"))
        students[-1].load(folder / file)
        students[-1].learn(1)
        students[-1].save(folder / "student.pt")
    export_to_onnx(students[-1].alg.get_policy(), folder / "student.onnx")
    return list(students[-1].alg.student.state_dict().values())


def test_a_default_device_changes_no_distillation(tmp_path: Path) -> None:
    """The same for a teacher with memory and its student."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = distill(tmp_path / "a")
    torch.set_default_device("meta")
    assert all(torch.equal(a, b) for a, b in zip(distill(tmp_path / "b"), expected, strict=True))


class Pixels(Env):
    """The poles as an image, for what it is worth."""

    def get_observations(self) -> TensorDict:
        """An image group beside the vector."""
        return self._with_image(super().get_observations())

    def step(self, actions: torch.Tensor) -> Any:
        """Step, with images."""
        obs, *rest = super().step(actions)
        return self._with_image(obs), *rest

    def _with_image(self, obs: TensorDict) -> TensorDict:
        image = obs["policy"].new_ones(len(obs), 1, 12, 12) * obs["policy"][:, :1, None, None]
        return TensorDict({"policy": obs["policy"], "image": image}, batch_size=[len(obs)])


def see(folder: Path) -> list[torch.Tensor]:
    """A policy that sees images, its encoder shared with the critic: torch's Adam then makes its state by itself."""
    torch.manual_seed(1)
    cfg = make_cfg(obs_groups={"actor": ["policy", "image"], "critic": ["policy", "image"]})
    for part in ("actor", "critic"):
        cnn = {"output_channels": [4], "kernel_size": [3], "stride": [2]}
        cfg[part] |= {"class_name": "CNNModel", "cnn_cfg": cnn}
    cfg["algorithm"]["share_cnn_encoders"] = True
    runner = OnPolicyRunner(Pixels(8, device="cpu"), cfg, None, "cpu", console="none")
    runner.learn(2)
    runner.save(folder / "model.pt")
    runner.load(folder / "model.pt")
    runner.learn(1)
    export_to_jit(runner.alg.get_policy(), folder / "policy.pt")
    export_to_onnx(runner.alg.get_policy(), folder / "policy.onnx")
    return list(runner.alg.actor.state_dict().values())


def test_a_default_device_changes_no_policy_that_sees(tmp_path: Path) -> None:
    """The same for images."""
    expected = see(tmp_path)
    torch.set_default_device("meta")
    assert all(torch.equal(a, b) for a, b in zip(see(tmp_path), expected, strict=True))


@pytest.mark.parametrize("job", JOBS)
def test_a_default_dtype_of_double_trains_doubles(job: str, tmp_path: Path) -> None:
    """Law: with float64 as torch's default dtype models and learning are float64, without the kernels for float32."""
    torch.set_default_dtype(torch.float64)
    _, *state = live(JOBS[job] | {"engine": "auto"}, tmp_path)
    for tensor in state:
        assert tensor.dtype in (torch.float64, torch.int64) and tensor.isfinite().all()


@pytest.mark.parametrize("job", ["fused", "lstm", "eager", "rmsprop"])
def test_a_default_dtype_set_later_changes_nothing(job: str) -> None:
    """Law: a program that wants doubles for its own arithmetic, after the runner was built, trains what it would."""
    results = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(1)
        runner = OnPolicyRunner(make_env(), configuration(JOBS[job]), None, "cpu", console="none")
        torch.set_default_dtype(dtype)
        runner.learn(2)
        results.append([*runner.alg.actor.state_dict().values()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("job", ["fused", "lstm", "gru", "final_obs"])
def test_models_made_double_are_trained(job: str) -> None:
    """Law: whoever calls ``double()`` on the models trains them as they are, in a rollout that is float32."""
    torch.manual_seed(1)
    runner = OnPolicyRunner(make_env(), configuration(JOBS[job] | {"engine": "auto"}), None, "cpu", console="none")
    models = (runner.alg.actor.double(), runner.alg.critic.double())
    runner.learn(2)
    for tensor in (tensor for model in models for tensor in model.state_dict().values()):
        assert tensor.dtype in (torch.float64, torch.int64) and tensor.isfinite().all()
