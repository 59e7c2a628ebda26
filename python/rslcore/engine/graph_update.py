# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A whole update that never asks the host: what a CUDA graph captures, and what runs on any device without one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from rslcore.engine.graph_known import TERMS, KnownGradients, known_job
from rslcore.engine.graph_rates import DeviceRates, trained_parameters
from rslcore.engine.learner import Learner
from rslcore.utils import JointRead, cpu_by_default

MAX_TERMS = 15
"""Most terms that a rule may report."""


class StaticUpdate:
    """All gradient steps of an update, over buffers that stay where they are.

    Learning rates, KL divergences and reported terms stay on the device; :meth:`read` fetches what the host has to know
    in one go. Minibatches, gradients and activations live in memory that is used again by the next minibatch.

    With several processes the host has to average gradients between the backward pass and the step: there :meth:`body`
    yields, and what lies between two yields may be captured.
    """

    def __init__(self, learner: Learner, device: torch.device) -> None:
        """Make the buffers.

        Args:
            learner: The algorithm, which must be one that :class:`~rslcore.engine.GraphEngine` can run.
            device: Where its models are.
        """
        self._learner = learner
        self._optimizers = list(learner.optimizers())
        self._parameters = trained_parameters(self._optimizers)
        for optimizer in self._optimizers:
            optimizer.zero_grad()  # what is frozen must not keep a gradient of before
        self._rates = DeviceRates(learner, device)
        self._results = torch.zeros(MAX_TERMS + 1, dtype=torch.float64, device=device)
        self._kl = torch.zeros((), device=device)
        job = known_job(learner)
        reshuffled = bool(getattr(learner, "reshuffle_each_epoch", False))
        predictor = trained_parameters(self._optimizers[1:])
        self._known = (
            None if isinstance(job, str) else KnownGradients(job, device, reshuffled=reshuffled, predictor=predictor)
        )
        self._held: list[torch.Tensor] = []
        """Gradients that processes average between two graphs, which must therefore stay where they are."""
        self.names: tuple[str, ...] = ()
        """Reported terms; known after the first run."""
        self._adapts = False

    def load(self, spoiled: torch.Tensor | None = None) -> None:
        """Take over what may have changed on the host since the last update.

        Args:
            spoiled: 1 on the device where parameters and optimizers must stay as they are, otherwise 0; None stands
                for 0.
        """
        self._rates.load(spoiled)

    def body(self, batches: Iterable[Any]) -> Iterator[None]:
        """Take one gradient step per minibatch.

        Yields where :meth:`between` must run on the host; with one process nowhere.
        """
        learner = self._learner
        history: list[torch.Tensor] = []
        if self._known is not None:
            self._known.begin()
        for batch in batches:
            terms, kl = self._make_gradients(batch)
            history += terms
            self._adapts = kl is not None
            if learner.is_multi_gpu:
                if kl is not None:
                    kl = self._kl.copy_(kl)
                yield
            if kl is not None:
                self._rates.adapt(kl)
            for group in learner.gradient_groups():
                torch.nn.utils.clip_grad_norm_(group, learner.max_grad_norm, foreach=True)
            with self._rates.on_device(), cpu_by_default():
                for optimizer in self._optimizers:
                    optimizer.step()
        if history:
            means = torch.stack(history).view(-1, len(self.names)).double().mean(dim=0)
            self._results[1 : 1 + len(self.names)] = means
        self._results[0] = self._rates.value

    def between(self) -> None:
        """Average the gradients, and what adapts the learning rate, over all processes."""
        if self._adapts:
            torch.distributed.all_reduce(self._kl)
            self._kl /= torch.distributed.get_world_size()
        self._learner.reduce_parameters()

    def read(self, joint: JointRead) -> dict[str, float]:
        """Return the reported terms, averaged over the minibatches, and set the learning rate; waits for the device.

        Args:
            joint: What others want to know of the device, which is fetched along; raises what they refuse with before
                anything is set.
        """
        results = joint.add(self._results[: 1 + len(self.names)])
        joint.fetch()
        learning_rate, *means = results
        self._rates.store(learning_rate, adapted=self._adapts)
        return dict(zip(self.names, means, strict=True))

    def _make_gradients(self, batch: Any) -> tuple[list[torch.Tensor], torch.Tensor | None]:  # noqa: ANN401
        """Set the gradient of every parameter; return reported terms and KL divergence."""
        if self._known is not None:
            terms, kl, gradients = self._known(batch)
            self.names = (*TERMS, "rnd")[: len(terms)]
            self._set_gradients([gradients.get(id(parameter)) for parameter in self._parameters])
            return terms, kl if self._known.adapts else None
        result = self._learner.evaluate_mini_batch(batch)
        self.names = tuple(result.terms)
        self._set_gradients(torch.autograd.grad(result.loss, self._parameters, allow_unused=True))
        return [term.detach() for term in result.terms.values()], result.kl

    def _set_gradients(self, gradients: Iterable[torch.Tensor | None]) -> None:
        if self._learner.is_multi_gpu:
            gradients = self._hold(list(gradients))
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient

    def _hold(self, gradients: list[torch.Tensor | None]) -> list[torch.Tensor | None]:
        """Copy gradients to where they stay."""
        if not self._held:
            with torch.no_grad():
                self._held = [torch.zeros_like(parameter) for parameter in self._parameters]
        places = [None if new is None else held for held, new in zip(self._held, gradients, strict=True)]
        torch._foreach_copy_([x for x in places if x is not None], [x for x in gradients if x is not None])
        return places
