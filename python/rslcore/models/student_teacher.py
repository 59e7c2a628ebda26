# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Student and teacher in one object, as rsl_rl 2.x and 3.x had them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from rslcore.config import StudentTeacherCfg, StudentTeacherRecurrentCfg
from rslcore.models.mlp_model import MLPModel
from rslcore.models.policy_pair import Part, PolicyPair, as_groups, model_state, noise_cfg, renamed_width
from rslcore.models.rnn_model import RNNModel

if TYPE_CHECKING:
    from rslcore.models.policy_pair import Observations

_SelfT = TypeVar("_SelfT", bound="_StudentTeacherBase")

_STUDENT_SETS = ("policy", "student")
_TEACHER_SETS = ("teacher",)


class _StudentTeacherBase(PolicyPair):
    """What all kinds of students and teachers share."""

    student_model: MLPModel
    """The policy that learns."""

    teacher_model: MLPModel
    """The policy it learns from, always in evaluation mode."""

    loaded_teacher: bool = False
    """Whether the teacher's parameters have been loaded."""

    def evaluate(self, obs: Observations | torch.Tensor) -> torch.Tensor:
        """Return the teacher's actions [B, A], without gradient."""
        with torch.no_grad():
            return self.teacher_model(as_groups(self.teacher_model, obs))

    def get_student_obs(self, obs: Observations) -> torch.Tensor:
        """Return the student's groups, concatenated [B, D]."""
        return self.student_model._concatenate(obs)

    def get_teacher_obs(self, obs: Observations) -> torch.Tensor:
        """Return the teacher's groups, concatenated [B, D]."""
        return self.teacher_model._concatenate(obs)

    def update_normalization(self, obs: Observations) -> None:
        """Let the student's normalizer, if there is one, learn from observations [B, D_group] per group."""
        self.student_model.update_normalization(obs)

    @property
    def student_obs_normalization(self) -> bool:
        """Whether the student's observations are normalized."""
        return self.student_model.obs_normalization

    @property
    def teacher_obs_normalization(self) -> bool:
        """Whether the teacher's observations are normalized."""
        return self.teacher_model.obs_normalization

    @property
    def teacher_recurrent(self) -> bool:
        """Whether the teacher is recurrent."""
        return self.teacher_model.is_recurrent

    def train(self: _SelfT, mode: bool = True) -> _SelfT:
        """Put the student into training mode, or into evaluation mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher_model.eval()
        return self

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> bool:  # type: ignore[override]
        """Load student and teacher, or the teacher from the actor of a training run of PPO.

        Args:
            state_dict: ``model_state_dict`` of a checkpoint of rsl_rl 2.x or 3.x, or of this policy.
            strict: Refuse missing and surplus entries.

        Returns:
            Whether a distillation can be continued from it: not where only a teacher was found.

        Raises:
            ValueError: There is neither a student nor an actor in it.
            RuntimeError: The entries are of other names or shapes.
        """
        if teacher := model_state(state_dict, "actor"):
            kept = {name: tensor for name, tensor in teacher.items() if not name.startswith("distribution.")}
            self.teacher_model.load_state_dict(kept, strict=strict)
        elif model_state(state_dict, "student"):
            super().load_state_dict(state_dict, strict=strict)
        else:
            raise ValueError(
                f"{type(self).__name__}: `state_dict` must hold 'student.*' and 'teacher.*', or 'actor.*' of a "
                f"teacher, got {sorted({name.partition('.')[0] for name in state_dict})}"
            )
        self.loaded_teacher = True
        self.teacher_model.eval()
        return not teacher


class StudentTeacher(_StudentTeacherBase):
    """A student that imitates a teacher, each an MLP, with the constructor, methods and state dict of rsl_rl 3.x.

    :attr:`student_model` and :attr:`teacher_model` are the models themselves; ``Distillation(policy, storage=storage)``
    trains the student. B rows (environments), A actions.
    """

    def __init__(
        self,
        obs: Observations | int | None = None,
        obs_groups: Mapping[str, Sequence[str]] | int | None = None,
        num_actions: int | None = None,
        student_obs_normalization: bool = StudentTeacherCfg.student_obs_normalization,
        teacher_obs_normalization: bool = StudentTeacherCfg.teacher_obs_normalization,
        student_hidden_dims: Sequence[int] = StudentTeacherCfg.student_hidden_dims,
        teacher_hidden_dims: Sequence[int] = StudentTeacherCfg.teacher_hidden_dims,
        activation: str = StudentTeacherCfg.activation,
        init_noise_std: float = StudentTeacherCfg.init_noise_std,
        noise_std_type: str = StudentTeacherCfg.noise_std_type,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Build both models; the settings are described at :class:`rslcore.config.StudentTeacherCfg`.

        Args:
            obs: Example observations [N, D_group] per group; or, as in rsl_rl 2.x, the width of the student's.
            obs_groups: The sets "policy" and "teacher"; or, as in rsl_rl 2.x, the width of the teacher's observations.
            num_actions: Number of actions A.
            student_obs_normalization: Normalize the student's observations.
            teacher_obs_normalization: Normalize the teacher's observations.
            student_hidden_dims: Hidden layers of the student.
            teacher_hidden_dims: Hidden layers of the teacher.
            activation: Activation of both.
            init_noise_std: Standard deviation of the student's actions during rollouts.
            noise_std_type: "scalar" or "log".
            **kwargs: ``num_student_obs`` and ``num_teacher_obs`` of rsl_rl 2.x; others are ignored with a warning.

        Raises:
            TypeError: Observations and sets, widths, or the number of actions are of the wrong type.
            ValueError: A set or group is missing, or a setting is out of range.
        """
        student = {
            "hidden_dims": student_hidden_dims,
            "activation": activation,
            "obs_normalization": student_obs_normalization,
            "distribution_cfg": noise_cfg(init_noise_std, noise_std_type),
        }
        teacher = {
            "hidden_dims": teacher_hidden_dims,
            "activation": activation,
            "obs_normalization": teacher_obs_normalization,
        }
        super().__init__(
            obs,
            obs_groups,
            num_actions,
            Part("student", _STUDENT_SETS, MLPModel, student),
            Part("teacher", _TEACHER_SETS, MLPModel, teacher),
            kwargs,
        )


