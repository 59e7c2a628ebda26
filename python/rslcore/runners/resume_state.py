# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a checkpoint holds beyond rsl_rl's, so that a resumed run continues exactly."""

from __future__ import annotations

import contextlib
import copy
import warnings
from typing import Any

import torch

from rslcore import checkpoint
from rslcore.logging import Logger

_MODELS = ("actor", "critic", "student", "teacher")
"""Models of an algorithm, by the names that checkpoints have for them."""


class ResumeState:
    """State of environment, random generators and statistics, kept from ``load`` until ``learn`` starts.

    Content, all tensors and plain values: ``finished`` (whether iteration "iter" is done), ``logger``, ``random``,
    ``env`` (None where the environment cannot save its state), ``num_envs``, and ``hidden_states`` of the models.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        """Keep the content of a checkpoint's "rslcore_state"."""
        self._state = state

    @staticmethod
    def check(state: Any, logger: Logger, alg: Any, device: torch.device | str) -> None:  # noqa: ANN401
        """Refuse a "rslcore_state" that cannot be continued from, before anything is changed.

        Raises:
            CheckpointError: A key is missing or of another kind, or its value makes no sense; the message names it.
        """
        random_state = checkpoint.random_state("cpu")
        random_state["python"]["gauss_next"] = None  # a number or None
        expected = {
            "finished": True,
            "logger": logger.state_dict(),
            "random": random_state,
            "env": None,
            "num_envs": 1,
        }
        checkpoint.check_structure("rslcore_state", expected, state)
        checkpoint.check_random_state(state["random"], device)
        hidden_states = state.get("hidden_states", {})
        checkpoint.check_structure("rslcore_state['hidden_states']", {}, hidden_states)
        for name, model in _recurrent_models(alg):
            _check_hidden_state(name, hidden_states.get(name), model, state["num_envs"])

    @staticmethod
    def capture(
        alg: Any,  # noqa: ANN401
        env: Any,  # noqa: ANN401
        logger: Logger,
        device: torch.device | str,
        *,
        finished: bool,
    ) -> dict[str, Any]:
        """Return the content of "rslcore_state" now.

        An environment state that is not made of tensors and plain values is left out, with a warning.
        """
        env_state = None
        if _saves_state(env):
            env_state = env.state_dict()
            unsafe = checkpoint.first_not_plain(env_state, "env.state_dict()")
            if unsafe is not None:
                env_state = None
                warnings.warn(
                    f"OnPolicyRunner.save: the state of the environment is left out, a resumed run starts new "
                    f"episodes: {unsafe} is neither a tensor nor a plain value",
                    stacklevel=3,
                )
        return {
            "finished": finished,
            "logger": logger.state_dict(),
            "random": checkpoint.random_state(device),
            "env": env_state,
            "num_envs": env.num_envs,
            # Of use only where the episodes go on.
            "hidden_states": {
                name: model.get_hidden_state() for name, model in _recurrent_models(alg) if env_state is not None
            },
        }

    def restore_env(self, env: Any, logger: Logger, global_rank: int) -> bool:  # noqa: ANN401
        """Continue the running episodes; returns False, and says why, where new ones have to begin.

        Only rank 0 has saved its environment; others would repeat its episodes.
        """
        state = self._state["env"]
        if global_rank != 0:
            return False
        if state is None or not _saves_state(env):
            reason = "the checkpoint has no state of it" if _saves_state(env) else "it cannot save its state"
        elif self._state["num_envs"] != env.num_envs:
            reason = f"the checkpoint is of {self._state['num_envs']} environments, this run has {env.num_envs}"
        else:
            before = None
            try:
                before = copy.deepcopy(env.state_dict())
                env.load_state_dict(state)
            except Exception as error:  # whatever a foreign environment raises, training can go on without its state
                reason = f"it refuses the saved state: {type(error).__name__}: {error}"
                with contextlib.suppress(Exception):  # half of it may have been taken over
                    env.load_state_dict(before)
            else:
                logger.load_running(self._state["logger"])
                return True
        logger.console.message(f"The environment starts new episodes: {reason}")
        return False

    def restore_hidden_states(self, alg: Any, device: torch.device | str, *, continues: bool) -> None:  # noqa: ANN401
        """Let recurrent models remember the running episodes; or nothing, where new ones have begun."""
        saved = self._state.get("hidden_states", {}) if continues else {}
        for name, model in _recurrent_models(alg):
            dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
            model.reset(hidden_state=_to(saved.get(name), device, dtype))

    def restore_random(self, device: torch.device | str, global_rank: int, world_size: int) -> None:
        """Continue the random generators; only rank 0 has saved them, the others keep the seeds they were given.

        It says so, and what else is not restored, where there are others.
        """
        if global_rank != 0:
            return
        checkpoint.restore_random_state(self._state["random"], device)
        if world_size > 1:
            warnings.warn(
                f"OnPolicyRunner.learn: the checkpoint holds the environment, the hidden states and the random "
                f"generators of rank 0 alone; the other {world_size - 1} of {world_size} processes start new episodes, "
                "with the seeds they were given. The run goes on, but not bit for bit as if it had not been stopped",
                stacklevel=4,
            )


def _saves_state(env: Any) -> bool:  # noqa: ANN401
    return callable(getattr(env, "state_dict", None)) and callable(getattr(env, "load_state_dict", None))


def _recurrent_models(alg: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    """The models of an algorithm that carry a hidden state, with their names."""
    models = [(name, getattr(alg, f"_raw_{name}", None)) for name in _MODELS]
    return [(name, model) for name, model in models if getattr(model, "is_recurrent", False)]


def _check_hidden_state(name: str, saved: Any, model: Any, num_envs: int) -> None:  # noqa: ANN401
    """Refuse a hidden state that is not of a model's own LSTM or GRU."""
    network = getattr(getattr(model, "rnn", None), "rnn", None)
    if saved is None or not isinstance(network, torch.nn.RNNBase):
        return
    shape = [network.num_layers, num_envs, network.hidden_size]
    tensors = saved if isinstance(saved, tuple) else (saved,)
    fits = len(tensors) == (2 if network.mode == "LSTM" else 1) and all(
        isinstance(x, torch.Tensor) and x.is_floating_point() and list(x.shape) == shape and bool(x.isfinite().all())
        for x in tensors
    )
    if not fits:
        got = [list(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__ for x in tensors]
        raise checkpoint.CheckpointError(
            f"checkpoint: rslcore_state['hidden_states']['{name}'] of this {network.mode} must be finite and {shape}, "
            f"got {got}"
        )


def _to(hidden_state: Any, device: torch.device | str, dtype: torch.dtype) -> Any:  # noqa: ANN401
    if isinstance(hidden_state, torch.Tensor):
        return hidden_state.to(device, dtype)
    return hidden_state if hidden_state is None else tuple(_to(state, device, dtype) for state in hidden_state)
