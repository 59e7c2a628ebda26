# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of loading: all of a checkpoint or nothing of it, and one kind of error."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pendulum import SavingPendulumVecEnv, make_cfg
from test_resume import assert_same_state
from test_rnd import make_runner as make_rnd_runner

from rslcore import checkpoint
from rslcore.config import RNNModelCfg
from rslcore.runners import OnPolicyRunner


def make_runner(run_dir: Path | None, seed: int = 1, **cfg: Any) -> OnPolicyRunner:
    """Return a silent runner."""
    torch.manual_seed(seed)
    return OnPolicyRunner(SavingPendulumVecEnv(), make_cfg(**cfg), run_dir, "cpu", console="none")


def recurrent() -> dict[str, Any]:
    """A policy with an LSTM, a value function with a GRU."""
    cfg = make_cfg()
    lstm = RNNModelCfg(hidden_dims=(8,), rnn_hidden_dim=4, distribution_cfg=None).to_dict()
    return {
        "actor": {**lstm, "rnn_type": "lstm", "distribution_cfg": cfg["actor"]["distribution_cfg"]},
        "critic": {**lstm, "rnn_type": "gru"},
    }


def state_of(runner: OnPolicyRunner) -> dict[str, Any]:
    """Everything that loading may change."""
    return {
        "alg": copy.deepcopy(runner.alg.save()),
        "numbers": {key: value for key, value in vars(runner.alg).items() if isinstance(value, (bool, int, float))},
        "logger": copy.deepcopy(runner.logger.state_dict()),
        "iteration": (runner.current_learning_iteration, runner.next_iteration),
        "random": checkpoint.random_state("cpu"),
        "env": runner.env.state_dict(),
    }


def change(*path: Any) -> Callable[[Any], Callable[[dict[str, Any]], None]]:
    """``change("a", 0)(x)(content)`` sets content["a"][0] to x, or to what x makes of the old value."""

    def to(new: Any) -> Callable[[dict[str, Any]], None]:
        def apply(content: dict[str, Any]) -> None:
            place: Any = content
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = new(place[path[-1]]) if callable(new) else new

        return apply

    return to


