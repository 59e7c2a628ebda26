# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy

import onnxruntime
import pytest
import rsl_rl.models
import rsl_rl.utils
import torch
from rounding import make_lipschitz
from tensordict import TensorDict

from rslcore.models import MLPModel, RNNModel

GROUPS = {"actor": ["policy", "extra"], "critic": ["extra"]}
GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 0.4}
KINDS = [("lstm", 1), ("gru", 2)]
STEPS, ENVS, HIDDEN = 8, 6, 7


def observations(*leading):
    """Observations of two groups."""
    return TensorDict({"policy": torch.randn(*leading, 4), "extra": torch.randn(*leading, 2)}, batch_size=leading)


def make(model_class=RNNModel, kind="lstm", layers=1, **keywords):
    """A model with the same initial weights every time, and statistics if it normalizes."""
    torch.manual_seed(0)
    obs = observations(ENVS)
    model = model_class(
        obs,
        GROUPS,
        "actor",
        3,
        hidden_dims=[8, 5],
        distribution_cfg=GAUSSIAN,
        rnn_type=kind,
        rnn_hidden_dim=HIDDEN,
        rnn_num_layers=layers,
        **keywords,
    )
    model.update_normalization(obs)
    return model


def make_both(*arguments, **keywords):
    """The same model, ours and the oracle's."""
    return [make(model_class, *arguments, **keywords) for model_class in (RNNModel, rsl_rl.models.RNNModel)]


@pytest.fixture
def rollout():
    """Observations [T, N, ...] and dones [T, N, 1]; the first environment has three episodes."""
    torch.manual_seed(3)
    dones = (torch.rand(STEPS, ENVS, 1) < 0.3).byte()
    dones[:, 0, 0] = torch.tensor([0, 0, 1, 0, 0, 1, 0, 0])
    return observations(STEPS, ENVS), dones


@pytest.mark.parametrize(("kind", "layers"), KINDS)
def test_a_rollout_equals_the_oracle(kind, layers, rollout):
    """Law: names, order, initial weights, sampled actions and hidden states are those of rsl-rl-lib at every step."""
    ours, oracle = make_both(kind, layers, obs_normalization=True)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in oracle.named_parameters()]
    assert list(ours.state_dict()) == list(oracle.state_dict())
    assert "rnn.rnn.weight_ih_l0" in ours.state_dict() and ours.is_recurrent
    assert ours.get_hidden_state() is None
    for obs, dones in zip(*rollout, strict=True):
        samples = []
        for model in (ours, oracle):
            torch.manual_seed(4)
            samples.append(model(obs, stochastic_output=True).detach())
            model.reset(dones.view(-1))
            model.detach_hidden_state()
        torch.testing.assert_close(samples[0], samples[1], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours.get_hidden_state(), oracle.get_hidden_state(), rtol=1e-5, atol=1e-6)
    assert ours.get_hidden_state() is ours.rnn.hidden_state and type(ours.rnn.rnn) is type(oracle.rnn.rnn)


@pytest.mark.parametrize(("kind", "layers"), KINDS)
def test_an_update_equals_the_oracle(kind, layers, rollout):
    """Law: over padded trajectories with saved hidden states, outputs and all gradients are those of rsl-rl-lib."""
    padded, masks = rsl_rl.utils.split_and_pad_trajectories(*rollout)
    shape = (layers, padded.shape[1], HIDDEN)
    torch.manual_seed(5)
    hidden = (torch.randn(shape), torch.randn(shape)) if kind == "lstm" else torch.randn(shape)
    results = []
    for model in make_both(kind, layers, obs_normalization=True):
        model(padded, masks=masks, hidden_state=hidden, stochastic_output=True)
        log_prob = model.get_output_log_prob(torch.ones(STEPS, ENVS, 3))
        (log_prob.mean() + model.output_entropy.mean()).backward()
        results.append([model.output_mean.detach(), log_prob.detach(), *(p.grad for p in model.parameters())])
        assert model.get_hidden_state() is None
    assert results[0][0].shape == (STEPS, ENVS, 3)
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_a_memoryless_critic_sees_the_rollout(rollout):
    """Law: a model without memory, given padded trajectories, evaluates the steps they were cut from."""
    padded, masks = rsl_rl.utils.split_and_pad_trajectories(*rollout)
    critic = MLPModel(observations(ENVS), GROUPS, "critic", 1, hidden_dims=[8])
    torch.testing.assert_close(critic(padded, masks=masks), critic(rollout[0]))


