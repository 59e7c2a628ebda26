# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""On CUDA an iteration of the runner makes the host wait once, and learns nothing from a rollout with a NaN.

On the CPU tapes stand for graphs, and every tensor counts as one that is elsewhere. What cannot be told from a copy
within one device there (`to` with a device that is no name, `copy_`) is seen by the test on a GPU alone.
"""

from __future__ import annotations

import contextlib
import copy
import warnings

import pytest
import torch
from limits import THREADS
from rounding import Bounds, make_lipschitz, move_policy
from tape import use_tapes
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from rslcore.algorithms import ppo as ppo_module
from rslcore.engine import CapturedPolicySteps
from rslcore.env import CartPoleVecEnv
from rslcore.logging import statistics
from rslcore.runners import DistillationRunner, OnPolicyRunner, step_checks

STEPS = 6
ITERATIONS = 3
"""Until updates and steps are replayed."""

on_a_gpu = pytest.param("cuda:0", marks=pytest.mark.gpu)


@pytest.fixture(params=["cpu"])
def device(request, monkeypatch):
    """Where everything is; on the CPU with tapes for graphs, and as if reading a tensor were a wait."""
    torch.set_num_threads(THREADS)
    if request.param == "cpu":
        use_tapes(monkeypatch)
        for module in (step_checks, statistics, ppo_module):
            monkeypatch.setattr(module, "_on_host", lambda tensor: False)
    return request.param


class _Operators(TorchDispatchMode):
    """Notes operators by which a number or a shape goes to the host."""

    numbers = ("_local_scalar_dense", "item", "is_nonzero", "equal", "allclose")
    shapes = ("nonzero", "argwhere", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount")

    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Every operator comes by."""
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(x.dtype == torch.bool for x in args[1] if x is not None)
        without_values = name == "where" and len(args) == 1
        if name in self.numbers or name in self.shapes or by_mask or without_values:
            self.reads.append(name)
        return func(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    """Notes calls that read without an operator where the tensor is on the host already."""

    reading = ("tolist", "cpu", "numpy", "__array__")

    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Every call comes by."""
        name = getattr(func, "__name__", "")
        if name in self.reading or (name == "to" and "cpu" in [x for x in args[1:] if isinstance(x, str)]):
            self.reads.append(name)
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def host_reads(device):
    """Collect how the host reads tensors, or waits for the device, within a block."""
    reads = []
    if device == "cpu":
        with _Methods(reads), _Operators(reads):
            yield reads
        return
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield reads
        finally:
            torch.cuda.set_sync_debug_mode("default")
    reads += [f"{w.filename}:{w.lineno}" for w in caught if "called a synchronizing" in str(w.message)]


WAYS = {
    "item": lambda x: x[0].item(),
    "float": lambda x: float(x[0]),
    "bool": lambda x: bool(x.any()),
    "if": lambda x: 1 if x[0] > 0 else 2,
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "numpy": lambda x: x.numpy(),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "mask_to_write": lambda x: x.__setitem__(x > 0, torch.zeros(3)),
    "masked_select": lambda x: x.masked_select(x > 0),
    "unique": lambda x: x.unique(),
    "equal": lambda x: torch.equal(x, x),
    "allclose": lambda x: torch.allclose(x, x),
    "where": lambda x: torch.where(x > 0),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_the_watch_sees_reads(way, inference):
    """Law: the watch of the tests below finds what it is to find, in a rollout and in an update."""
    x = torch.ones(3)
    with torch.inference_mode(inference), host_reads("cpu") as reads:
        WAYS[way](x)
        assert len(reads) == 1
        x.add_(1).to(torch.float64).mean()
    assert len(reads) == 1


class Poles(CartPoleVecEnv):
    """Carts whose episodes end all the time, and that log on their device; may break."""

    breaks_at = None
    log_interval = 10**9  # where reading costs nothing, it asks whether there is something to log

    def __init__(self, device, **options):
        super().__init__(8, device=device, max_episode_length=4, **options)
        self.total = 0

    def step(self, actions):
        """One step; the one at `breaks_at` has a NaN in environment 3."""
        obs, rewards, dones, extras = super().step(actions)
        if self.total == self.breaks_at:
            obs = obs.clone()
            obs["policy"][3, 0] = float("nan")
        self.total += 1
        return obs, rewards, dones, {**extras, "log": {"height": obs["policy"].mean()}}


MODEL = {"class_name": "MLPModel", "hidden_dims": [16], "obs_normalization": True}
POLICY = {**MODEL, "distribution_cfg": {"class_name": "GaussianDistribution"}}
LSTM = {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 8}
SETTINGS = {
    "default": {},
    "sgd": {"optimizer": "sgd"},
    "reshuffled": {"reshuffle_each_epoch": True, "optimizer": "adamw"},
    "final_obs": {"bootstrap_final_obs": True},
    "rnd": {"rnd_cfg": {"weight": 1.0, "num_outputs": 3, "state_normalization": True, "reward_normalization": True}},
    "lstm": {"model": LSTM},
    "distillation": {"class_name": "Distillation", "gradient_length": 3},
}


def make(device, save_interval=100, model=None, class_name="PPO", engine="graph", iterations=ITERATIONS, **algorithm):
    """A runner without a run folder."""
    torch.manual_seed(0)
    ppo = class_name == "PPO"
    roles = ("actor", "critic") if ppo else ("student", "teacher")
    cfg = {
        "num_steps_per_env": STEPS,
        "save_interval": save_interval,
        "obs_groups": {role: ["policy"] for role in (*roles, "rnd_state")},
        roles[0]: {**POLICY, **(model or {})},
        roles[1]: {**MODEL, **(model or {})},
        "algorithm": {"class_name": class_name, "engine": engine, **copy.deepcopy(algorithm)},
    }
    env = Poles(device, final_obs=True)
    env.step_dt = 0.02
    runner = (OnPolicyRunner if ppo else DistillationRunner)(env, cfg, None, torch.device(device))
    runner.alg.teacher_loaded = True
    if ppo:
        runner.alg._policy_steps = CapturedPolicySteps()
    runner.learn(iterations)
    return runner


def iterate(runner):
    """One more iteration, which is not one of those that save."""
    number = runner.next_iteration
    return runner._iterate(runner.env.get_observations(), number, number, number + 1)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("device", ["cpu", on_a_gpu], indirect=True)
def test_one_read_per_iteration(device, settings):
    """Law: rollout, update, checks and statistics together make the host read once."""
    runner = make(device, **SETTINGS[settings])
    assert runner.alg.engine._recording is not None
    with host_reads(device) as reads:
        iterate(runner)
    assert len(reads) == 1, reads


def test_one_read_where_parameters_are_checked(device):
    """Law: the check before a checkpoint comes with the same read."""
    runner = make(device, save_interval=1)
    with host_reads(device) as reads:
        iterate(runner)
    assert reads == ["tolist"]


def test_a_second_read_is_found(device):
    """Law: a read that anybody adds to an iteration makes the count two."""
    runner = make(device)
    act = runner.alg.act
    runner.alg.act = lambda obs: [float(obs["policy"].sum()), act(obs)][1]
    with host_reads(device) as reads:
        iterate(runner)
    assert len(reads) == 1 + STEPS


def move_after_rollouts(alg):
    """Move the policy between every rollout and its update."""
    returns, generator = alg.compute_returns, torch.Generator().manual_seed(0)

    def compute_returns(obs):
        returns(obs)
        move_policy(alg.actor, generator)

    alg.compute_returns = compute_returns


def test_what_is_read_together_is_what_was_read_apart(device):
    """Law: losses, learning rate, statistics and logged means are those of the eager engine, which reads by itself."""
    graph, eager = make(device, iterations=0), make(device, engine="eager", iterations=0)
    reports = []
    for runner in (graph, eager):
        make_lipschitz(runner.alg.optimizers())
        move_after_rollouts(runner.alg)
        runner.learn(ITERATIONS)
        runner.logger.console.iteration = lambda report, **_: reports.append(report)
        iterate(runner)
    ours, theirs = reports
    Bounds.assert_same_losses(ours.losses, theirs.losses)
    for name in ("learning_rate", "mean_std", "mean_reward", "mean_episode_length", "extras"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-4), name
    assert ours.mean_reward is not None and "height" in ours.extras
    assert list(graph.logger.lenbuffer) == list(eager.logger.lenbuffer)


def learned(alg):
    """Everything that an update changes, by name."""
    content = alg.save()
    parts = ("actor", "critic", "student", "optimizer", "rnd", "rnd_optimizer")
    state = {part: content[f"{part}_state_dict"] for part in parts if f"{part}_state_dict" in content}
    state.get("rnd", {}).pop("reward_normalizer.emp_norm._mean", None)
    return copy.deepcopy(state | {"learning_rate": alg.learning_rate})


def assert_unchanged(before, now, path=""):
    """Nested states are the same, bit for bit."""
    assert type(before) is type(now), path
    if isinstance(before, torch.Tensor):
        assert torch.equal(before, now), path
    elif isinstance(before, (dict, list)):
        assert len(before) == len(now), path
        for key in before if isinstance(before, dict) else range(len(before)):
            if "reward_normalizer" not in str(key):  # learns while the rollout runs
                assert_unchanged(before[key], now[key], f"{path}/{key}")
    else:
        assert before == now, path


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("iteration", range(ITERATIONS + 1))
def test_nothing_is_learned_by_the_first_steps_of_an_optimizer(device, iteration, momentum):
    """Law: a NaN leaves no trace in a warm-up, capture or replay, nor a momentum that was never set."""
    runner = make(device, iterations=iteration, optimizer="sgd")
    runner.alg.optimizer.param_groups[0]["momentum"] = momentum
    _break_and_check(runner, iteration)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("device", ["cpu", on_a_gpu], indirect=True)
def test_nothing_is_learned_from_a_bad_rollout(device, settings):
    """Law: a NaN is named; parameters, optimizers, normalizers and learning rate are those of before, bit for bit."""
    _break_and_check(make(device, save_interval=1, **SETTINGS[settings]), ITERATIONS)


def _break_and_check(runner, iteration):
    before = learned(runner.alg)
    runner.env.breaks_at = runner.env.total + 2
    with pytest.raises(ValueError, match=rf"group 'policy' .* environment\(s\) 3 at step 2 of iteration {iteration}"):
        runner.learn(1)
    assert_unchanged(before, learned(runner.alg))
    assert not runner._updating and runner.current_learning_iteration == max(iteration - 1, 0)


@pytest.mark.parametrize("check_for_nan", [True, False])
def test_a_clean_rollout_is_learned_from_after_a_bad_one(device, check_for_nan):
    """Law: what made the steps do nothing is gone with the rollout, and nothing that was read is left over."""
    runner = make(device)
    _break_and_check(runner, ITERATIONS)
    runner.alg.storage.clear()
    runner.cfg["check_for_nan"] = check_for_nan
    before = learned(runner.alg)
    runner.learn(1)
    assert not torch.equal(before["actor"]["mlp.0.weight"], runner.alg.actor.state_dict()["mlp.0.weight"])
    assert all(x.isfinite().all() for x in runner.alg.actor.state_dict().values())


def test_another_engine_that_takes_over_learns_nothing_from_a_nan(device):
    """Law: where a hook hands the update to the eager engine, it is asked for NaN before."""
    runner = make(device, engine="auto")
    before = learned(runner.alg)
    runner.env.breaks_at = runner.env.total + 2
    returns = runner.alg.compute_returns

    def hooked(obs):
        returns(obs)
        runner.alg.actor.mlp[0].register_forward_hook(lambda *_: None)

    runner.alg.compute_returns = hooked
    with pytest.raises(ValueError, match="must not contain NaN"):
        runner.learn(1)
    assert_unchanged(before, learned(runner.alg))


def test_nan_that_is_allowed_is_learned_from(device):
    """Law: without `check_for_nan` nothing is looked at, as in rsl_rl, and the losses tell."""
    runner = make(device)
    runner.cfg["check_for_nan"] = False
    runner.env.breaks_at = runner.env.total + 2
    with pytest.raises(ValueError, match="must be finite, got nan"):
        runner.learn(1)


def test_divergence_is_refused_before_it_is_saved(device):
    """Law: parameters that are too large are found with the one read of an iteration that saves."""
    runner = make(device, save_interval=1)
    with torch.no_grad():
        runner.alg.actor.distribution.std_param.fill_(1e19)
    with pytest.raises(ValueError, match=r"must be (below|finite)"):
        runner.learn(1)
