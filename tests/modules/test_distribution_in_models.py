# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from tensordict import TensorDict

from rslcore.algorithms import PPO
from rslcore.config import MLPModelCfg, OnPolicyRunnerCfg
from rslcore.models import MLPModel
from rslcore.modules import Distribution

N, T, D, A = 6, 3, 5, 3
CFGS = {
    "gaussian": {"class_name": "GaussianDistribution", "init_std": 0.4},
    "heteroscedastic": {"class_name": "HeteroscedasticGaussianDistribution", "std_type": "log"},
    "beta": {"class_name": "BetaDistribution", "action_range": (-2.0, 1.0)},
    "discrete": {"class_name": "CategoricalDistribution", "num_categories": 4},
    "multi_discrete": {"class_name": "CategoricalDistribution", "num_categories": [4, 2, 3]},
}


def observe(n=N):
    """Random observations of one group."""
    return TensorDict({"policy": torch.randn(n, D)}, batch_size=[n])


def make_model(distribution_cfg):
    """A small actor with weights that are far from their start."""
    torch.manual_seed(0)
    obs = observe()
    model = MLPModel(obs, {"actor": ["policy"]}, "actor", A, hidden_dims=[8], distribution_cfg=distribution_cfg)
    with torch.no_grad():
        for parameter in model.mlp.parameters():
            parameter.normal_()
    return model


def make_ppo(distribution_cfg, **settings):
    """PPO on a small actor."""
    cfg = OnPolicyRunnerCfg(num_steps_per_env=T).to_dict()
    cfg["actor"] |= {"hidden_dims": [8], "distribution_cfg": distribution_cfg}
    cfg["critic"] |= {"hidden_dims": [8]}
    cfg["algorithm"] |= {"num_mini_batches": 2, "num_learning_epochs": 2, **settings}
    torch.manual_seed(0)
    ppo = PPO.construct_algorithm(observe(), SimpleNamespace(num_envs=N, num_actions=A), cfg, "cpu")
    ppo.train_mode()
    return ppo


def rollout(ppo):
    """Fill the storage; the reward is the sum of the actions."""
    with torch.inference_mode():
        for _ in range(T):
            actions = ppo.act(observe())
            ppo.process_env_step(observe(), actions.sum(-1), torch.rand(N) < 0.3, {})
        ppo.compute_returns(observe())


@pytest.mark.parametrize("name", CFGS)
def test_shapes_through_the_model(name):
    """Law: actions are float32 [B, A], everything about them one number per sample, parameters [B, ...]."""
    model, obs = make_model(CFGS[name]), observe()
    actions = model(obs, stochastic_output=True)
    assert actions.shape == model(obs).shape == model.output_mean.shape == model.output_std.shape == (N, A)
    assert actions.dtype == model(obs).dtype == torch.float32 and not actions.requires_grad
    log_prob, params = model.get_output_log_prob(actions), model.output_distribution_params
    assert log_prob.shape == model.output_entropy.shape == model.get_kl_divergence(params, params).shape == (N,)
    assert all(p.shape[0] == N for p in params)
    (log_prob + model.output_entropy).sum().backward()
    assert model.mlp[0].weight.grad.count_nonzero() > 0
    single = {key: value[0] for key, value in obs.items()}
    torch.testing.assert_close(model(single), model(obs)[0])


@pytest.mark.parametrize("name", CFGS)
def test_ppo_learns_with_it(name):
    """Law: an update from a rollout changes the policy and keeps everything finite."""
    ppo = make_ppo(CFGS[name])
    before = {key: value.clone() for key, value in ppo.actor.state_dict().items()}
    rollout(ppo)
    losses = ppo.update()
    assert all(np.isfinite(loss) for loss in losses.values())
    assert any(not torch.equal(before[key], value) for key, value in ppo.actor.state_dict().items())
    assert all(value.isfinite().all() for value in ppo.actor.state_dict().values())


