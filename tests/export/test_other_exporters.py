# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Exporters that are not ours: what they write acts as the module does, and needs nothing of rslcore."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import subprocess
import sys
import textwrap
import warnings
from typing import NamedTuple

import pytest
import torch
from torch import nn

from rslcore.extensions import RandomNetworkDistillation
from rslcore.models import ActorCritic, CNNModel, MLPModel, RNNModel, StudentTeacher
from rslcore.modules import CNN, MLP, RNN, EmpiricalDiscountedVariationNormalization, EmpiricalNormalization

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

D, A, H = 6, 2, 8
OBSERVATIONS = {"policy": torch.zeros(4, D), "camera": torch.zeros(4, 1, 8, 8)}
SETS = ("actor", "policy", "critic", "teacher", "rnd_state")
GROUPS = {name: ["policy"] for name in SETS} | {"sees": ["policy", "camera"]}
BATCHES = (3, 1, 7)
"""The first is what the exporter sees."""


def normalizer(shape=D):
    """One that has seen samples far from mean 0 and deviation 1, so that leaving it out shows."""
    module = EmpiricalNormalization(shape)
    features = (shape,) if isinstance(shape, int) else shape
    module.update(3 * torch.randn(64, *features) + 2)
    return module.eval()


def trained(policy):
    """A policy with statistics, away from special initial values."""
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    samples = {group: 3 * torch.rand(64, *example.shape[1:]) - 1 for group, example in OBSERVATIONS.items()}
    policy.update_normalization(samples)
    return policy.eval()


def mlp_model(distribution=None, model_class=MLPModel):
    """A model with an observation normalizer."""
    return trained(model_class(OBSERVATIONS, GROUPS, "actor", A, [16], "elu", True, distribution))


