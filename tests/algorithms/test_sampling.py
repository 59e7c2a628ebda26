# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the actions that PPO draws."""

from __future__ import annotations

import copy
import pickle
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
GAUSSIAN = {"class_name": "GaussianDistribution"}


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
    settings = {"hidden_dims": [8], "obs_normalization": True}
    return cls(OBS, GROUPS, "actor", A, **settings, distribution_cfg={"class_name": distribution})


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


def roll_out(ppo: PPO, steps: int = 4, start: int = 0) -> dict[str, torch.Tensor]:
    """A rollout with observations that are always the same; everything the storage holds of the acting."""
    generator = torch.Generator().manual_seed(start)
    with torch.inference_mode():
        for _ in range(steps):
            ppo.act(TensorDict({"policy": torch.randn(N, 5, generator=generator)}, batch_size=[N]))
            ppo.process_env_step(OBS, torch.ones(N), torch.zeros(N), {})
    storage = ppo.storage
    mean, std = storage.distribution_params
    fields = {"actions": storage.actions, "log_prob": storage.actions_log_prob, "values": storage.values}
    return {name: x[:steps].clone() for name, x in {**fields, "mean": mean, "std": std}.items()}


def test_known_models_act_by_one_operator() -> None:
    """The storage holds what the models' own code gives, in every rollout, whatever was learned in between."""
    fast, plain = make_ppo(), make_ppo(engine="eager")
    for start in range(3):
        one, other = roll_out(fast, start=start), roll_out(plain, start=start)
        assert fast._policy_steps.reason == ""
        assert plain._policy_steps.reason == "the eager engine was asked for"
        for name, x in one.items():
            torch.testing.assert_close(x, other[name], rtol=1e-5, atol=1e-5)
        assert torch.equal(fast.actor.output_mean, one["mean"][-1])
        assert torch.equal(fast.actor.output_std, one["std"][-1])
        for ppo in (fast, plain):
            ppo.storage.clear()
            with torch.no_grad():
                ppo.actor.mlp[0].weight.mul_(1.1)
                ppo.actor.distribution.std_param.mul_(0.7)
                ppo.critic.mlp[2].bias.add_(0.1)
                ppo.actor.update_normalization(OBS)
    assert fast.sampler.offset == plain.sampler.offset == 12


def other_storage(ppo: PPO) -> None:
    """Buffers that somebody else put there."""
    ppo.storage.actions = torch.zeros(4, N, A)
    ppo.storage.values = torch.zeros(N, 4, 1).transpose(0, 1)


def other_weights(ppo: PPO) -> None:
    """A layer with another parameter."""
    ppo.critic.mlp[2].weight = torch.nn.Parameter(ppo.critic.mlp[2].weight.detach() * 2.0)


def other_moments(ppo: PPO) -> None:
    """A normalizer with another buffer."""
    ppo.actor.obs_normalizer._mean = ppo.actor.obs_normalizer._mean + 0.5


def other_eps(ppo: PPO) -> None:
    """A normalizer with another setting."""
    ppo.actor.obs_normalizer.eps = 0.5


@pytest.mark.parametrize("change", [other_storage, other_weights, other_moments, other_eps])
def test_what_is_replaced_is_followed(change) -> None:
    """Tensors that are put in place of others between rollouts are those that are read and written."""
    fast, plain = (make_ppo(engine=engine) for engine in ("auto", "eager"))
    for ppo in (fast, plain):
        roll_out(ppo)
        ppo.storage.clear()
        change(ppo)
    one, other = roll_out(fast), roll_out(plain)
    assert fast._policy_steps.reason == ""
    for name, x in one.items():
        torch.testing.assert_close(x, other[name], rtol=1e-5, atol=1e-5)


def test_noise_that_changes_within_a_rollout_is_followed() -> None:
    """Weights and standard deviation are those of the present step, as when a policy is loaded in the middle."""
    fast, plain = (make_ppo(engine=engine) for engine in ("auto", "eager"))
    results = []
    for ppo in (fast, plain):
        roll_out(ppo, steps=2)
        with torch.no_grad():
            ppo.actor.distribution.std_param.mul_(0.5)
            ppo.actor.mlp[0].weight.mul_(2.0)
        roll_out(ppo, steps=2, start=1)
        storage = ppo.storage
        results.append((*storage.distribution_params, storage.actions, storage.actions_log_prob))
    assert fast._policy_steps.reason == ""
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def global_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook on all modules."""
    hooks = torch.nn.modules.module._global_forward_hooks
    monkeypatch.setitem(hooks, 0, lambda module, _, y: torch.full_like(y, 7.0) if type(module) is MLPModel else None)


CLASSES = {
    "global_hook": global_hook,
    "forward": lambda patch, own=MLPModel.forward: patch.setattr(
        MLPModel, "forward", lambda self, *args, **kwargs: own(self, *args, **kwargs) + 7.0
    ),
    "sample": lambda patch: patch.setattr(GaussianDistribution, "sample", lambda self: torch.full((N, A), 42.0)),
    "log_prob": lambda patch: patch.setattr(GaussianDistribution, "log_prob", lambda self, y: y.sum(-1)),
}


@pytest.mark.parametrize("change", CLASSES)
def test_what_is_replaced_in_a_class_acts(monkeypatch, change) -> None:
    """A method replaced in a class, or a hook on all modules, decides over actions and log-probabilities."""
    actor, sampler = make_actor(), ActionSampler(seed=3)
    CLASSES[change](monkeypatch)
    with torch.no_grad():
        torch.manual_seed(5)
        actions, log_prob = sampler.act(actor, OBS)
        torch.manual_seed(5)
        expected = actor(OBS, stochastic_output=True)
    assert torch.equal(actions, expected)
    assert torch.equal(log_prob, actor.get_output_log_prob(expected))
    assert sampler.offset == 0


def test_an_inherited_method_that_is_set_on_a_class_acts(monkeypatch) -> None:
    """The log-probability of a model's class counts where the class itself had only inherited one."""
    monkeypatch.setattr(RNNModel, "get_output_log_prob", lambda self, y: y.sum(-1))
    actor, sampler = make_actor(RNNModel), ActionSampler(seed=3)
    with torch.no_grad():
        actions, log_prob = sampler.act(actor, OBS)
    assert torch.equal(log_prob, actions.sum(-1))
    assert sampler.offset == 0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda ppo: pickle.loads(pickle.dumps(ppo))], ids=["copy", "pickle"])