def test_checkpoints_and_optimizer_states_interchange(rollout):
    """Law: weights and the state of Adam go to rsl-rl-lib and back, and both then make the same step."""
    ours, oracle = make_both("lstm", 2)
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.01) for model in (ours, oracle)]
    make_lipschitz(optimizers)
    ours(rollout[0][0]).sum().backward()
    optimizers[0].step()
    oracle.load_state_dict(ours.state_dict())
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    for model, optimizer in zip((ours, oracle), optimizers, strict=True):
        model.reset()
        optimizer.zero_grad()
        model(rollout[0][1]).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(ours.state_dict(), oracle.state_dict(), rtol=1e-5, atol=1e-6)


def test_one_unbatched_environment(rollout):
    """Law: a plain dictionary of 1-D tensors will do, step after step."""
    model = make(obs_normalization=True)
    obs = rollout[0][:, 0]
    with torch.no_grad():
        single = torch.stack([model({name: value[t] for name, value in obs.items()}) for t in range(STEPS)])
        model.reset()
        batched = torch.stack([model(obs[t : t + 1]).squeeze(0) for t in range(STEPS)])
    torch.testing.assert_close(single, batched)


def episodes(model, rollout):
    """Deterministic actions [T, A] of the first environment, with resets, and the inputs they belong to."""
    model.eval().reset()
    actions = []
    with torch.inference_mode():
        for obs, dones in zip(rollout[0][:, :1], rollout[1][:, :1], strict=True):
            actions.append(model(obs))
            model.reset(dones.view(-1))
    return torch.cat([rollout[0]["policy"], rollout[0]["extra"]], dim=-1)[:, :1], torch.cat(actions)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize(("kind", "layers"), KINDS)
def test_torchscript_carries_the_hidden_state(kind, layers, rollout, tmp_path):
    """Law: the saved script gives the policy's actions over episodes with resets; reset() forgets."""
    model = make(kind=kind, layers=layers, obs_normalization=True)
    x, actions = episodes(model, rollout)
    path = tmp_path / "policy.pt"
    torch.jit.script(model.as_jit()).save(path)
    script = torch.jit.load(path)
    assert script.hidden_state.shape == (layers, 1, HIDDEN) and hasattr(script, "cell_state") == (kind == "lstm")
    for step, expected, done in zip(x, actions, rollout[1][:, 0], strict=True):
        torch.testing.assert_close(script(step)[0], expected, rtol=1e-5, atol=1e-5)
        assert not script.hidden_state.requires_grad
        if done:
            script.reset()
    torch.testing.assert_close(script(x[0].expand(3, -1))[2], actions[0], rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "layers"), KINDS)
def test_onnx_passes_the_hidden_state(kind, layers, rollout, tmp_path):
    """Law: onnxruntime gives the policy's actions over episodes with resets; names are those of rsl-rl-lib."""
    model = make(kind=kind, layers=layers, obs_normalization=True)
    x, actions = episodes(model, rollout)
    onnx = model.as_onnx(verbose=False).eval()
    oracle = make(rsl_rl.models.RNNModel, kind, layers).as_onnx(verbose=False)
    for name in ("input_names", "output_names", "input_size", "hidden_size", "num_layers", "rnn_type", "is_recurrent"):
        assert getattr(onnx, name) == getattr(oracle, name), name
    dummies = onnx.get_dummy_inputs()
    assert [d.shape for d in dummies] == [d.shape for d in oracle.get_dummy_inputs()]
    path = tmp_path / "policy.onnx"
    names = {"input_names": onnx.input_names, "output_names": onnx.output_names}
    torch.onnx.export(onnx, dummies, path, opset_version=18, dynamo=False, **names)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    zeros = {name: d.numpy() for name, d in zip(onnx.input_names[1:], dummies[1:], strict=True)}
    state = zeros
    for step, expected, done in zip(x, actions, rollout[1][:, 0], strict=True):
        output, *after = session.run(onnx.output_names, {"obs": step.numpy(), **state})
        torch.testing.assert_close(torch.from_numpy(output)[0], expected, rtol=1e-5, atol=1e-5)
        state = zeros if done else dict(zip(zeros, after, strict=True))


def test_clear_errors():
    """Law: an image where vectors are expected, an unknown network and another number of environments are named."""
    image = TensorDict({"policy": torch.zeros(ENVS, 3, 8, 8), "extra": torch.zeros(ENVS, 2)}, batch_size=[ENVS])
    with pytest.raises(
        ValueError,
        match=r"RNNModel: the observation group 'policy' must be \[num_envs, D\], got \[6, 3, 8, 8\]; images need",
    ):
        RNNModel(image, GROUPS, "actor", 3)
    with pytest.raises(ValueError, match="RNN: `type` 'rnn' is unknown; valid: lstm, gru"):
        make(kind="rnn")
    model = make()
    model(observations(ENVS))
    with pytest.raises(ValueError, match=r"RNN: `input` must be \[6, 6\] like in the step before, got \[2, 6\]"):
        model(observations(2))
