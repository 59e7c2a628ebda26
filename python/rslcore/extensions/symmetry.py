# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Symmetry of the robot: learning from mirrored samples, and a loss for policies that act asymmetrically."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rslcore.config import SymmetryCfg
from rslcore.utils import check_keywords, require, resolve_callable

if TYPE_CHECKING:
    from tensordict import TensorDict

    from rslcore.models import MLPModel
    from rslcore.storage import RolloutStorage


class Symmetry:
    """Symmetry augmentation and mirror loss (Mittal et al. 2024, arXiv:2403.04359).

    The symmetry is a function ``(env, obs, actions) -> (obs, actions)`` of the user's: given b rows, it returns k * b,
    the originals first and then one block per mirror image; None stays None. It must give the same result every time:
    what it returned for a minibatch is used in every epoch.

    With ``use_data_augmentation``, PPO learns from the mirrored samples as from the others; with ``use_mirror_loss``,
    ``mirror_loss_coeff * mse(actor(mirror(s)), mirror(actor(s)))`` is added to its loss. With neither, that error is
    only reported.
    """

    def __init__(
        self,
        env: Any,  # noqa: ANN401
        data_augmentation_func: str | Callable[..., Any],
        use_data_augmentation: bool = SymmetryCfg.use_data_augmentation,
        use_mirror_loss: bool = SymmetryCfg.use_mirror_loss,
        mirror_loss_coeff: float = SymmetryCfg.mirror_loss_coeff,
    ) -> None:
        """Look up the function.

        Args:
            env: The environment; handed to the function.
            data_augmentation_func: The function, or its name as ``"module:function"``.
            use_data_augmentation: Learn from mirrored samples.
            use_mirror_loss: Add the mirror loss.
            mirror_loss_coeff: Weight of the mirror loss.
        """
        require("Symmetry", "mirror_loss_coeff", mirror_loss_coeff)
        self.env = env
        self.use_data_augmentation = use_data_augmentation
        self.use_mirror_loss = use_mirror_loss
        self.mirror_loss_coeff = mirror_loss_coeff
        self.data_augmentation_func = resolve_callable(data_augmentation_func)
        if not (use_data_augmentation or use_mirror_loss):
            print("Symmetry: neither augmentation nor mirror loss is used; the symmetry error is only reported.")

    def augmented(self, batches: Iterable[RolloutStorage.Batch], period: int | None) -> Iterator[RolloutStorage.Batch]:
        """Yield the minibatches of an update with mirrored observations, and mirrored samples if they are learned from.

        Args:
            batches: Minibatches of all epochs.
            period: Number of minibatches after which they repeat, so that what was mirrored is yielded again; None if
                they do not.
        """
        kept: list[RolloutStorage.Batch] = []
        for number, original in enumerate(batches):
            if period is not None and number >= period:
                yield kept[number % period]
                continue
            batch = original
            rows = batch.observations.batch_size[0]
            self.augment_batch(batch, rows)
            if not self.use_data_augmentation:
                batch.observations, _ = self._augment(batch.observations, None, rows)
            if period is not None:
                kept.append(batch)
            yield batch

    def augment_batch(self, batch: RolloutStorage.Batch, original_batch_size: int) -> None:
        """Put mirrored samples behind the ``original_batch_size`` rows of a minibatch, if they are to be learned from.

        The fields of ``batch`` are replaced: mirrored observations and actions, and repeated log-probabilities, values,
        advantages and returns. The parameters of the old distribution stay: KL divergences are of the originals alone.

        Raises:
            ValueError: The function returned another number of rows than a multiple of the batch.
        """
        if not self.use_data_augmentation:
            return
        batch.observations, batch.actions = self._augment(batch.observations, batch.actions, original_batch_size)
        repeats = batch.observations.batch_size[0] // original_batch_size
        for name in ("old_actions_log_prob", "values", "advantages", "returns"):
            setattr(batch, name, getattr(batch, name).repeat(repeats, 1))

    def compute_loss(self, actor: MLPModel, batch: RolloutStorage.Batch, original_batch_size: int) -> torch.Tensor:
        """Return the mean squared difference of actions for mirrored states and mirrored actions for the originals.

        Actions are the deterministic ones. The mirrored actions are a target, without gradient. Without
        ``use_mirror_loss`` nothing has a gradient.

        Args:
            actor: The policy.
            batch: A minibatch; its observations are mirrored here if they are not yet.
            original_batch_size: Rows that are no mirror images.
        """
        if batch.observations.batch_size[0] == original_batch_size:
            batch.observations, _ = self._augment(batch.observations, None, original_batch_size)
        with torch.set_grad_enabled(self.use_mirror_loss and torch.is_grad_enabled()):
            if _mixes_rows(actor):
                means = actor(batch.observations)
                original, mirrored = means[:original_batch_size].detach(), means[original_batch_size:]
            else:  # the originals need no gradient
                with torch.no_grad():
                    original = actor(batch.observations[:original_batch_size])
                mirrored = actor(batch.observations[original_batch_size:])
            with torch.no_grad():
                _, targets = self._augment(None, original, original_batch_size)
            if targets.shape[0] != batch.observations.batch_size[0]:
                raise ValueError(
                    f"Symmetry: `data_augmentation_func` must return as many actions as observations, "
                    f"{batch.observations.batch_size[0]}, got {targets.shape[0]}"
                )
            return nn.functional.mse_loss(mirrored, targets[original_batch_size:])

    def _augment(self, obs: TensorDict | None, actions: torch.Tensor | None, rows: int) -> tuple[Any, Any]:
        """Call the function on copies, which it may write to, and check what it returns."""
        given = {"obs": None if obs is None else obs.clone(), "actions": None if actions is None else actions.clone()}
        result = self.data_augmentation_func(env=self.env, **given)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ValueError(
                f"Symmetry: `data_augmentation_func` must return a tuple (obs, actions), got {type(result).__name__}"
            )
        counts = {
            name: value.shape[0] if hasattr(value, "shape") else None
            for name, value, argument in zip(("obs", "actions"), result, (obs, actions), strict=True)
            if argument is not None
        }
        for name, count in counts.items():
            if count is None or count < 2 * rows or count % rows:
                raise ValueError(
                    f"Symmetry: `data_augmentation_func` must return `{name}` with the {rows} rows it was given and "
                    f"{rows} for every mirror image, got "
                    f"{type(result[name == 'actions']).__name__ if count is None else f'{count} rows'}"
                )
        if len(set(counts.values())) > 1:
            raise ValueError(
                f"Symmetry: `data_augmentation_func` must return as many actions as observations, got {counts}"
            )
        if actions is not None and result[1].shape[1:] != actions.shape[1:]:
            raise ValueError(
                f"Symmetry: `data_augmentation_func` must return actions {[len(result[1]), *actions.shape[1:]]}, got "
                f"{list(result[1].shape)}"
            )
        return result


def resolve_symmetry_config(alg_cfg: dict[str, Any], env: Any) -> dict[str, Any]:  # noqa: ANN401
    """Add the environment to the configuration of the extension; ``alg_cfg`` is changed and returned.

    Raises:
        ValueError: A key is unknown, or there is no function.
    """
    if not alg_cfg.get("symmetry_cfg"):
        alg_cfg["symmetry_cfg"] = None
        return alg_cfg
    symmetry_cfg = alg_cfg["symmetry_cfg"]
    symmetry_cfg["env"] = env
    check_keywords(Symmetry, symmetry_cfg, "symmetry_cfg")
    if symmetry_cfg.get("data_augmentation_func") is None:
        raise ValueError("Symmetry: `symmetry_cfg` must have a `data_augmentation_func`, got None")
    return alg_cfg


def _mixes_rows(model: nn.Module) -> bool:
    """Whether the output of one row depends on the other rows of the batch: batch normalization."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