def spoil(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Set the last number of a tensor."""

    def apply(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[-1] = value
        return tensor

    return apply


WEIGHT = change("actor_state_dict", "mlp.0.weight")
CRITIC = change("critic_state_dict", "mlp.0.weight")
STATE = ("optimizer_state_dict", "state")
GROUP = ("optimizer_state_dict", "param_groups", 0)
OURS = ("rslcore_state",)
DAMAGE = {
    "weights inf": WEIGHT(spoil(math.inf)),
    "weights nan": CRITIC(spoil(math.nan)),
    "weights bool": WEIGHT(lambda x: x > 0),
    "weights complex": CRITIC(lambda x: x.to(torch.complex64)),
    "weights integer": CRITIC(lambda x: x.long()),
    "weights sparse": CRITIC(lambda x: x.to_sparse()),
    "weights meta": WEIGHT(lambda x: x.to("meta")),
    "weights text": WEIGHT(""),
    "weights shape": CRITIC(lambda x: x[:-1]),
    "key that is no text": change("critic_state_dict", 7)(torch.ones(1)),
    "normalizer variance": change("actor_state_dict", "obs_normalizer._var")(spoil(-1.0)),
    "normalizer count": change("actor_state_dict", "obs_normalizer.count")(torch.tensor(1.5)),
    "state is text": change(*STATE, 3)(""),
    "state is a number": change(*STATE, 3)(0),
    "state of a parameter that is none": change(*STATE, 99)({}),
    "state key": change(*STATE, "x")({}),
    "moment meta": change(*STATE, 0, "exp_avg")(lambda x: x.to("meta")),
    "moment nan": change(*STATE, 0, "exp_avg")(spoil(math.nan)),
    "moment inf": change(*STATE, 2, "exp_avg_sq")(spoil(math.inf)),
    "moment negative": change(*STATE, 2, "exp_avg_sq")(spoil(-1.0)),
    "moment bool": change(*STATE, 0, "exp_avg")(lambda x: x > 0),
    "moment complex": change(*STATE, 0, "exp_avg")(lambda x: x.to(torch.complex64)),
    "step nan": change(*STATE, 0, "step")(math.nan),
    "step text": change(*STATE, 0, "step")("1"),
    "step of one row": change(*STATE, 0, "step")(torch.ones(1)),
    "step vector": change(*STATE, 0, "step")(torch.ones(3)),
    "lr nan": change(*GROUP, "lr")(math.nan),
    "lr negative": change(*GROUP, "lr")(-1.0),
    "lr bool": change(*GROUP, "lr")(True),
    "lr complex": change(*GROUP, "lr")(1j),
    "betas": change(*GROUP, "betas")(("", "")),
    "betas range": change(*GROUP, "betas")((0.9, 1.5)),
    "betas number": change(*GROUP, "betas")(0.9),
    "amsgrad without its state": change(*GROUP, "amsgrad")(True),
    "switch": change(*GROUP, "maximize")(math.inf),
    "params unhashable": change(*GROUP, "params")(lambda x: [[i] for i in x]),
    "params short": change(*GROUP, "params")(lambda x: x[1:]),
    "groups": change("optimizer_state_dict", "param_groups")(None),
    "iter negative": change("iter")(-5),
    "iter bool": change("iter")(True),
    "iter huge": change("iter")(2**70),
    "iter float": change("iter")(1.0),
    "iter none": change("iter")(None),
    "shuffle seed": change("shuffle_state", "seed")(math.nan),
    "shuffle fraction": change("shuffle_state", "offset")(0.5),
    "sampling seed": change("sampling_state", "seed")(2**70),
    "sampling none": change("sampling_state")(None),
    "torch random short": change(*OURS, "random", "torch")(lambda x: x[:-8]),
    "torch random kind": change(*OURS, "random", "torch")(lambda x: x.float()),
    "torch random content": change(*OURS, "random", "torch")(torch.zeros_like),
    "numpy random keys": change(*OURS, "random", "numpy", "keys")(lambda x: x[:3]),
    "numpy random position": change(*OURS, "random", "numpy", "position")(10**6),
    "numpy random position nan": change(*OURS, "random", "numpy", "position")(math.nan),
    "python random words": change(*OURS, "random", "python", "words")(lambda x: x[:3]),
    "python random version": change(*OURS, "random", "python", "version")(7),
    "python random gauss": change(*OURS, "random", "python", "gauss_next")("x"),
    "random none": change(*OURS, "random")(None),
    "steps": change(*OURS, "logger", "tot_timesteps")(math.inf),
    "time": change(*OURS, "logger", "tot_time")(math.nan),
    "returns": change(*OURS, "logger", "rewbuffer")(["x"]),
    "running": change(*OURS, "logger", "running")(lambda x: x.to(torch.complex64)),
    "num_envs": change(*OURS, "num_envs")("16"),
    "hidden states": change(*OURS, "hidden_states")(3),
    "finished": change(*OURS)(lambda x: {k: v for k, v in x.items() if k != "finished"}),
    "rslcore_state": change(*OURS)(7),
    "critic missing": lambda content: content.pop("critic_state_dict"),
    "groups of no kind": change("observation_groups")(3),
    "groups of another kind": change("observation_groups", "actor")([["policy"], 3]),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint after two iterations."""
    path = tmp_path_factory.mktemp("saved") / "model_1.pt"
    runner = make_runner(None)
    runner.learn(2)
    runner.save(path)
    return path


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_wrong_changes_nothing(saved: Path, tmp_path: Path, damage: str) -> None:
    """Whatever is wrong with a file: a CheckpointError, and every part of the runner is what it was."""
    content = torch.load(saved, weights_only=True)
    DAMAGE[damage](content)
    torch.save(content, tmp_path / "damaged.pt")
    runner = make_runner(None, seed=5)
    runner.learn(1)
    before = state_of(runner)
    with pytest.raises(checkpoint.CheckpointError, match=r"^checkpoint: "):
        runner.load(tmp_path / "damaged.pt")
    assert_same_state(before, state_of(runner))
    runner.load(saved)
    runner.learn(1)


@pytest.mark.parametrize(
    "damage",
    [
        change("rnd_state_dict", "predictor.0.weight")(spoil(math.inf)),
        change("rnd_state_dict", "state_normalizer._var")(lambda x: x > 0),
        change("rnd_optimizer_state_dict", "state", 0)(""),
        change("rnd_progress", "update_counter")(-1),
        change("rnd_progress", "update_counter")("many"),
        change("rnd_progress", "discounted_avg")(spoil(math.nan)),
        change("rnd_progress", "discounted_avg")(lambda x: x.long()),
    ],
)
def test_what_is_wrong_of_rnd_changes_nothing(tmp_path: Path, damage: Callable[[dict[str, Any]], None]) -> None:
    """The same law for random network distillation."""
    runner = make_rnd_runner(None)
    runner.learn(1)
    runner.save(tmp_path / "model_0.pt")
    content = torch.load(tmp_path / "model_0.pt", weights_only=True)
    damage(content)
    torch.save(content, tmp_path / "damaged.pt")
    before = state_of(runner)
    with pytest.raises(checkpoint.CheckpointError, match=r"^checkpoint: "):
        runner.load(tmp_path / "damaged.pt")
    assert_same_state(before, state_of(runner))


def test_precision_of_what_is_remembered_does_not_matter(tmp_path: Path) -> None:
    """Hidden states and RND's running average saved in double precision: training goes on in its own."""
    for runner, path in (
        (make_runner(None, **recurrent()), ("rslcore_state", "hidden_states", "critic")),
        (make_rnd_runner(None), ("rnd_progress", "discounted_avg")),
    ):
        runner.learn(1)
        runner.save(tmp_path / "model_0.pt")
        content = torch.load(tmp_path / "model_0.pt", weights_only=True)
        change(*path)(torch.Tensor.double)(content)
        torch.save(content, tmp_path / "double.pt")
        runner.load(tmp_path / "double.pt")
        runner.learn(1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda states: {**states, "actor": states["actor"][0]},
        lambda states: {**states, "critic": (states["critic"], states["critic"])},
        lambda states: {**states, "critic": states["critic"][:, :3]},
        lambda states: {**states, "critic": states["critic"] * math.nan},
        lambda states: {**states, "actor": "x"},
    ],
)
def test_hidden_states_must_be_of_the_models(tmp_path: Path, damage: Callable[[Any], Any]) -> None:
    """Hidden states of another kind, shape or without numbers are refused when they are loaded, not when used."""
    runner = make_runner(None, **recurrent())
    runner.learn(1)
    runner.save(tmp_path / "model_0.pt")
    resumed = make_runner(None, **recurrent())
    resumed.load(tmp_path / "model_0.pt")
    resumed.learn(1)
    content = torch.load(tmp_path / "model_0.pt", weights_only=True)
    change("rslcore_state", "hidden_states")(damage)(content)
    torch.save(content, tmp_path / "damaged.pt")
    before = state_of(resumed)
    with pytest.raises(checkpoint.CheckpointError, match=r"hidden_states'\]\['(actor|critic)'\] of this (LSTM|GRU)"):
        resumed.load(tmp_path / "damaged.pt")
    assert_same_state(before, state_of(resumed))


