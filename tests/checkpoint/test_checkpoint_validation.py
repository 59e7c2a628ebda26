# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the check that a checkpoint fits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rslcore import checkpoint


def make(width: int = 4) -> tuple[dict[str, Any], torch.optim.Optimizer]:
    """Two layers and an Adam that has made one step."""
    actor, critic = torch.nn.Linear(3, width), torch.nn.Linear(3, 1)
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()])
    (actor(torch.ones(2, 3)).sum() + critic(torch.ones(2, 3)).sum()).backward()
    optimizer.step()
    content = {
        "actor_state_dict": actor.state_dict(),
        "critic_state_dict": critic.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    return content, optimizer


def test_a_checkpoint_fits_itself() -> None:
    """Nothing is refused when nothing differs."""
    content, optimizer = make()
    checkpoint.check_compatible(content, make()[0], optimizer=optimizer)


def test_wrong_shape_names_key_and_both_shapes() -> None:
    """A different width is named with key, expected and got; also when not strict, and not when it is not loaded."""
    content, optimizer = make(4)
    other, _ = make(5)
    for strict in (True, False):
        with pytest.raises(ValueError, match=r"actor_state_dict\['weight'\] must be \[4, 3\], got \[5, 3\]"):
            checkpoint.check_compatible(content, other, optimizer=optimizer, strict=strict)
    checkpoint.check_compatible(content, other, optimizer=optimizer, load_cfg={"critic": True})


def test_optimizer_state_must_match_its_parameters() -> None:
    """Moments of another shape are refused although group sizes agree; another number of parameters likewise."""
    content, optimizer = make(4)
    other, _ = make(5)
    with pytest.raises(ValueError, match=r"\['state'\]\[0\]\['exp_avg'\] must be \[4, 3\], got \[5, 3\]"):
        checkpoint.check_compatible(content, other, optimizer=optimizer, load_cfg={"optimizer": True})
    one = torch.optim.Adam([torch.nn.Parameter(torch.zeros(4, 3))])
    other["optimizer_state_dict"] = one.state_dict()
    with pytest.raises(ValueError, match=r"must be of \[4\] parameters per group, got \[1\]"):
        checkpoint.check_compatible(content, other, optimizer=optimizer, load_cfg={"optimizer": True})
    with pytest.raises(ValueError, match="not the state of a torch optimizer"):
        other["optimizer_state_dict"] = {"lr": 1.0}
        checkpoint.check_compatible(content, other, optimizer=optimizer, load_cfg={"optimizer": True})


OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize("saved", OPTIMIZERS)
@pytest.mark.parametrize("own", OPTIMIZERS)
def test_state_of_another_optimizer_is_refused(saved: str, own: str) -> None:
    """Every optimizer accepts its own state, new or used, and refuses that of every other one."""

    def stepped(name: str) -> torch.optim.Optimizer:
        parameter = torch.nn.Parameter(torch.zeros(2, 3))
        parameter.grad = torch.ones(2, 3)
        optimizer = OPTIMIZERS[name]([parameter], lr=1e-3)
        optimizer.step()
        return optimizer

    content = {"optimizer_state_dict": stepped(saved).state_dict()}
    for optimizer in (stepped(own), OPTIMIZERS[own]([torch.nn.Parameter(torch.zeros(2, 3))], lr=1e-3)):
        if saved == own:
            checkpoint.check_compatible({}, content, optimizer=optimizer)
        else:
            with pytest.raises(checkpoint.CheckpointError, match=r"\['param_groups'\]\[0\]\['"):
                checkpoint.check_compatible({}, content, optimizer=optimizer)


def test_incomplete_optimizer_state_is_refused() -> None:
    """A missing learning rate, a missing moment and a moment that is no tensor are named."""
    for part, key, message in (
        ("param_groups", "lr", r"\['param_groups'\]\[0\]\['lr'\] is missing, expected the settings of Adam"),
        ("state", "exp_avg", r"\['state'\]\[0\]\['exp_avg'\] is missing, expected the state of Adam"),
    ):
        content, optimizer = make()
        del content["optimizer_state_dict"][part][0][key]
        with pytest.raises(checkpoint.CheckpointError, match=message):
            checkpoint.check_compatible(content, content, optimizer=optimizer)
    content, optimizer = make()
    content["optimizer_state_dict"]["state"][0]["exp_avg"] = None
    with pytest.raises(checkpoint.CheckpointError, match=r"\['exp_avg'\] must be \[4, 3\], got NoneType"):
        checkpoint.check_compatible(content, content, optimizer=optimizer)


def test_nan_weights_are_refused() -> None:
    """A checkpoint of a diverged training names the entry that is NaN."""
    content, optimizer = make()
    diverged, _ = make()
    diverged["critic_state_dict"]["bias"].fill_(float("nan"))
    with pytest.raises(checkpoint.CheckpointError, match=r"critic_state_dict\['bias'\] must not contain NaN"):
        checkpoint.check_compatible(content, diverged, optimizer=optimizer)


def test_structure_names_the_key_that_differs() -> None:
    """Keys that are missing and values of another kind are refused by their whole path; more keys are no matter."""
    expected = {"a": {"n": 1, "t": torch.zeros(2)}, "any": None}
    checkpoint.check_structure("s", expected, {"a": {"n": 2.0, "t": torch.zeros(3), "more": 1}, "any": "x"})
    for found, message in (
        (3, "s must be a dict, got int"),
        ({"a": {"n": 1}, "any": 0}, r"s\['a'\]\['t'\] is missing, got the keys \['n'\]"),
        ({"a": {"n": "1", "t": 0}, "any": 0}, r"s\['a'\]\['n'\] must be a number, got str"),
        ({"a": {"n": 1, "t": 0}, "any": 0}, r"s\['a'\]\['t'\] must be a Tensor, got int"),
    ):
        with pytest.raises(checkpoint.CheckpointError, match=message):
            checkpoint.check_structure("s", expected, found)


def test_missing_and_surplus_entries_depend_on_strict() -> None:
    """Strict refuses missing and surplus entries by name, otherwise both pass."""
    content, optimizer = make()
    missing, surplus = make()[0], make()[0]
    del missing["actor_state_dict"]["bias"]
    surplus["critic_state_dict"]["scale"] = torch.ones(1)
    with pytest.raises(ValueError, match=r"actor_state_dict\['bias'\] is missing, expected \[4\]"):
        checkpoint.check_compatible(content, missing, optimizer=optimizer)
    with pytest.raises(ValueError, match=r"critic_state_dict has entries this model does not: \['scale'\]"):
        checkpoint.check_compatible(content, surplus, optimizer=optimizer)
    checkpoint.check_compatible(content, missing, optimizer=optimizer, strict=False)
    checkpoint.check_compatible(content, surplus, optimizer=optimizer, strict=False)


def test_another_kind_of_checkpoint_is_named() -> None:
    """A file of rsl_rl 3 or older, or anything else, is refused by the part that is missing."""
    content, optimizer = make()
    with pytest.raises(ValueError, match=r"no 'actor_state_dict'.*rsl_rl 3 or older"):
        checkpoint.check_compatible(content, {"model_state_dict": {}, "iter": 3}, optimizer=optimizer)
    with pytest.raises(ValueError, match="'actor_state_dict' must be a dict, got int"):
        checkpoint.check_compatible(content, content | {"actor_state_dict": 3}, optimizer=optimizer)
