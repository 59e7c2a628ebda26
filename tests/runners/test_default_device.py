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
from rslcore.runners import OnPolicyRunner

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
