# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.policy_step` against what rsl_rl 5.5.1 does in an env step: act, log-probability, value, store.

python benchmarks/ops/policy_step.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from _bench import Report
from rsl_rl.models import MLPModel as TheirModel
from tensordict import TensorDict

from rslcore import ops
from rslcore.models import MLPModel

SHAPES = {
    "XS": (64, [64, 64]),
    "M": (1_024, [128, 128, 128]),
    "S": (4_096, [512, 256, 128]),
}
"""Environments and hidden layers; 48 observations, 12 actions."""
OBS, ACTIONS = 48, 12


def models(model_class: Any, obs: TensorDict, hidden: list[int]) -> tuple[Any, Any]:  # noqa: ANN401
    """Actor and critic of either library."""
    groups = {"actor": ["policy"], "critic": ["policy"]}
    gaussian = {"class_name": "GaussianDistribution", "init_std": 1.0}
    return (
        model_class(obs, groups, "actor", ACTIONS, hidden, "elu", True, gaussian),
        model_class(obs, groups, "critic", 1, hidden, "elu", True),
    )


def call_by_call(actor: Any, critic: Any, obs: TensorDict, out: ops.PolicyStep) -> Callable[[], object]:  # noqa: ANN401
    """The models' own code, and the copies into the slot."""

    def run() -> None:
        actions = actor(obs, stochastic_output=True)
        results = (*actor.output_distribution_params, actions, actor.get_output_log_prob(actions), critic(obs))
        for target, result in zip(out, results, strict=True):
            target.copy_(result)

    return run


def network(model: MLPModel) -> ops.PolicyNetwork:
    """A model as the operator takes it."""
    layers: list[Any] = list(model.mlp)[::2]
    normalizer: Any = model.obs_normalizer
    weights, biases = [layer.weight for layer in layers], [layer.bias for layer in layers]
    return ops.PolicyNetwork(weights, biases, "elu", normalizer._mean, normalizer._var, normalizer.eps)


@torch.inference_mode()
def main() -> None:
    """Time every shape."""
    report = Report(__doc__.splitlines()[0])
    for name, (rows, hidden) in SHAPES.items():
        obs = TensorDict({"policy": torch.randn(rows, OBS)}, batch_size=[rows])
        groups = [obs["policy"]]
        mean, std, actions = (torch.empty(rows, ACTIONS) for _ in range(3))
        out = ops.PolicyStep(mean, std, actions, torch.empty(rows), torch.empty(rows, 1))
        actor, critic = models(MLPModel, obs, hidden)
        arguments = (groups, groups, network(actor), network(critic), torch.ones(ACTIONS))
        bound = ops.bind_policy_step(*arguments, out)
        report.add(
            f"policy_step {name}: {rows:,} environments, {hidden}",
            {
                "rslcore.ops.bind_policy_step": lambda bound=bound: bound(1, 2),
                "rsl_rl 5.5.1, its models": call_by_call(*models(TheirModel, obs, hidden), obs, out),
                "rslcore's models, call by call": call_by_call(actor, critic, obs, out),
                "rslcore.ops.policy_step(out=)": lambda arguments=arguments, out=out: ops.policy_step(
                    *arguments, seed=1, offset=2, out=out
                ),
            },
        )
    report.finish()


if __name__ == "__main__":
    main()
