# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""An exported policy acts as the policy does, and looks from outside as one that rsl_rl exported."""

from __future__ import annotations

import copy
import warnings

import pytest
import rsl_rl.models
import torch

from rslcore.export import OPSET_VERSION, export_to_jit, export_to_onnx, policy_files
from rslcore.models import CNNModel, MLPModel, RNNModel

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
EPISODES = 2
VECTORS = ["first", "rest"]
CNN = {"output_channels": [4, 4], "kernel_size": 3, "stride": 2}
MODELS = {
    "mlp": (MLPModel, VECTORS, {}),
    "lstm": (RNNModel, VECTORS, {"rnn_type": "lstm", "rnn_hidden_dim": 16, "rnn_num_layers": 2}),
    "gru": (RNNModel, VECTORS, {"rnn_type": "gru", "rnn_hidden_dim": 16}),
    "cnn": (CNNModel, ["first", "camera", "rest"], {"cnn_cfg": CNN}),
}
DISTRIBUTIONS = {
    "none": None,
    "gaussian": {"class_name": "GaussianDistribution"},
    "heteroscedastic": {"class_name": "HeteroscedasticGaussianDistribution"},
    "beta": {"class_name": "BetaDistribution", "action_range": (-2.0, 2.0)},
    "categorical": {"class_name": "CategoricalDistribution", "num_categories": [2]},
}


def make_policy(kind, observations, distribution, models=None):
    """A policy with random weights and statistics; `models` is the package to take its class from."""
    model_class, groups, arguments = MODELS[kind]
    if models is not None:
        model_class = getattr(models, model_class.__name__)
    policy = model_class(
        observations,
        {"actor": groups},
        "actor",
        1,
        hidden_dims=(32, 16),
        obs_normalization=True,
        distribution_cfg=copy.deepcopy(DISTRIBUTIONS[distribution]),
        **copy.deepcopy(arguments),
    )
    for parameter in policy.parameters():  # away from special initial values
        parameter.data += 0.2 * torch.randn_like(parameter)
    samples = observations.expand(64).clone()
    for group in VECTORS:
        samples[group] = 0.5 * torch.randn_like(samples[group]) + 0.1
    policy.update_normalization(samples)
    if distribution == "categorical":  # nearly undecided at first, so that actions differ from step to step
        with torch.no_grad():
            policy.mlp[-1].bias -= policy.mlp(policy.get_latent(observations))[0] + torch.tensor([1e-3, 0.0])
        policy.reset()
    return policy.eval()


def inputs_of(kind, observations):
    """What an exported policy is called with: vectors side by side, then images."""
    vectors = torch.cat([observations[group] for group in VECTORS], dim=-1)
    return (vectors, observations["camera"]) if kind == "cnn" else (vectors,)


