# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fused engine learns what the eager one learns, whatever the settings."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from limits import HANG

from rslcore.engine.minibatch_kernel import MinibatchKernel, missing_kernel
from rslcore.ops import _activations, _library

pytestmark = pytest.mark.skipif(missing_kernel() is not None, reason="needs the compiled operators")

SETTINGS = {
    "defaults": {},
    "no_normalizer": {"models__obs_normalization": False},
    "one_normalizer": {"actor__obs_normalization": False},
    "no_hidden_layer": {"models__hidden_dims": []},
    "wide": {"actor__hidden_dims": [130, 7], "critic__hidden_dims": [3, 65, 33]},
    "several_groups": {"obs_groups__actor": ["critic", "policy"], "obs_groups__critic": ["critic"]},
    "different_activations": {"actor__activation": "tanh", "critic__activation": "relu"},
    "log_std": {"distribution__std_type": "log", "distribution__init_std": 0.6},
    "std_at_its_bound": {"distribution__init_std": 0.3, "distribution__std_range": (0.2, 0.3)},
    "std_beyond_its_bound": {"distribution__init_std": 0.5, "distribution__std_range": (0.2, 0.3)},
    "log_std_in_range": {"distribution__std_type": "log", "distribution__std_range": (0.9, 1.05)},
    "fixed_std": {"distribution__learn_std": False},
    "unclipped_value_loss": {"use_clipped_value_loss": False},
    "advantages_by_minibatch": {"normalize_advantage_per_mini_batch": True},
    "fixed_learning_rate": {"schedule": "fixed"},
    "no_desired_kl": {"desired_kl": None},
    "coefficients": {"entropy_coef": 0.3, "value_loss_coef": 0.2, "clip_param": 0.03},
    "no_limit_of_the_norm": {"max_grad_norm": float("inf")},
    "small_norm": {"max_grad_norm": 0.01},
    "one_minibatch": {"num_mini_batches": 1},
    "many_minibatches": {"num_mini_batches": 30},
    "reshuffled": {"reshuffle_each_epoch": True},
    "adamw": {"optimizer": "adamw"},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.01},
    "rmsprop": {"optimizer": "rmsprop"},
    "rnd": {"rnd_cfg": {"num_outputs": 4, "predictor_hidden_dims": [8], "target_hidden_dims": [8]}},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_updates_equal_the_eager_engine(make_pair, name):
    """Law: parameters, losses, learning rate and optimizer state after whole updates agree with the eager engine's."""
    make_pair(engine="fused", **SETTINGS[name]).assert_same_after(engine="fused")


@pytest.mark.parametrize("activation", _activations.NUMBERS)
def test_every_activation(make_pair, activation):
    """Law: every activation that a configuration can name is known to the kernel."""
    make_pair(engine="fused", models__activation=activation).assert_same_after(updates=1, engine="fused")


def test_engines_may_change_between_updates(make_pair):
    """Law: either engine goes on from where the other stopped, with the optimizer state that it left."""
    pair = make_pair()
    pair.assert_same_after(updates=1, engine="fused")
    # A critic's: an actor with hooks draws its actions by itself, too.
    handle = pair.tested.critic.register_forward_hook(lambda *_: None)
    with pytest.warns(RuntimeWarning, match="engine eager takes over from fused .the critic has a hook"):
        pair.assert_same_after(updates=1, engine="eager")
    handle.remove()
    with pytest.warns(RuntimeWarning, match="engine fused takes over from eager"):
        pair.assert_same_after(updates=1, engine="fused")


def test_checkpoints_are_those_of_the_eager_engine(make_pair):
    """Law: a checkpoint of one engine continues on the other."""
    pair = make_pair()
    pair.assert_same_after(updates=1, engine="fused")
    other = make_pair()
    other.tested.load(pair.eager.save(), None, True)
    other.eager.load(pair.tested.save(), None, True)
    other.assert_same_after(updates=1, engine="fused")


class Scaled(torch.optim.Adam):
    """An optimizer of one's own: half a step."""

    def step(self, closure=None):
        """Move half as far as Adam."""
        before = [parameter.detach().clone() for parameter in self.param_groups[0]["params"]]
        super().step(closure)
        with torch.no_grad():
            for parameter, old in zip(self.param_groups[0]["params"], before, strict=True):
                parameter.lerp_(old, 0.5)


