# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The graph engine captures, replays, and notices when a capture no longer holds.

On the CPU a tape stands for CUDA graphs: it repeats operators on the tensors that they once had, so whatever the host
decided while it was recorded is frozen, as in a graph. Streams, pools and waits need the GPU.
"""

from __future__ import annotations

import contextlib
import copy
from types import SimpleNamespace

import pytest
import torch
from limits import THREADS
from rounding import Bounds, make_lipschitz, move_policy
from tape import run_at_once, use_tapes
from tensordict import TensorDict

from rslcore.algorithms import PPO, Distillation
from rslcore.engine import CapturedPolicySteps
from rslcore.engine import graph as engine_module
from rslcore.utils import JointRead

NUM_ENVS, NUM_STEPS, NUM_ACTIONS = 64, 8, 3

only_on_a_gpu = pytest.mark.parametrize("device", [pytest.param("cuda:0", marks=pytest.mark.gpu)], indirect=True)


@pytest.fixture(autouse=True, params=[pytest.param("cpu"), pytest.param("cuda:0", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """Where everything is; on the CPU with tapes for graphs."""
    torch.set_num_threads(THREADS)
    if request.param == "cpu":
        use_tapes(monkeypatch)
    return request.param


def observe(generator, device):
    """Random observations."""
    groups = {name: torch.randn(NUM_ENVS, width, generator=generator) for name, width in (("policy", 5), ("extra", 4))}
    return TensorDict({name: value.to(device) for name, value in groups.items()}, [NUM_ENVS])


def make(device, engine, algorithm="PPO", **settings):
    """An algorithm; keywords are its settings, and with `model_` those of both models."""
    models = {key.removeprefix("model_"): settings.pop(key) for key in list(settings) if key.startswith("model_")}
    roles = ("actor", "critic") if algorithm == "PPO" else ("student", "teacher")
    model = {"class_name": "MLPModel", "hidden_dims": [32, 24], "obs_normalization": True, **models}
    cfg = {
        "num_steps_per_env": NUM_STEPS,
        "obs_groups": {role: ["policy", "extra"] for role in (*roles, "rnd_state")},
        roles[0]: {**model, "distribution_cfg": {"class_name": "GaussianDistribution"}},
        roles[1]: dict(model),
        "algorithm": {"class_name": algorithm, "engine": engine, **settings},
        "multi_gpu": None,
    }
    env = SimpleNamespace(num_envs=NUM_ENVS, num_actions=NUM_ACTIONS, unwrapped=SimpleNamespace(step_dt=0.02))
    torch.manual_seed(0)
    owner = PPO if algorithm == "PPO" else Distillation
    alg = owner.construct_algorithm(observe(torch.Generator().manual_seed(0), device), env, cfg, device)
    alg.train_mode()
    make_lipschitz(alg.optimizers())
    if algorithm == "PPO":
        alg._policy_steps = CapturedPolicySteps(enabled=engine != "eager", use_tf32=alg.use_tf32)
    return alg


def rollout(alg, seed):
    """Experience, the same for the same seed and actions."""
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        device = alg.device
        obs = observe(generator, device)
        for _ in range(NUM_STEPS):
            actions = alg.act(obs)
            rewards = torch.randn(NUM_ENVS, generator=generator).to(device) - actions.square().mean(dim=1)
            dones = (torch.rand(NUM_ENVS, generator=generator) < 0.2).to(device)
            obs = observe(generator, device)
            alg.process_env_step(obs, rewards, dones, {"time_outs": dones})
        alg.compute_returns(obs)


def learn(alg, seed):
    """One iteration, the policy moved between rollout and update."""
    torch.manual_seed(seed)
    rollout(alg, seed)
    if isinstance(alg, PPO):
        move_policy(alg.actor, torch.Generator().manual_seed(seed))
    return alg.update()


class Pair:
    """The same algorithm on graphs and on the eager engine, and what rounding allows."""

    def __init__(self, device, engine="graph", **settings):
        self.graph, self.eager = (make(device, name, **copy.deepcopy(settings)) for name in (engine, "eager"))
        self.bounds = Bounds()

    def __iter__(self):
        return iter((self.graph, self.eager))

    def learn(self, seed):
        """One iteration of both; the losses."""
        ours = learn(self.graph, seed)
        with self.bounds.watch(self.eager.optimizers()):
            return ours, learn(self.eager, seed)

    def assert_same(self):
        """Parameters, statistics and learning rate agree."""
        graph, eager = self
        for role in ("actor", "critic") if isinstance(graph, PPO) else ("student",):
            self.bounds.assert_same_model(getattr(graph, role), getattr(eager, role), role)
        assert graph.learning_rate == pytest.approx(eager.learning_rate, rel=1e-9)


SYMMETRY = {
    "data_augmentation_func": lambda env, obs, actions: (
        None if obs is None else torch.cat([obs, obs.apply(torch.neg)]),
        None if actions is None else torch.cat([actions, -actions]),
    ),
    "use_data_augmentation": True,
    "use_mirror_loss": True,
}
SETTINGS = {
    "default": {},
    "reshuffled": {"reshuffle_each_epoch": True},
    "fixed": {"schedule": "fixed"},
    "normalized": {"normalize_advantage_per_mini_batch": True},
    "rnd": {"rnd_cfg": {"weight": 1.0, "num_outputs": 3, "state_normalization": True}},
    "symmetry": {"symmetry_cfg": SYMMETRY},
    "adamw": {"optimizer": "adamw"},
    "sgd": {"optimizer": "sgd"},
    "lstm": {"model_class_name": "RNNModel", "model_rnn_hidden_dim": 16},
    "gru": {"model_class_name": "RNNModel", "model_rnn_hidden_dim": 16, "model_rnn_type": "gru"},
    "distillation": {"algorithm": "Distillation", "gradient_length": 4, "max_grad_norm": 1.0},
    "distillation_rest": {"algorithm": "Distillation", "gradient_length": 5},
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_replays_agree_with_eager(device, settings):
    """Law: warm-up, capture and replays give what the eager engine gives, with the same permutations and noise."""
    graph, eager = pair = Pair(device, **SETTINGS[settings])
    for seed in range(4):
        pair.bounds.assert_same_losses(*pair.learn(seed))
        pair.assert_same()
        for ours, theirs in zip(graph.optimizers(), eager.optimizers(), strict=True):
            pair.bounds.assert_same_moments(ours, theirs)
    assert graph.engine.name == "graph" and graph.engine._recording is not None
    assert graph.storage.state_dict() == eager.storage.state_dict()


@pytest.mark.parametrize("option", ["use_mixed_precision", "use_tf32"])
@only_on_a_gpu
def test_fast_arithmetic(device, option):
    """Law: options of precision are captured too; results stay near those of float32, and the flag is put back."""
    before = torch.backends.cuda.matmul.fp32_precision
    graph, eager = make(device, "graph", **{option: True}), make(device, "eager", **{option: True})
    for seed in range(3):
        ours, theirs = learn(graph, seed), learn(eager, seed)
        assert ours["value"] == pytest.approx(theirs["value"], rel=5e-2)
    assert graph.engine._recording is not None
    assert torch.backends.cuda.matmul.fp32_precision == before


def test_steps_of_the_rollout_are_captured(device):
    """Law: from the second rollout on every step is a graph, and the models' own code has nothing to do."""
    graph = make(device, "graph")
    for seed in range(2):
        learn(graph, seed)
    assert graph._policy_steps.reason == "" and len(graph._policy_steps._recordings) == NUM_STEPS
    calls = []
    handle = graph.actor.mlp[0].register_forward_hook(lambda *_: calls.append(1))
    rollout(graph, 3)
    handle.remove()
    assert "hook" in graph._policy_steps.reason and len(calls) == NUM_STEPS