class OnnxPolicy:
    """An ONNX file run by onnxruntime; whoever runs it carries the hidden state."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.inputs = [(node.name, node.shape, node.type) for node in self.session.get_inputs()]
        self.outputs = [(node.name, node.shape, node.type) for node in self.session.get_outputs()]
        self.reset()

    def reset(self):
        """Start an episode."""
        self.state = {name: torch.zeros(shape).numpy() for name, shape, _ in self.inputs if name in ("h_in", "c_in")}

    def __call__(self, *tensors):
        """Return the actions of a step."""
        names = [name for name, *_ in self.inputs if name not in self.state]
        feed = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
        actions, *state = self.session.run(None, feed | self.state)
        self.state = dict(zip(self.state, state, strict=True))
        return torch.from_numpy(actions)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("kind", MODELS)
def test_files_act_as_the_policy_over_episodes(kind, distribution, make_env, tmp_path):
    """Law: over whole episodes of a real environment TorchScript and onnxruntime give the policy's actions to 1e-5.

    The hidden state is carried from step to step, and reset where an episode ended.
    """
    env = make_env("CartPole-v1" if distribution == "categorical" else "Pendulum-v1")
    observations = env.get_observations()
    policy = make_policy(kind, observations, distribution)
    export_to_jit(policy, tmp_path / "policy.pt")
    export_to_onnx(policy, tmp_path / "policy.onnx")
    script, session = torch.jit.load(tmp_path / "policy.pt"), OnnxPolicy(tmp_path / "policy.onnx")
    seen, ended = [], 0
    with torch.inference_mode():
        while ended < EPISODES:
            actions = policy(observations)
            inputs = inputs_of(kind, observations)
            scripted = script(inputs[0], list(inputs[1:])) if kind == "cnn" else script(*inputs)
            torch.testing.assert_close(scripted, actions, **TOLERANCE)
            torch.testing.assert_close(session(*inputs), actions, **TOLERANCE)
            seen.append(actions)
            # CartPole is pushed at random: a policy that knows nothing would push it to one side alone.
            driven = torch.randint(2, (1, 1)).float() if distribution == "categorical" else actions
            observations, _, dones, _ = env.step(driven)
            if dones.any():
                ended += 1
                policy.reset(dones)
                script.reset()
                session.reset()
    assert torch.cat(seen).std() > 1e-3


@pytest.mark.parametrize("kind", MODELS)
def test_hidden_state_matters_and_reset_forgets_it(kind, make_env, tmp_path):
    """Law: a recurrent file answers the same observations anew in the next step, and as at first after reset()."""
    observations = make_env("Pendulum-v1").get_observations()
    export_to_jit(make_policy(kind, observations, "gaussian"), tmp_path / "policy.pt")
    script = torch.jit.load(tmp_path / "policy.pt")
    first, *images = inputs_of(kind, observations)
    arguments = (first, images) if kind == "cnn" else (first,)
    with torch.inference_mode():
        begin, then = script(*arguments), script(*arguments)
        script.reset()
        again = script(*arguments)
    assert torch.equal(begin, again)
    assert torch.equal(begin, then) == (kind in ("mlp", "cnn"))


@pytest.mark.parametrize("distribution", ["none", "gaussian", "heteroscedastic", "beta"])
@pytest.mark.parametrize("kind", MODELS)
def test_files_look_and_act_as_those_of_rsl_rl(kind, distribution, make_env, tmp_path):
    """Law: same names, shapes and types of all tensors as in rsl_rl 5.5.1's files of the same weights, same actions."""
    observations = make_env("Pendulum-v1").get_observations()
    observations["camera"] = observations["camera"].float() / 255  # its CNNModel takes no integers
    ours = make_policy(kind, observations, distribution)
    theirs = make_policy(kind, observations, distribution, models=rsl_rl.models)
    theirs.load_state_dict(ours.state_dict())
    export_to_onnx(ours, tmp_path / "ours.onnx")
    oracle = theirs.as_onnx(verbose=False).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            oracle,
            oracle.get_dummy_inputs(),
            tmp_path / "theirs.onnx",
            opset_version=18,
            input_names=oracle.input_names,
            output_names=oracle.output_names,
            dynamo=False,
        )
        script = torch.jit.script(theirs.as_jit())
    export_to_jit(ours, tmp_path / "ours.pt")
    our_script = torch.jit.load(tmp_path / "ours.pt")
    our_session, their_session = OnnxPolicy(tmp_path / "ours.onnx"), OnnxPolicy(tmp_path / "theirs.onnx")
    assert (our_session.inputs, our_session.outputs) == (their_session.inputs, their_session.outputs)
    first, *images = inputs_of(kind, observations)
    with torch.inference_mode():
        for step in range(4):
            vectors = first + 0.3 * step
            torch.testing.assert_close(our_session(vectors, *images), their_session(vectors, *images), **TOLERANCE)
            arguments = (vectors, images) if kind == "cnn" else (vectors,)
            torch.testing.assert_close(our_script(*arguments), script(*arguments), **TOLERANCE)


@pytest.mark.parametrize("kind", MODELS)
def test_onnx_file_is_sound(kind, make_env, tmp_path):
    """Law: one file with all weights, which onnx's checker accepts, with operators of version 18 and nothing else."""
    policy = make_policy(kind, make_env("Pendulum-v1").get_observations(), "beta")
    export_to_onnx(policy, tmp_path / "policy.onnx")
    model = onnx.load(tmp_path / "policy.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET_VERSION)]
    assert [file.name for file in tmp_path.iterdir()] == ["policy.onnx"]


def test_export_changes_nothing_and_is_quiet(make_env, tmp_path, capfd):
    """Law: the policy stays in training mode with its hidden state, weights and random numbers; nothing is printed."""
    observations = make_env("Pendulum-v1").get_observations()
    policy = make_policy("lstm", observations, "gaussian").train()
    policy(observations)
    before = [tensor.clone() for tensor in (*policy.get_hidden_state(), *policy.state_dict().values())]
    random_state = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_to_jit(policy, tmp_path / "policy.pt")
        export_to_onnx(policy, tmp_path / "policy.onnx")
    after = (*policy.get_hidden_state(), *policy.state_dict().values())
    assert policy.training
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert capfd.readouterr() == ("", "")


def test_refusals_leave_no_file(make_env, tmp_path, monkeypatch):
    """Law: what cannot be exported is told in one line, and nothing is written."""
    policy = make_policy("mlp", make_env("Pendulum-v1").get_observations(), "gaussian")
    with pytest.raises(TypeError, match="export_to_jit: `policy` must have a method `as_jit`, got Linear"):
        export_to_jit(torch.nn.Linear(1, 1), tmp_path / "policy.pt")
    monkeypatch.setattr(policy_files, "_has_onnx", lambda: False)
    with pytest.raises(ImportError, match=r'pip install "rslcore\[onnx\]"'):
        export_to_onnx(policy, tmp_path / "policy.onnx")
    assert not list(tmp_path.iterdir())