class Deployed(nn.Module):
    """Normalizer and network side by side, as Isaac Lab's exporter makes of a policy."""

    def __init__(self):
        super().__init__()
        self.normalizer = normalizer()
        self.actor = MLP(D, A, [16], "elu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Act."""
        return self.actor(self.normalizer(x))


class DeployedLSTM(nn.Module):
    """The same with memory, whose state is input and output."""

    def __init__(self):
        super().__init__()
        self.normalizer = normalizer()
        self.rnn = RNN(D, H).rnn
        self.actor = MLP(H, A, [16], "elu")

    def forward(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Act."""
        output, (h, c) = self.rnn(self.normalizer(x).unsqueeze(0), (h, c))
        return self.actor(output.squeeze(0)), h, c


class Discriminator(nn.Module):
    """A normalizer used twice, as in adversarial motion priors."""

    def __init__(self):
        super().__init__()
        self.amp_normalizer = normalizer([D // 2])
        self.trunk = nn.Sequential(nn.Linear(D, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score pairs of states."""
        state, next_state = torch.split(x, x.shape[-1] // 2, dim=-1)
        return self.trunk(torch.cat([self.amp_normalizer(state), self.amp_normalizer(next_state)], dim=-1))


class Statistics(nn.Module):
    """All that a user reads of a normalizer."""

    def __init__(self):
        super().__init__()
        self.normalizer = normalizer()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Use the properties, the inverse, and an update that does nothing in evaluation mode."""
        self.normalizer.update(x)
        return self.normalizer.inverse(self.normalizer(x)) * self.normalizer.std - self.normalizer.mean


class OwnEncoder(MLPModel):
    """A user's model: another network in place of the MLP, fed with the latent of the base class and its encoding."""

    def __init__(self, *args):
        super().__init__(*args)
        del self.mlp
        self.encoder = nn.Linear(D, 5)
        self.mlp = MLP(D + 5, A, [16], "elu")

    def get_latent(self, obs, masks=None, hidden_state=None):
        """Return the normalized observations and their encoding."""
        latent = super().get_latent(obs, masks, hidden_state)
        return torch.cat([latent, self.encoder(latent).tanh()], dim=-1)


class OfTensors(nn.Module):
    """A method of a model that takes observation groups, as a function of tensors."""

    def __init__(self, model, method="forward", groups=("policy",)):
        super().__init__()
        self.model, self.method, self.groups = model, method, groups

    def forward(self, *tensors):
        """Call the method."""
        return getattr(self.model, self.method)(dict(zip(self.groups, tensors, strict=True)))


class OneStep(nn.Module):
    """A step of a recurrent model, whose state is input and output."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, h, c):
        """Set the state, act, return the state."""
        self.model.reset(hidden_state=(h, c))
        actions = self.model({"policy": x})
        return (actions, *self.model.get_hidden_state())


class Density(nn.Module):
    """What a stochastic policy says of outputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        """Return log-probability, entropy and standard deviation."""
        self.model.distribution.update(self.model.mlp(self.model.get_latent({"policy": x})))
        return self.model.get_output_log_prob(y), self.model.output_entropy, self.model.output_std


def reward_normalizer():
    """One that has seen rewards."""
    module = EmpiricalDiscountedVariationNormalization([])
    for _ in range(4):
        module(torch.rand(5))
    return module.eval()


def curiosity():
    """RND with both normalizers."""
    module = RandomNetworkDistillation(
        D, GROUPS, 3, [8], [8], state_normalization=True, reward_normalization=True, weight=1.0
    )
    module.update_normalization({"policy": 3 * torch.randn(64, D)})
    for _ in range(4):
        module.get_intrinsic_reward({"policy": torch.randn(4, D)})
    return module.eval()


def cnn_model():
    """A model that sees."""
    return trained(
        CNNModel(OBSERVATIONS, GROUPS, "sees", A, [16], "elu", True, None, {"output_channels": [3], "kernel_size": 3})
    )


def lstm_model():
    """A model that remembers."""
    return trained(RNNModel(OBSERVATIONS, GROUPS, "actor", A, [16], "elu", True, None, "lstm", H, 1))


def rows(batch):
    """Observations."""
    return (2 * torch.randn(batch, D) + 1,)


def with_state(batch):
    """Observations and the state of an LSTM."""
    return (*rows(batch), torch.randn(1, batch, H), torch.randn(1, batch, H))


def with_image(batch):
    """Observations and images."""
    return (*rows(batch), torch.rand(batch, 1, 8, 8))


class Case(NamedTuple):
    """A module, made anew for every exporter, and its inputs for a batch."""

    make: object
    inputs: object = rows
    batch_dims: tuple = (0,)
    scriptable: bool = False


def policy_pair(policy_class, method):
    """A method of an old kind of policy, with both normalizers."""
    return OfTensors(trained(policy_class(OBSERVATIONS, GROUPS, A, True, True, [8], [8])), method)


GAUSSIAN = {"class_name": "GaussianDistribution"}
MULTI = {"class_name": "CategoricalDistribution", "num_categories": [2, 3]}
CASES = {
    "normalizer": Case(normalizer, scriptable=True),
    "normalizer of matrices": Case(lambda: normalizer((2, 3)), lambda b: (torch.randn(b, 2, 3),), scriptable=True),
    "normalizer of sequences": Case(normalizer, lambda b: (torch.randn(b, 5, D),), scriptable=True),
    "normalizer of bytes": Case(
        normalizer, lambda b: (torch.randint(256, (b, D), dtype=torch.uint8),), scriptable=True
    ),
    "statistics": Case(Statistics, scriptable=True),
    "deployed": Case(Deployed, scriptable=True),
    "deployed lstm": Case(DeployedLSTM, with_state, (0, 1, 1), scriptable=True),
    "discriminator": Case(Discriminator, scriptable=True),
    "rewards": Case(reward_normalizer, lambda b: (torch.randn(b),), scriptable=True),
    "cnn": Case(lambda: CNN([8, 8], 1, [3], 3, norm="layer"), lambda b: (torch.rand(b, 1, 8, 8),), scriptable=True),
    "as_jit": Case(lambda: mlp_model().as_jit(), scriptable=True),
    "as_onnx of an lstm": Case(lambda: lstm_model().as_onnx(), with_state, (0, 1, 1), scriptable=True),
    "mlp model": Case(lambda: OfTensors(mlp_model())),
    "beta policy": Case(lambda: OfTensors(mlp_model({"class_name": "BetaDistribution"}))),
    "categorical policy": Case(lambda: OfTensors(mlp_model(MULTI))),
    "own model": Case(lambda: OfTensors(mlp_model(model_class=OwnEncoder))),
    "cnn model": Case(lambda: OfTensors(cnn_model(), groups=("policy", "camera")), with_image, (0, 0)),
    "lstm model": Case(lambda: OneStep(lstm_model()), with_state, (0, 1, 1)),
    "density": Case(lambda: Density(mlp_model(GAUSSIAN)), lambda b: (*rows(b), torch.rand(b, A)), (0, 0)),
    "actor": Case(lambda: policy_pair(ActorCritic, "act_inference")),
    "critic": Case(lambda: policy_pair(ActorCritic, "evaluate")),
    "student": Case(lambda: policy_pair(StudentTeacher, "act_inference")),
    "curiosity": Case(lambda: OfTensors(curiosity(), "get_intrinsic_reward")),
}


def trace(module, inputs, batch_dims, path):
    """TorchScript by tracing."""
    torch.jit.save(torch.jit.trace(module, inputs), path)


def script(module, inputs, batch_dims, path):
    """TorchScript by compiling."""
    torch.jit.save(torch.jit.script(module), path)


def onnx_by_trace(module, inputs, batch_dims, path):
    """The TorchScript-based ONNX exporter."""
    names = [f"x{i}" for i in range(len(inputs))]
    axes = {name: {dim: "batch"} for name, dim in zip(names, batch_dims, strict=True)}
    torch.onnx.export(module, inputs, path, dynamo=False, input_names=names, dynamic_axes=axes, opset_version=18)


def onnx_by_export(module, inputs, batch_dims, path):
    """The default ONNX exporter."""
    torch.onnx.export(module, inputs, path, dynamic_shapes=dynamic_shapes(module, batch_dims), verbose=False)


def export(module, inputs, batch_dims, path):
    """torch.export."""
    torch.export.save(torch.export.export(module, inputs, dynamic_shapes=dynamic_shapes(module, batch_dims)), path)


def dynamic_shapes(module, batch_dims):
    """The shapes of the inputs as torch.export wants them: those of `*tensors` together."""
    batch = torch.export.Dim("batch")
    shapes = tuple({dim: batch} for dim in batch_dims)
    return (shapes,) if isinstance(module, OfTensors) else shapes


EXPORTERS = {
    "trace": (trace, ".pt"),
    "script": (script, ".pt"),
    "onnx_by_trace": (onnx_by_trace, ".onnx"),
    "onnx_by_export": (onnx_by_export, ".onnx"),
    "export": (export, ".pt2"),
}

SLOW = {"onnx_by_export"}
"""It goes through torch.export, and takes a second a file: a few cases will do."""

FEW = ("normalizer", "deployed", "deployed lstm", "discriminator", "own model", "cnn model", "categorical policy")

PAIRS = [
    (exporter, name)
    for exporter in EXPORTERS
    for name, case in CASES.items()
    if (case.scriptable or exporter != "script") and (name in FEW or exporter not in SLOW)
]
"""TorchScript compiles modules of tensors alone, not such that take observation groups."""

WITHOUT_RSLCORE = textwrap.dedent(
    """
    import json, sys

    class Refuse:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "rslcore":
                raise ImportError("rslcore is not here")

    sys.meta_path.insert(0, Refuse())
    import torch

    torch.set_num_threads(1)

    def loaded(path):
        if path.endswith(".pt"):
            return torch.jit.load(path)
        if path.endswith(".pt2"):
            return torch.export.load(path).module()
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [node.name for node in session.get_inputs()]

        def run(*inputs):
            feed = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
            return tuple(torch.from_numpy(x) for x in session.run(None, feed))

        return run

    errors = {}
    with torch.no_grad():
        for name, path, calls in torch.load(sys.argv[1]):
            try:
                run = loaded(path)
                for inputs, expected in calls:
                    outputs = run(*inputs)
                    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-5)
                errors[name] = None
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(errors))
    """
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """``outcome(exporter)``: what went wrong with each case, None where all was right; made once for each exporter.

    No parameter of the fixture: pytest makes those anew for each test.
    """
    return functools.cache(lambda exporter: outcomes(exporter, tmp_path_factory.mktemp(exporter)))


def outcomes(exporter_name, folder):
    """Write the files of all cases by one exporter, run them, and return the errors by the names of the cases."""
    exporter, suffix = EXPORTERS[exporter_name]
    torch.manual_seed(0)
    errors, files = {}, []
    for name in (name for other, name in PAIRS if other == exporter_name):
        case = CASES[name]
        module = case.make()
        calls = []
        with torch.no_grad():
            for inputs in map(case.inputs, BATCHES):
                outputs = module(*inputs)
                calls.append((inputs, outputs if isinstance(outputs, tuple) else (outputs,)))
        path = str(folder / f"{name.replace(' ', '_')}{suffix}")
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                exporter(module, case.inputs(BATCHES[0]), case.batch_dims, path)
            files.append((name, path, calls))
        except Exception as error:
            errors[name] = f"{type(error).__name__}: {error}"
    torch.save(files, folder / "cases")
    command = [sys.executable, "-c", WITHOUT_RSLCORE, str(folder / "cases")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return errors | json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("exporter", "name"), PAIRS)
def test_files_act_as_the_module_without_rslcore(exporter, name, outcome):
    """Law: any exporter's file gives what the module gives to 1e-5, for random inputs and every batch size.

    It is run by a Python that has no rslcore.
    """
    assert outcome(exporter)[name] is None


def test_torch_compile_keeps_the_kernel():
    """Law: what is compiled to run here calls our operator."""
    graphs = []

    def keep(graph, inputs):
        graphs.append(str(graph.graph))
        return graph.forward

    module, x = normalizer(), torch.randn(5, D)
    torch._dynamo.reset()
    compiled = torch.compile(module, backend=keep, fullgraph=True)
    torch.testing.assert_close(compiled(x), module(x))
    assert len(graphs) == 1 and "rslcore.normalize" in graphs[0]


@pytest.mark.parametrize(
    ("make", "instead"),
    [
        (mlp_model, "as_jit"),
        (lstm_model, "as_jit"),
        (lambda: RNN(D, H), "`rnn`"),
        (lambda: mlp_model(GAUSSIAN).distribution, "as_deterministic_output_module"),
        (lambda: ActorCritic(OBSERVATIONS, GROUPS, A), "as_jit"),
    ],
)
def test_scripting_is_refused_by_name(make, instead):
    """Law: what TorchScript cannot compile says so, and what to take, also inside of a user's module."""
    module = make()
    for given in (module, nn.Sequential(module)):
        with pytest.raises(TypeError, match=f"got a {type(module).__name__}; take .*{instead}"):
            torch.jit.script(given)


@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
@torch.no_grad()
def test_a_traced_recurrent_copy_keeps_its_state(rnn_type):
    """Law: as_jit() remembers from step to step also where it was traced or exported; for ONNX it is refused."""
    model = trained(RNNModel(OBSERVATIONS, GROUPS, "actor", A, [16], "elu", True, None, rnn_type, H, 1))
    traced = torch.jit.trace(model.as_jit(), rows(1), check_trace=False)
    traced.reset()
    exported = torch.export.export(model.as_jit(), rows(1)).module()
    for _ in range(4):
        inputs = rows(1)
        expected = model({"policy": inputs[0]})
        torch.testing.assert_close(traced(*inputs), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(exported(*inputs), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError, match="export what as_onnx"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.as_jit(), rows(1), io.BytesIO(), dynamo=False)


@torch.no_grad()
def test_a_lost_hidden_state_is_told():
    """Law: exporting a step of a recurrent model whose state was not set warns that every step starts from zeros."""
    model = lstm_model()
    with pytest.warns(UserWarning, match="starts from zeros in every step"):
        torch.jit.trace(OfTensors(model), rows(2), check_trace=False)


@torch.no_grad()
def test_tracing_after_acting_and_without_a_distribution():
    """Law: torch.jit.trace, which reads all properties of a module, takes models in every state."""
    for distribution in (None, GAUSSIAN):
        model = mlp_model(distribution)
        for _ in range(2):
            inputs = rows(3)
            traced = torch.jit.trace(OfTensors(model), inputs)
            torch.testing.assert_close(traced(*inputs), model({"policy": inputs[0]}), rtol=1e-5, atol=1e-5)
            model({"policy": inputs[0]}, stochastic_output=True)
    with pytest.raises(RuntimeError, match="the output is deterministic"):
        _ = mlp_model().output_mean


def test_learning_is_not_exported():
    """Law: statistics that a file could not keep are refused; in evaluation mode nothing is learned."""
    with pytest.raises(RuntimeError, match="call eval"):
        torch.jit.trace(reward_normalizer().train(), torch.randn(5))
    with pytest.raises(torch.jit.Error, match="call eval"):
        torch.jit.script(reward_normalizer()).train()(torch.randn(5))


def test_a_users_own_normalizer_is_exported():
    """Law: exported copies hold the normalizer of the model, whatever it is."""
    model = mlp_model()
    model.obs_normalizer = nn.Linear(D, D)
    (inputs,) = rows(3)
    torch.testing.assert_close(model.as_jit()(inputs), model({"policy": inputs}))