@only_on_a_gpu
def test_nothing_waits_for_the_device(device):
    """Law: a rollout and an update without reading the losses run under torch's watch for synchronization."""
    graph = make(device, "graph")
    for seed in range(3):
        learn(graph, seed)
    generator = torch.Generator().manual_seed(9)
    steps = [observe(generator, device) for _ in range(NUM_STEPS + 1)]
    rewards, dones = torch.randn(NUM_ENVS, device=device), torch.zeros(NUM_ENVS, device=device)
    read, graph.engine._update.read = graph.engine._update.read, lambda joint: {}
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.inference_mode():
            for obs in steps[:-1]:
                graph.act(obs)
                graph.process_env_step(obs, rewards, dones, {"time_outs": dones})
            graph.compute_returns(steps[-1])
        graph.update()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph.engine._update.read = read
    assert len(read(JointRead())) == 3


def test_one_read_per_update(device, monkeypatch):
    """Law: an update makes the host wait once."""
    graph = make(device, "graph")
    for seed in range(3):
        learn(graph, seed)
    rollout(graph, 4)
    reads = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: reads.append(self.shape) or tolist(self))
    graph.update()
    assert len(reads) == 1


def _replace_bias(alg):
    alg.actor.mlp[0].bias = torch.nn.Parameter(torch.zeros_like(alg.actor.mlp[0].bias))
    group = alg.optimizer.param_groups[0]
    group["params"] = [*alg.actor.parameters(), *alg.critic.parameters()]