def test_a_copy_acts_with_its_own_tensors(copied) -> None:
    """A copy of an algorithm goes on as the original would, and leaves the original alone."""
    ppo = make_ppo()
    roll_out(ppo)
    ppo.storage.clear()
    ppo.act(OBS)
    other = copied(ppo)
    ppo.storage.clear()
    other.storage.clear()
    kept = [x.clone() for x in (ppo.storage.actions, ppo.storage.values, ppo.storage.observations["policy"])]
    with torch.no_grad():
        other.critic.mlp[2].bias.add_(1.0)
    values = roll_out(other, start=3)["values"]
    assert other._policy_steps.reason == ""
    now = (ppo.storage.actions, ppo.storage.values, ppo.storage.observations["policy"])
    assert all(map(torch.equal, kept, now))
    one = roll_out(ppo, start=3)
    torch.testing.assert_close(values, one["values"] + 1.0)
    assert torch.equal(other.storage.actions, ppo.storage.actions)


def freeze(ppo: PPO) -> None:
    """With a parameter that is not learned."""
    ppo.actor.mlp[0].weight.requires_grad_(False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda ppo: hooked(ppo.actor), "the actor has a hook"),
        (lambda ppo: replaced(ppo.actor), "the actor has a replaced method of its distribution"),
        (lambda ppo: hooked(ppo.critic), "the critic has a hook"),
        (freeze, "the actor has a frozen parameter: mlp.0.weight"),
        (lambda ppo: setattr(ppo, "actor", make_actor(SquashedModel)), "the actor is a subclass of MLPModel"),
        (
            lambda ppo: setattr(ppo, "actor", make_actor(distribution=ShiftedDistribution)),
            "the actor has another distribution: ShiftedDistribution",
        ),
        (lambda ppo: setattr(ppo, "sampler", None), "actions are drawn otherwise"),
    ],
    ids=["hook", "method", "critic", "frozen", "subclass", "distribution", "sampler"],
)
def test_what_is_not_known_acts_by_itself(change, reason: str) -> None:
    """Anything but plain models acts by its own code, from the next rollout on, with a reason in words."""
    ppo = make_ppo()
    roll_out(ppo)
    ppo.storage.clear()
    change(ppo)
    torch.manual_seed(5)
    one = roll_out(ppo)
    assert ppo._policy_steps.reason.startswith(reason)
    plain = make_ppo(engine="eager")
    roll_out(plain)
    plain.storage.clear()
    change(plain)
    torch.manual_seed(5)
    for name, x in roll_out(plain).items():
        assert torch.equal(one[name], x)


def test_observations_of_another_dtype_act_by_themselves() -> None:
    """What the operator does not take, the models convert themselves."""
    obs = OBS.double()
    actor = MLPModel(obs, GROUPS, "actor", A, [8], obs_normalization=True, distribution_cfg=GAUSSIAN)
    critic = MLPModel(obs, GROUPS, "critic", 1, [8], obs_normalization=True)
    ppo = PPO(actor, critic, RolloutStorage("rl", N, 4, obs, [A]))
    ppo.act(obs)
    assert ppo._policy_steps.reason == "policy_step: `actor_obs[0]` must be float32, got float64"


def test_last_values_are_those_of_the_critic() -> None:
    """The values that a rollout ends with are the critic's to rounding, with and without a normalizer and a kernel."""
    ppo = make_ppo()
    normalizing = MLPModel(OBS, GROUPS, "critic", 1, hidden_dims=[8], obs_normalization=True)
    normalizing.update_normalization(OBS)
    for critic in (ppo.critic, normalizing):
        values = ppo._policy_steps.values(critic, OBS)
        assert values is not None
        # two layers of at most 8 products, each rounded in its own order: 16 roundings of values below 2
        torch.testing.assert_close(values, critic(OBS), rtol=0, atol=32 * torch.finfo(torch.float32).eps)
    torch.testing.assert_close(  # what is stored of them is float32 too
        ppo._policy_steps.values(ppo.critic, OBS.apply(torch.Tensor.double)), ppo._policy_steps.values(ppo.critic, OBS)
    )
    assert ppo._policy_steps.values(ppo.critic, TensorDict({"policy": torch.zeros(N, 6)}, batch_size=[N])) is None
    ppo.critic.register_forward_hook(lambda *_: None)
    assert ppo._policy_steps.values(ppo.critic, OBS) is None
