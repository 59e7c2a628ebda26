# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From gradients to new parameters: what follows the gradients of a minibatch in every engine that makes its own."""

from __future__ import annotations

import itertools
from operator import attrgetter, methodcaller
from typing import Any

import torch
from torch.optim import optimizer as torch_optimizer

from rslcore import ops
from rslcore.engine.learner import Learner
from rslcore.utils import cpu_by_default

_PLAIN = {
    "amsgrad": False,
    "maximize": False,
    "capturable": False,
    "differentiable": False,
}
"""Options of Adam that must have these values for the operator to take its step."""

_STATE = ("exp_avg", "exp_avg_sq", "step")

_read_kind = attrgetter("dtype", "device")
_KIND = (torch.float32, torch.device("cpu"))
_read_contiguous = methodcaller("is_contiguous")


class OptimizerStep:
    """Averages gradients over all processes, limits their norm and steps all optimizers.

    On the CPU, a plain Adam or AdamW that steps all of the gradient groups does so in one operator,
    :func:`rslcore.ops.clip_adam`, with the optimizer's own state; any other optimizer as torch does it. Made for one
    update.
    """

    def __init__(self, learner: Learner) -> None:
        """Look at the optimizers and the parameters, which must have gradients by now."""
        self._learner = learner
        self._groups = [[p for p in group if p.grad is not None] for group in learner.gradient_groups()]
        self._optimizers = list(learner.optimizers())
        self._sizes = [len(group) for group in self._groups]
        self._lists = _plain_adam_lists(self._optimizers[0], list(itertools.chain.from_iterable(self._groups)))

    def adam_arguments(self) -> tuple[Any, ...] | None:
        """What Adam's step is made of, but for the learning rate, in the order of the operator's arguments.

        Returns:
            Parameters, gradients, both running means and the steps taken; the sizes of the groups whose norm is limited
            together; that limit, both betas, eps, weight decay, and whether it is decoupled. None where the optimizer
            must step by itself, or not alone.
        """
        if self._lists is None or len(self._optimizers) > 1 or self._learner.is_multi_gpu:
            return None
        optimizer = self._optimizers[0]
        settings = optimizer.param_groups[0]
        betas = settings["betas"]
        numbers = (self._learner.max_grad_norm, *betas, settings["eps"], settings["weight_decay"])
        return (*self._lists, self._sizes, *map(float, numbers), _is_decoupled(optimizer))

    def take(self) -> None:
        """Take a step with the gradients that all parameters hold, which are limited in place."""
        learner, optimizers = self._learner, self._optimizers
        if learner.is_multi_gpu:
            learner.reduce_parameters()
        if self._lists is not None:
            settings = optimizers[0].param_groups[0]
            ops.clip_adam(
                *self._lists,
                group_sizes=self._sizes,
                max_norm=learner.max_grad_norm,
                lr=settings["lr"],
                betas=settings["betas"],
                eps=settings["eps"],
                weight_decay=settings["weight_decay"],
                decoupled_weight_decay=_is_decoupled(optimizers[0]),
            )
            optimizers = optimizers[1:]
        else:
            for group in self._groups:
                torch.nn.utils.clip_grad_norm_(group, learner.max_grad_norm, foreach=True)
        with cpu_by_default():  # a first step makes the optimizer's state
            for optimizer in optimizers:
                optimizer.step()


def _step_of(optimizer: type[torch.optim.Optimizer]) -> Any:  # noqa: ANN401
    """The method that takes a step; torch wraps that of a class when it makes the first optimizer of it."""
    step: Any = optimizer.step
    return step.__wrapped__ if getattr(step, "hooked", False) else step


_STEPS: dict[type[torch.optim.Optimizer], Any] = {
    adam: _step_of(adam) for adam in (torch.optim.Adam, torch.optim.AdamW)
}
_ZERO_GRAD = torch.optim.Optimizer.zero_grad


def keeps_gradients(optimizer: torch.optim.Optimizer) -> bool:
    """Whether gradients may outlive a minibatch, as the optimizer has a ``zero_grad`` of its own."""
    return "zero_grad" in vars(optimizer) or type(optimizer).zero_grad is not _ZERO_GRAD


def is_plain_adam(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer is Adam or AdamW, its step unchanged by options, hooks, schedulers or scalers."""
    if type(optimizer) not in (torch.optim.Adam, torch.optim.AdamW) or len(optimizer.param_groups) != 1:
        return False
    own: dict[str, Any] = vars(optimizer)
    if {"step", "grad_scale", "found_inf"} & own.keys():
        return False
    if _step_of(type(optimizer)) is not _STEPS[type(optimizer)]:
        return False
    hooks = (
        optimizer._optimizer_step_pre_hooks,
        optimizer._optimizer_step_post_hooks,
        torch_optimizer._global_optimizer_pre_hooks,
        torch_optimizer._global_optimizer_post_hooks,
    )
    settings = optimizer.param_groups[0]
    plain = all(settings[name] == value for name, value in _PLAIN.items())
    numbers = (settings["lr"], *settings["betas"])
    return plain and not any(hooks) and not any(isinstance(number, torch.Tensor) for number in numbers)


def _plain_adam_lists(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> list[list[Any]] | None:
    """The parameters with their gradients and their entries of `_STATE`, begun where they were not.

    None unless the optimizer is a plain Adam of exactly these parameters, all float32 on the CPU.
    """
    if not is_plain_adam(optimizer):
        return None
    stepped = [parameter for parameter in optimizer.param_groups[0]["params"] if parameter.grad is not None]
    if len(stepped) != len(parameters) or set(map(id, stepped)) != set(map(id, parameters)):
        return None
    known = [optimizer.state.get(parameter) or {} for parameter in parameters]
    tensors: list[Any] = [*parameters, *(p.grad for p in parameters), *(x[k] for x in known for k in _STATE if k in x)]
    if set(map(_read_kind, tensors)) - {_KIND} or not all(map(_read_contiguous, tensors)):
        return None
    state = [_state_of(optimizer, parameter) for parameter in parameters]
    return [
        parameters,
        [parameter.grad for parameter in parameters],
        *([entry[name] for entry in state] for name in _STATE),
    ]


def _is_decoupled(optimizer: torch.optim.Optimizer) -> bool:
    """Whether weight decay shrinks the parameters instead of being added to the gradients."""
    return bool(optimizer.param_groups[0].get("decoupled_weight_decay", type(optimizer) is torch.optim.AdamW))


def _state_of(optimizer: torch.optim.Optimizer, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor]:
    """The optimizer's state of a parameter, begun as torch begins it."""
    state = optimizer.state[parameter]
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32, device="cpu")
        state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return state