class StudentTeacherRecurrent(_StudentTeacherBase):
    """A student with an LSTM or GRU before its MLP; otherwise as :class:`StudentTeacher`.

    ``memory_s`` holds the student's hidden state, ``memory_t`` that of a recurrent teacher.
    """

    is_recurrent: bool = True

    def __init__(
        self,
        obs: Observations | int | None = None,
        obs_groups: Mapping[str, Sequence[str]] | int | None = None,
        num_actions: int | None = None,
        student_obs_normalization: bool = StudentTeacherRecurrentCfg.student_obs_normalization,
        teacher_obs_normalization: bool = StudentTeacherRecurrentCfg.teacher_obs_normalization,
        student_hidden_dims: Sequence[int] = StudentTeacherRecurrentCfg.student_hidden_dims,
        teacher_hidden_dims: Sequence[int] = StudentTeacherRecurrentCfg.teacher_hidden_dims,
        activation: str = StudentTeacherRecurrentCfg.activation,
        init_noise_std: float = StudentTeacherRecurrentCfg.init_noise_std,
        noise_std_type: str = StudentTeacherRecurrentCfg.noise_std_type,
        rnn_type: str = StudentTeacherRecurrentCfg.rnn_type,
        rnn_hidden_dim: int = StudentTeacherRecurrentCfg.rnn_hidden_dim,
        rnn_num_layers: int = StudentTeacherRecurrentCfg.rnn_num_layers,
        teacher_recurrent: bool = StudentTeacherRecurrentCfg.teacher_recurrent,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Build both models; the settings are described at :class:`rslcore.config.StudentTeacherRecurrentCfg`.

        Arguments up to ``noise_std_type``, and errors, as of :class:`StudentTeacher`.

        Args:
            obs: Example observations, or the width of the student's.
            obs_groups: The sets "policy" and "teacher", or the width of the teacher's observations.
            num_actions: Number of actions A.
            student_obs_normalization: Normalize the student's observations.
            teacher_obs_normalization: Normalize the teacher's observations.
            student_hidden_dims: Hidden layers of the student's MLP.
            teacher_hidden_dims: Hidden layers of the teacher's MLP.
            activation: Activation of both.
            init_noise_std: Standard deviation of the student's actions during rollouts.
            noise_std_type: "scalar" or "log".
            rnn_type: "lstm" or "gru".
            rnn_hidden_dim: Width of the hidden states.
            rnn_num_layers: Recurrent layers.
            teacher_recurrent: Give the teacher the same recurrent layers.
            **kwargs: As of :class:`StudentTeacher`, and ``rnn_hidden_size``, the old name of ``rnn_hidden_dim``.
        """
        rnn_cfg = {
            "rnn_type": rnn_type,
            "rnn_hidden_dim": renamed_width(rnn_hidden_dim, kwargs),
            "rnn_num_layers": rnn_num_layers,
        }
        student = {
            "hidden_dims": student_hidden_dims,
            "activation": activation,
            "obs_normalization": student_obs_normalization,
            "distribution_cfg": noise_cfg(init_noise_std, noise_std_type),
            **rnn_cfg,
        }
        teacher = {
            "hidden_dims": teacher_hidden_dims,
            "activation": activation,
            "obs_normalization": teacher_obs_normalization,
            **(rnn_cfg if teacher_recurrent else {}),
        }
        super().__init__(
            obs,
            obs_groups,
            num_actions,
            Part("student", _STUDENT_SETS, RNNModel, student),
            Part("teacher", _TEACHER_SETS, RNNModel if teacher_recurrent else MLPModel, teacher),
            kwargs,
        )