CHANGES = {
    "entropy_coef": lambda alg: setattr(alg, "entropy_coef", 0.1),
    "clip_param": lambda alg: setattr(alg, "clip_param", 0.05),
    "epochs": lambda alg: setattr(alg, "num_learning_epochs", 2),
    "minibatches": lambda alg: setattr(alg, "num_mini_batches", 2),
    "mode": lambda alg: (alg.eval_mode(), alg.train_mode(), alg.critic.eval()),
    "frozen": lambda alg: alg.actor.mlp[0].bias.requires_grad_(False),
    "replaced": _replace_bias,
    "weight_decay": lambda alg: alg.optimizer.param_groups[0].update(weight_decay=0.1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_captured_anew(device, change):
    """Law: what is changed between updates holds from the next update on, and graphs come back."""
    graph, eager = pair = Pair(device)
    for seed in range(3):
        pair.learn(seed)
    before = graph.engine._recording
    assert before is not None
    for alg in (graph, eager):
        CHANGES[change](alg)
    for seed in range(3, 6):
        pair.learn(seed)
        pair.assert_same()
    assert graph.engine._recording is not None and graph.engine._recording is not before


def test_learning_rate_from_outside_keeps_the_graph(device):
    """Law: a learning rate set on the host is used by the next replay."""
    graph, eager = pair = Pair(device, schedule="fixed")
    for seed in range(5):
        if seed == 3:
            recording = graph.engine._recording
            for alg in (graph, eager):
                alg.learning_rate = alg.optimizer.param_groups[0]["lr"] = 3e-3
        pair.learn(seed)
        pair.assert_same()
    assert graph.engine._recording is recording is not None


def test_checkpoint_loaded_while_captured(device):
    """Law: a checkpoint is what training continues from, whatever was captured before."""
    graph, eager = pair = Pair(device)
    for seed in range(3):
        pair.learn(seed)
    saved = copy.deepcopy(graph.save())
    assert type(saved["optimizer_state_dict"]["param_groups"][0]["lr"]) is float
    for seed in range(3, 5):
        learn(graph, seed)
    for alg in (graph, eager):
        alg.load(copy.deepcopy(saved), None, True)
    for seed in range(5, 8):
        pair.learn(seed)
        pair.assert_same()


def test_other_engines_may_run_in_between(device):
    """Law: a hook hands the update to the eager engine, its removal gives it back, and nothing is lost."""
    graph, _ = pair = Pair(device, "auto")
    for seed in range(6):
        handle = graph.actor.mlp[0].register_forward_hook(lambda *_: None) if seed == 3 else None
        changes = pytest.warns(RuntimeWarning, match="takes over") if seed in (3, 4) else contextlib.nullcontext()
        with changes:
            pair.learn(seed)
        assert graph.engine.name == ("eager" if seed == 3 else "graph")
        if handle is not None:
            handle.remove()
        pair.assert_same()


@only_on_a_gpu
def test_waiting_updates_are_left_to_the_eager_engine(device):
    """Law: a symmetry that reads from the device is found before it is captured, and the reason names the place."""

    def mirror(env, obs, actions):
        if obs is not None:
            assert float(obs["policy"].sum()) is not None
        return SYMMETRY["data_augmentation_func"](env, obs, actions)

    graph = make(device, "auto", symmetry_cfg={**SYMMETRY, "data_augmentation_func": mirror})
    for seed in range(2):
        learn(graph, seed)
    with pytest.warns(RuntimeWarning, match="waits for the device at"):
        learn(graph, 2)
    assert graph.engine.name == "eager"


@only_on_a_gpu
def test_memory_does_not_grow_with_minibatches_or_updates(device):
    """Law: the memory of a captured update is that of few minibatches, not of all, and replays add nothing."""
    peaks = {}
    for epochs in (1, 8):
        graph = make(device, "graph", num_learning_epochs=epochs, model_hidden_dims=[512, 512])
        for seed in range(2):
            learn(graph, seed)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        peaks[epochs] = torch.cuda.memory_reserved()
        for seed in range(2, 6):
            learn(graph, seed)
        assert torch.cuda.memory_reserved() <= peaks[epochs] + 2**22
        del graph
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    assert peaks[8] <= 1.5 * peaks[1] + 2**23


def test_copies_capture_their_own(device):
    """Law: a copy of an algorithm learns the same from its own tensors, and leaves those of the original alone."""
    ours, _ = pair = Pair(device)
    for seed in range(3):
        pair.learn(seed)
    pair.graph = copy.deepcopy(ours)
    before = [parameter.clone() for parameter in ours.actor.parameters()]
    for seed in range(3, 6):
        pair.learn(seed)
        pair.assert_same()
    assert all(map(torch.equal, before, ours.actor.parameters()))


def test_an_update_that_waits_is_tried_twice(device, monkeypatch):
    """Law: a wait while things are set up is forgiven, a second one is not, and the reason names the place."""
    waits = [["setup.py:1"], [], ["model.py:7"], ["model.py:8"]]
    monkeypatch.setattr(engine_module, "warm_up", lambda *arguments: run_at_once(*arguments) or waits.pop(0))
    alg = make(device, "graph")
    for seed in range(3):
        learn(alg, seed)
    assert alg.engine._recording is not None
    alg.clip_param = 0.1
    for seed in range(2):
        learn(alg, seed)
    rollout(alg, 5)
    with pytest.raises(ValueError, match=r"the update waits for the device at model.py:8"):
        alg.update()