@pytest.mark.parametrize("name", CFGS)
def test_configurations_round_trip(name):
    """Law: the typed configuration is chosen by class_name, and gives the same dictionary back."""
    plain = {"distribution_cfg": CFGS[name]}
    cfg = MLPModelCfg.from_dict(plain)
    assert type(cfg.distribution_cfg).__name__ == f"{CFGS[name]['class_name']}Cfg"
    again = cfg.to_dict()
    assert MLPModelCfg.from_dict(again) == cfg
    make_model(again["distribution_cfg"])


@pytest.mark.parametrize("name", CFGS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_exported_models_give_the_deterministic_actions(name, tmp_path):
    """Law: TorchScript and onnxruntime compute the model's actions, for any batch size."""
    model = make_model(CFGS[name])
    obs = observe(17)
    expected = model(obs).detach()
    script = torch.jit.script(model.as_jit())
    torch.testing.assert_close(script(obs["policy"]), expected, rtol=1e-5, atol=1e-6)
    onnx, path = model.as_onnx(verbose=False), str(tmp_path / "policy.onnx")
    torch.onnx.export(
        onnx.eval(),
        onnx.get_dummy_inputs(),
        path,
        opset_version=18,
        input_names=onnx.input_names,
        output_names=onnx.output_names,
        dynamic_axes={"obs": {0: "batch"}},
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (actions,) = session.run(["actions"], {"obs": obs["policy"].numpy()})
    np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-6)


class TaskGaussian(Distribution):
    """A distribution of a user's own: each state belongs to one of two tasks with a standard deviation of its own.

    Three parameters of different shapes; actions that a task does not use count for nothing.
    """

    USED = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])

    def __init__(self, output_dim, init_std):
        super().__init__(output_dim)
        self.std_param = torch.nn.Parameter(torch.full((2, output_dim), init_std))

    input_dim = property(lambda self: self.output_dim)
    mean = property(lambda self: self.normal.mean)
    std = property(lambda self: self.normal.stddev)
    entropy = property(lambda self: (self.normal.entropy() * self.mask).sum(-1))
    params = property(lambda self: (self.normal.mean, self.normal.stddev, self.task))

    def update(self, mlp_output):
        """Task 1 where the first output is positive."""
        self.task = (mlp_output[..., 0] > 0).long()
        self.mask = self.USED[self.task]
        self.normal = torch.distributions.Normal(mlp_output, self.std_param[self.task], validate_args=False)

    def sample(self):
        """Zero where the task does not use an action."""
        return self.normal.sample() * self.mask

    def deterministic_output(self, mlp_output):
        """The mean."""
        return mlp_output

    def log_prob(self, outputs):
        """Of the actions used."""
        return (self.normal.log_prob(outputs) * self.mask).sum(-1)

    def kl_divergence(self, old_params, new_params):
        """Of the actions used; the tasks that came are remembered."""
        old, new = (torch.distributions.Normal(*params[:2], validate_args=False) for params in (old_params, new_params))
        self.tasks_of_kl = old_params[2]
        return (torch.distributions.kl_divergence(old, new) * self.USED[self.tasks_of_kl]).sum(-1)


def test_a_distribution_of_ones_own():
    """Law: any tuple of parameters, of any shape and dtype, reaches the KL divergence of the update unchanged."""
    ppo = make_ppo({"class_name": TaskGaussian, "init_std": 0.5}, num_mini_batches=1)
    rollout(ppo)
    params = ppo.storage.distribution_params
    assert [p.shape for p in params] == [(T, N, A), (T, N, A), (T, N)]
    stored = params[2].flatten().clone()
    ppo.update()
    received = ppo.actor.distribution.tasks_of_kl
    assert received.dtype == torch.int64 and received.shape == (T * N,)
    assert (
        received.bincount(minlength=2).tolist() == stored.bincount(minlength=2).tolist()
        and stored.unique().numel() == 2
    )
    assert ppo.learning_rate != OnPolicyRunnerCfg().algorithm.learning_rate


def test_unknown_settings_of_a_distribution_are_named():
    """Law: a key the distribution does not take is an error with the nearest one it does."""
    with pytest.raises(
        ValueError, match=r"CategoricalDistribution: unknown key 'num_categorys' in `distribution_cfg`; did you mean"
    ):
        make_model({"class_name": "CategoricalDistribution", "num_categorys": 3})