def test_a_model_that_refuses_half_way_undoes_it_all(saved: Path) -> None:
    """The critic's own code raises when the actor has been replaced: everything is put back."""
    runner = make_runner(None, seed=5)
    runner.learn(1)
    before = state_of(runner)

    critic = runner.alg.critic
    original, calls = critic.load_state_dict, []

    def refuse_once(*arguments: Any, **keywords: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("not mine")
        return original(*arguments, **keywords)

    critic.load_state_dict = refuse_once
    with pytest.raises(checkpoint.CheckpointError, match=r"does not load .*not mine"):
        runner.load(saved)
    assert len(calls) == 2
    assert_same_state(before, state_of(runner))


LAYOUTS = {
    "expanded": lambda x: torch.zeros(1).expand(x.shape),
    "transposed": lambda x: x.t().contiguous().t() if x.dim() == 2 else x,
    "offset": lambda x: torch.cat([torch.ones(3), x.reshape(-1)])[3:].view(x.shape),
    "double": lambda x: x.double(),
    "half": lambda x: x.half(),
    "parameter": lambda x: torch.nn.Parameter(x.clone()),
}


@pytest.mark.parametrize("engine", ["fused", "eager"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_how_tensors_lie_in_a_file_does_not_matter(saved: Path, tmp_path: Path, layout: str, engine: str) -> None:
    """Strides, offsets, overlap and precision of a file's tensors: training goes on as from plain ones of the numbers.

    And that in ``load`` of the algorithm too, which reads no file.
    """
    content = torch.load(saved, weights_only=True)
    for state in content["optimizer_state_dict"]["state"].values():
        state["exp_avg"], state["exp_avg_sq"] = LAYOUTS[layout](state["exp_avg"]), LAYOUTS[layout](state["exp_avg_sq"])
    for part in ("actor_state_dict", "critic_state_dict"):
        for key in ("mlp.0.weight", "mlp.2.bias", "obs_normalizer._mean"):
            content[part][key] = LAYOUTS[layout](content[part][key])
    torch.save(content, tmp_path / "other.pt")
    plain = {**content, "optimizer_state_dict": copy.deepcopy(content["optimizer_state_dict"])}
    for state in plain["optimizer_state_dict"]["state"].values():
        state.update({key: x.detach().float().contiguous().clone() for key, x in state.items()})
    torch.save(plain, tmp_path / "plain.pt")
    results = []
    algorithm = {**make_cfg()["algorithm"], "engine": engine}
    for name in ("other.pt", "plain.pt", None):
        runner = make_runner(None, algorithm=algorithm)
        runner.load(tmp_path / (name or "plain.pt"))
        if name is None:
            runner.alg.load(content, None, True)
        runner.learn(1)
        results.append(runner.alg.save())
        for state in runner.alg.optimizer.state.values():
            assert all(x.is_contiguous() and x.untyped_storage().nbytes() == x.nbytes for x in state.values())
    assert_same_state(results[1], results[0])
    assert_same_state(results[1], results[2])


def test_moments_that_share_memory_are_set_apart(saved: Path) -> None:
    """One tensor for both moments of all parameters of a shape: each parameter gets memory of its own."""
    runner = make_runner(None)
    content = torch.load(saved, weights_only=True)
    for state in content["optimizer_state_dict"]["state"].values():
        state["exp_avg"] = state["exp_avg_sq"]
    runner.alg.load(content, None, True)
    moments = [x for s in runner.alg.optimizer.state.values() for key, x in s.items() if key != "step"]
    assert len({x.data_ptr() for x in moments}) == len(moments)