def set_scheduler(alg):
    """A learning-rate scheduler of torch wraps the step of the optimizer."""
    torch.optim.lr_scheduler.StepLR(alg.optimizer, 3)


def set_step_hook(alg):
    """A hook that keeps a parameter from learning."""

    def stop_bias(*_):
        alg.actor.mlp[0].bias.grad.zero_()

    alg.optimizer.register_step_pre_hook(stop_bias)


OPTIMIZERS = {
    "own_class": lambda alg: setattr(alg, "optimizer", Scaled(alg.optimizer.param_groups[0]["params"], lr=1e-3)),
    "amsgrad": lambda alg: alg.optimizer.param_groups[0].update(amsgrad=True),
    "step_hook": set_step_hook,
    "weight_decay": lambda alg: alg.optimizer.param_groups[0].update(weight_decay=0.1),
    "scheduler": set_scheduler,
    "betas": lambda alg: alg.optimizer.param_groups[0].update(betas=(0.5, 0.9), eps=1e-3),
}


@pytest.mark.parametrize("change", OPTIMIZERS)
def test_other_optimizers_take_their_own_step(make_pair, change):
    """Law: an optimizer with settings, hooks or code of its own is stepped as it is, with gradients of the kernel."""
    pair = make_pair()
    for alg in pair:
        OPTIMIZERS[change](alg)
    pair.assert_same_after(engine="fused")


def test_threads_do_not_change_results(make_pair):
    """Law: parameters after an update are the same bits with any number of threads."""
    results = []
    for threads in (1, 3):
        pair = make_pair(models__hidden_dims=[200, 100], num_mini_batches=1)
        pair.rollout(0)
        torch.set_num_threads(threads)
        pair.tested.update()
        results.append([p.detach().clone() for p in pair.tested.actor.parameters()])
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("level", ["baseline", "avx2"])
def test_every_simd_level(level):
    """Law: the kernels of the lower SIMD levels learn the same; the level is chosen when a process starts."""
    names = "defaults or wide or log_std or advantages_by_minibatch"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        f"equal and ({names})",
    ]
    result = subprocess.run(
        command, env={**os.environ, "RSLCORE_SIMD": level}, capture_output=True, text=True, timeout=HANG, check=False
    )
    assert result.returncode == 0, result.stdout[-2000:]


def raw_arguments(pair):
    """What the engine calls the raw operator with for one minibatch."""
    from rslcore.engine.fused import _job

    pair.rollout(0)
    kernel = MinibatchKernel(_job(pair.tested))
    batch = next(iter(pair.tested._mini_batches()))
    noise = pair.tested.actor.distribution.std_param
    fields = kernel._fields(batch)
    return [*fields, *kernel._models, noise.detach().clone(), *kernel._noise, *kernel._settings, torch.empty(4)]


def flatten(arguments):
    """Tensors within the arguments, with their place."""
    for i, argument in enumerate(arguments):
        if isinstance(argument, torch.Tensor):
            yield (i,), argument
        elif isinstance(argument, list):
            yield from (((i, j), x) for j, x in enumerate(argument))


def test_guards_of_the_raw_operator(make_pair):
    """Law: a tensor of another size or dtype in any place is refused, and nothing is written."""
    arguments = raw_arguments(make_pair())
    op = torch.ops.rslcore.ppo_minibatch.default
    op(*arguments)
    for place, tensor in flatten(arguments):
        for wrong in (
            tensor.detach().double(),
            tensor.detach().flatten()[:-1],
            tensor.detach()[None].repeat(2, *[1] * tensor.dim()),
        ):
            changed = [list(a) if isinstance(a, list) else a for a in arguments]
            if len(place) == 1:
                changed[place[0]] = wrong
            else:
                changed[place[0]][place[1]] = wrong
            terms = changed[-1].fill_(7.0) if place != (len(arguments) - 1,) else arguments[-1].fill_(7.0)
            with pytest.raises(RuntimeError, match="ppo_minibatch: "):
                op(*changed)
            assert (terms == 7.0).all()


def test_without_the_compiled_library_the_eager_engine_runs(make_pair, monkeypatch):
    """Law: where nothing is compiled, the eager engine runs and the reason is the library's."""
    monkeypatch.setitem(_library.errors, "cpu", "it was not built")
    pair = make_pair()
    assert pair.tested.engine.name == "eager" and "it was not built" in pair.tested.engine_reason
