# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What an environment must not return is refused by name, before anything is learned from it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from pendulum import PendulumVecEnv, make_cfg
from tensordict import TensorDict

from rslcore.runners import OnPolicyRunner, step_checks
from rslcore.runners.step_checks import StepChecks


class Changed:
    """Changes what ``step`` and ``get_observations`` of a pendulum return."""

    def __init__(self, change: Any = None, first: Any = None) -> None:
        self.env = PendulumVecEnv()
        self.change, self.first = change, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def get_observations(self) -> Any:
        """The observations, changed."""
        obs = self.env.get_observations()
        return self.first(obs) if self.first else obs

    def step(self, actions: torch.Tensor) -> Any:
        """Step, and change the result."""
        result = self.env.step(actions)
        return self.change(*result) if self.change else result


def learn(env: Any) -> None:
    """One iteration of a new runner."""
    OnPolicyRunner(env, make_cfg(), None, "cpu").learn(1)


def infinite(obs: TensorDict, value: float = float("inf")) -> TensorDict:
    """The same with an infinite number in environments 5 and 11."""
    obs["policy"][[5, 11], 1] = value
    return obs


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda obs, r, d, e: (infinite(obs), r, d, e),
            ValueError,
            r"observation group 'policy' must not contain NaN or inf, got inf in environment\(s\) 5, 11 at step 0",
        ),
        (
            lambda obs, r, d, e: (obs, r - torch.tensor(float("inf")), d, e),
            ValueError,
            r"rewards must not contain NaN or inf, got inf in environment\(s\) 0, 1, 2, .* and 8 more at step 0",
        ),
        (lambda obs, r, d, e: (obs, r, d, None), TypeError, "`extras` must be a dictionary, .* got NoneType"),
        (
            lambda obs, r, d, e: (obs, r.numpy(), d, e),
            TypeError,
            r"`rewards` must be a tensor \[16\], got ndarray; convert it, with torch.as_tensor",
        ),
        (lambda obs, r, d, e: (obs, r, d.tolist(), e), TypeError, r"`dones` must be a tensor \[16\], got list"),
        (
            lambda obs, r, d, e: (obs, r, d, {"time_outs": d[:1]}),
            ValueError,
            r"`extras\['time_outs'\]` must be \[16\], got \[1\]",
        ),
        (
            lambda obs, r, d, e: (obs, r, d, {"time_outs": np.zeros(16, bool)}),
            TypeError,
            r"`extras\['time_outs'\]` must be a tensor \[16\], got ndarray",
        ),
        (
            lambda obs, r, d, e: (obs, r, d, {"time_outs": d / 0}),
            ValueError,
            r"extras\['time_outs'\] must not contain NaN or inf, got NaN in environment\(s\) 0, 1, 2",
        ),
        (
            lambda obs, r, d, e: ({"policy": obs["policy"].numpy()}, r, d, e),
            TypeError,
            r"the observation group 'policy' must be a tensor, got numpy.ndarray; convert it, with torch.as_tensor",
        ),
        (
            lambda obs, r, d, e: (obs["policy"], r, d, e),
            TypeError,
            r"observations must be a TensorDict of observation groups, got torch.Tensor; return TensorDict\(",
        ),
    ],
)
def test_what_a_step_must_not_return(change: Any, error: type[Exception], message: str) -> None:
    """One error that names what came, and what was expected."""
    with pytest.raises(error, match=f"^env.step: {message}"):
        learn(Changed(change))


@pytest.mark.parametrize(
    ("first", "error", "message"),
    [
        (lambda obs: infinite(obs, -float("inf")), ValueError, r"group 'policy' .* got inf in environment\(s\) 5, 11"),
        (
            lambda obs: {"policy": obs["policy"].numpy()},
            TypeError,
            "the observation group 'policy' must be a tensor, got numpy.ndarray; convert it, with torch.as_tensor",
        ),
        (
            lambda obs: TensorDict({"policy": obs["policy"], "a": {"b": obs["policy"]}}, batch_size=[16]),
            TypeError,
            r"group 'a' must be a tensor, got tensordict.TensorDict; give its entries \['b'\] groups of their own",
        ),
        (
            lambda obs: {"policy": {"x": obs["policy"]}},
            TypeError,
            r"the observation group 'policy' must be a tensor, got dict; give its entries \['x'\] groups of their own",
        ),
        (
            lambda obs: obs["policy"].numpy(),
            TypeError,
            "observations must be a TensorDict .* got numpy.ndarray; return",
        ),
        (
            lambda obs: {"policy": obs["policy"]},
            TypeError,
            r"observations must be a TensorDict, got dict; return TensorDict\(observations, batch_size=\[16\]\)",
        ),
    ],
)
def test_what_observations_must_not_be(first: Any, error: type[Exception], message: str) -> None:
    """The same for those that a training starts from."""
    with pytest.raises(error, match=f"^env.get_observations: .*{message}"):
        learn(Changed(first=first))


@pytest.mark.parametrize(
    ("last", "error", "message"),
    [
        (
            lambda obs: {"policy": obs["policy"]},
            TypeError,
            r": observations must be a TensorDict, got dict; return TensorDict\(observations, batch_size=\[16\]\)",
        ),
        (lambda obs: obs[:3], ValueError, r" group 'policy' must be \[16, ...\], with a row for every .* got \[3, 3\]"),
    ],
)
def test_what_final_observations_must_not_be(last: Any, error: type[Exception], message: str) -> None:
    """The same for those that a value is bootstrapped from."""

    def step(obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any]) -> Any:
        return obs, rewards, dones, {"time_outs": torch.ones_like(dones), "final_obs": last(obs.clone())}

    cfg = make_cfg()
    cfg["algorithm"]["bootstrap_final_obs"] = True
    with pytest.raises(error, match=rf"^env.step: extras\['final_obs'\]{message}"):
        OnPolicyRunner(Changed(step), cfg, None, "cpu").learn(1)


def test_infinite_numbers_on_a_device_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is read per step, the end of the rollout names them too, beside groups without a number."""
    monkeypatch.setattr(step_checks, "_on_host", lambda tensor: False)
    checks = StepChecks(3, True)
    obs = {"policy": torch.zeros(3, 2), "none": torch.zeros(3, 0)}
    checks.check(obs, torch.zeros(3), torch.zeros(3), {}, 2, 0)
    assert checks.found() == 0
    obs["policy"][1, 0] = float("inf")
    checks.check(obs, torch.zeros(3), torch.zeros(3), {}, 2, 1)
    assert checks.found() == 1
    with pytest.raises(ValueError, match=r"group 'policy' .* NaN or inf, got either in environment\(s\) 1 at step 1"):
        checks.raise_if_nan(2)


def test_final_observations_that_are_those_after_the_reset_are_named() -> None:
    """An environment that hands out one buffer twice cannot have kept its last observations: a warning says so."""

    def one_buffer(obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any]) -> Any:
        return obs, rewards, dones, {**extras, "final_obs": obs}

    cfg = make_cfg(num_steps_per_env=45)
    cfg["algorithm"]["bootstrap_final_obs"] = True
    with pytest.warns(
        UserWarning, match=r"env.step: extras\['final_obs'\] group 'policy' is the same memory as the obs"
    ):
        OnPolicyRunner(Changed(one_buffer), cfg, None, "cpu").learn(1)
    with warnings.catch_warnings():  # before an episode has ended, both may be the same
        warnings.simplefilter("error")
        OnPolicyRunner(Changed(one_buffer), cfg | {"num_steps_per_env": 30}, None, "cpu").learn(1)
