# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the actions that PPO draws."""

from __future__ import annotations

import re

import pytest
import torch
from tensordict import TensorDict

from rslcore import ops
from rslcore.algorithms import PPO
from rslcore.algorithms.sampling import ActionSampler
from rslcore.models import MLPModel, RNNModel
from rslcore.modules import GaussianDistribution
from rslcore.storage import RolloutStorage

N, A = 37, 3
OBS = TensorDict({"policy": torch.randn(N, 5, generator=torch.Generator().manual_seed(0))}, batch_size=[N])
GROUPS = {"actor": ["policy"], "critic": ["policy"]}


class SquashedModel(MLPModel):
    """A model with a forward of its own."""

    def forward(self, *args, **kwargs):
        """Squash the output."""
        return super().forward(*args, **kwargs).tanh()


class ShiftedDistribution(GaussianDistribution):
    """A distribution of one's own."""

    def sample(self):
        """Shift the samples."""
        return super().sample() + 5.0


def make_actor(cls: type[MLPModel] = MLPModel, distribution: str | type = "GaussianDistribution") -> MLPModel:
    """A policy with weights that are always the same."""
    torch.manual_seed(0)
    return cls(OBS, GROUPS, "actor", A, hidden_dims=[8], distribution_cfg={"class_name": distribution})


def make_ppo(seed: int = 1, **settings) -> PPO:
    """PPO that was made under a seed of torch's generator."""
    actor, critic = make_actor(), MLPModel(OBS, GROUPS, "critic", 1, hidden_dims=[8])
    torch.manual_seed(seed)
    return PPO(actor, critic, RolloutStorage("rl", N, 4, OBS, [A]), **settings)


@pytest.mark.parametrize("model", [MLPModel, RNNModel])
def test_actions_are_those_of_the_operator(model: type[MLPModel]) -> None:
    """Mean + std * noise under (seed, offset); log-probability and parameters are those of the distribution."""
    actor, sampler = make_actor(model), ActionSampler(seed=3)
    before = torch.get_rng_state()
    with torch.inference_mode():
        for offset in range(3):
            actions, log_prob = sampler.act(actor, OBS)
            mean, std = actor.output_distribution_params
            expected, _ = ops.gaussian_sample(mean, std, seed=3, offset=offset)
            assert torch.equal(actions, expected)
            torch.testing.assert_close(log_prob, actor.get_output_log_prob(actions), rtol=1e-5, atol=1e-5)
    assert torch.equal(torch.get_rng_state(), before)


def hooked(actor: MLPModel) -> MLPModel:
    """With a forward hook."""
    actor.register_forward_hook(lambda module, arguments, output: output * 1.0)
    return actor


def replaced(actor: MLPModel) -> MLPModel:
    """With a method replaced on the object."""
    actor.distribution.sample = lambda: GaussianDistribution.sample(actor.distribution)
    return actor


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_actor(SquashedModel),
        lambda: make_actor(distribution=ShiftedDistribution),
        lambda: make_actor(distribution="BetaDistribution"),
        lambda: make_actor(distribution="HeteroscedasticGaussianDistribution"),
        lambda: hooked(make_actor()),
        lambda: replaced(make_actor()),
        lambda: torch.compile(make_actor(), backend="eager"),
    ],
    ids=["forward", "distribution", "beta", "heteroscedastic", "hook", "method", "compiled"],
)
def test_what_is_not_exactly_known_draws_by_itself(make) -> None:
    """Subclasses, hooks, replaced methods and compiled models behave as without the sampler, from torch's generator."""
    actor = make()
    sampler = ActionSampler(seed=3)
    with torch.no_grad():
        torch.manual_seed(5)
        actions, log_prob = sampler.act(actor, OBS)
        torch.manual_seed(5)
        expected = actor(OBS, stochastic_output=True)
        assert torch.equal(actions, expected)
        assert torch.equal(log_prob, actor.get_output_log_prob(expected))
    assert sampler.offset == 0


def test_seed_is_that_of_torch() -> None:
    """The same seed gives the same actions, another one others, and one seed never the same twice."""
    first, again, other = make_ppo(1), make_ppo(1), make_ppo(2)
    actions = first.act(OBS)
    assert torch.equal(again.act(OBS), actions)
    assert not torch.equal(other.act(OBS), actions)
    assert not torch.equal(first.act(OBS), actions)


def test_ranks_draw_apart() -> None:
    """Processes of one seed draw uncorrelated actions, also after a checkpoint of rank 0 was loaded by all."""
    ranks = [make_ppo(multi_gpu_cfg={"global_rank": rank, "world_size": 3}) for rank in range(3)]
    for rank in ranks:
        rank.load(ranks[0].save(), None, True)
    noise = torch.stack([rank.act(OBS).flatten() - rank.actor.output_mean.flatten() for rank in ranks])
    assert float(torch.corrcoef(noise).fill_diagonal_(0).abs().max()) < 0.4


def test_saved_state_continues() -> None:
    """A loaded algorithm draws what the saved one would have drawn; a file without the state leaves it as it was."""
    saved = make_ppo(1)
    saved.act(OBS)
    content = saved.save()
    loaded, kept = make_ppo(2), make_ppo(2)
    loaded.load(content, None, True)
    assert torch.equal(loaded.act(OBS), saved.act(OBS))
    kept.load({key: value for key, value in content.items() if key != "sampling_state"}, None, True)
    assert kept.sampler.state_dict() == make_ppo(2).sampler.state_dict()


def test_without_sampler_torch_draws() -> None:
    """`sampler = None` draws from torch's generator, and saves no state of its own."""
    ppo = make_ppo()
    ppo.sampler = None
    torch.manual_seed(7)
    actions = ppo.act(OBS)
    torch.manual_seed(7)
    assert torch.equal(ppo.actor(OBS, stochastic_output=True), actions)
    assert "sampling_state" not in ppo.save()


def test_nan_is_told() -> None:
    """Weights that are NaN end in the distribution's own error, not in actions that are NaN."""
    ppo = make_ppo()
    with torch.no_grad():
        ppo.actor.mlp[0].weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match=re.escape("GaussianDistribution: `mean` must be finite to sample")):
        ppo.act(OBS)
