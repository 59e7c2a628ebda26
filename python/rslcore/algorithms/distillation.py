# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Distillation: a student learns to act as its teacher does, on the student's own rollouts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn.functional import huber_loss, mse_loss

from rslcore.config import DistillationCfg, nearest
from rslcore.engine import Engine, EngineSelector, MinibatchResult
from rslcore.models import MLPModel, StudentTeacher, StudentTeacherRecurrent
from rslcore.models.policy_pair import model_state
from rslcore.storage import RolloutStorage
from rslcore.utils import (
    check_keywords,
    compile_model,
    cpu_by_default,
    for_storage,
    is_set,
    load_optimizer_state,
    make_optimizer,
    optimizer_state,
    reduce_gradients_in_buckets,
    require,
    resolve_class,
    resolve_obs_groups,
    tf32_products,
)

if TYPE_CHECKING:
    from tensordict import TensorDict

    from rslcore.env import VecEnv

_LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {"mse": mse_loss, "huber": huber_loss}

PLAIN_NOISE = {"std": "distribution.std_param", "log_std": "distribution.log_std_param"}
"""Noise parameter in a model of rsl_rl 4.x to its name since 5.0."""


class Distillation:
    """Behaviour cloning of a teacher on the states that the student visits (DAgger; Ross et al. 2011, arXiv:1011.0686).

    Constructor, methods and attributes are those of rsl_rl 5.5.1. A rollout is replayed in its order, so that a
    recurrent student sees what it saw; the losses of ``gradient_length`` steps are summed for one gradient step, and
    gradients reach back through the hidden state to the first of them.
    """

    student: MLPModel
    """The policy that learns; compiled if :meth:`compile` was called."""

    teacher: MLPModel
    """The policy it learns from; compiled if :meth:`compile` was called."""

    teacher_loaded: bool = False
    """Whether the teacher's parameters have been loaded."""

    max_grad_norm: float
    """Largest gradient norm; infinity where there is no limit."""

    policy: StudentTeacher | StudentTeacherRecurrent | None
    """The object that holds both models, if one was given."""

    def __init__(
        self,
        student: MLPModel | StudentTeacher | StudentTeacherRecurrent,
        teacher: MLPModel | RolloutStorage | None = None,
        storage: RolloutStorage | None = None,
        num_learning_epochs: int = DistillationCfg.num_learning_epochs,
        gradient_length: int = DistillationCfg.gradient_length,
        learning_rate: float = DistillationCfg.learning_rate,
        max_grad_norm: float | None = DistillationCfg.max_grad_norm,
        loss_type: str = DistillationCfg.loss_type,
        optimizer: str = DistillationCfg.optimizer,
        use_mixed_precision: bool = DistillationCfg.use_mixed_precision,
        device: torch.device | str = "cpu",
        multi_gpu_cfg: Mapping[str, int] | None = None,
        grad_reduce_bucket_mb: float = DistillationCfg.grad_reduce_bucket_mb,
        *,
        keep_teacher_state: bool = DistillationCfg.keep_teacher_state,
        use_tf32: bool = DistillationCfg.use_tf32,
        engine: str = DistillationCfg.engine,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Set up the algorithm; the settings are described at :class:`rslcore.config.DistillationCfg`.

        Args:
            student: The policy that learns; or student and teacher in one object, and the storage next.
            teacher: The policy it learns from.
            storage: Holds one rollout, of training type "distillation".
            num_learning_epochs: Passes over the rollout.
            gradient_length: Steps per gradient step.
            learning_rate: Learning rate.
            max_grad_norm: Largest gradient norm; None or 0 for no limit.
            loss_type: "mse" or "huber".
            optimizer: Name of the optimizer.
            use_mixed_precision: bfloat16 forward pass and loss.
            device: Where everything lives.
            multi_gpu_cfg: ``global_rank`` and ``world_size`` of a distributed run.
            grad_reduce_bucket_mb: Largest buffer of one gradient all-reduce, MiB.
            keep_teacher_state: Let a recurrent teacher remember across updates.
            use_tf32: TensorFloat-32 matrix products on a GPU.
            engine: What runs the updates.
            **kwargs: Settings of other algorithms, ignored as in rsl_rl 5.5.1.

        Raises:
            TypeError: ``teacher`` or ``storage`` is missing.
            ValueError: A setting is unknown or out of range.
        """
        if isinstance(teacher, RolloutStorage) and storage is None:
            teacher, storage = None, teacher
        self.policy = None
        if isinstance(student, (StudentTeacher, StudentTeacherRecurrent)):
            self.policy, self.teacher_loaded = student, student.loaded_teacher
            student, teacher = self.policy.student_model, self.policy.teacher_model
        if teacher is None or isinstance(teacher, RolloutStorage) or storage is None:
            raise TypeError(
                "Distillation: a teacher (or a policy that holds it) and a storage must be given, got "
                f"{type(teacher).__name__} and {type(storage).__name__}"
            )
        require("Distillation", "num_learning_epochs", num_learning_epochs, integer=True, least=1)
        require("Distillation", "gradient_length", gradient_length, integer=True, least=1)
        require("Distillation", "learning_rate", learning_rate, above=0)
        require("Distillation", "grad_reduce_bucket_mb", grad_reduce_bucket_mb, above=0)
        if max_grad_norm is not None:
            require("Distillation", "max_grad_norm", max_grad_norm, least=0)
        if loss_type not in _LOSSES:
            raise ValueError(f"Distillation: `loss_type` '{loss_type}' is unknown; {nearest(loss_type, _LOSSES)}")
        if storage.training_type != "distillation":
            raise ValueError(
                f"Distillation: `storage` must be of training type 'distillation', got '{storage.training_type}'"
            )
        self.device = device
        self.is_multi_gpu = multi_gpu_cfg is not None
        self.gpu_global_rank = multi_gpu_cfg["global_rank"] if multi_gpu_cfg is not None else 0
        self.gpu_world_size = multi_gpu_cfg["world_size"] if multi_gpu_cfg is not None else 1
        self.grad_reduce_bucket_mb = grad_reduce_bucket_mb
        self.rnd = None

        self.student = student.to(device)
        self.teacher = teacher.to(device)
        self._raw_student = self.student
        self._raw_teacher = self.teacher
        self.optimizer = make_optimizer(optimizer, self.student.parameters(), learning_rate)

        self.storage = storage
        self.transition = RolloutStorage.Transition()
        self.last_hidden_states: tuple[Any, Any] = (None, None)
        """Hidden states of student and teacher at the start of the rollout."""

        self.num_learning_epochs = num_learning_epochs
        self.gradient_length = gradient_length
        self.learning_rate = learning_rate
        self.max_grad_norm = max_grad_norm or float("inf")
        self.use_mixed_precision = use_mixed_precision
        self.keep_teacher_state = keep_teacher_state
        self.use_tf32 = use_tf32
        self.loss_fn = _LOSSES[loss_type]
        self.num_updates = 0
        self._engines = EngineSelector(type(self).__name__, engine)
        self.engine, self.engine_reason = self._engines.select(self)
        self._warn_of_unused_steps()

    @torch.no_grad()
    def act(self, obs: TensorDict) -> torch.Tensor:
        """Let the student act on observations [N, ...] per group, with exploration noise, and ask the teacher too.

        Everything remembered is a copy: the environment may overwrite the observations and the returned actions [N, A].
        """
        if self.storage.step == 0:
            self.last_hidden_states = (self._raw_student.get_hidden_state(), self._raw_teacher.get_hidden_state())
        transition = self.transition
        transition.observations = self.storage.store_observations(obs)
        transition.actions = self.student(obs, stochastic_output=True)
        transition.privileged_actions = self.teacher(obs)
        return transition.actions.clone()

    @torch.no_grad()
    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the outcome of the step that followed :meth:`act`.

        Args:
            obs: Observations after the step; not used.
            rewards: Rewards [N]; stored, but nothing is learned from them.
            dones: Episode ended on this step [N], any dtype, set where not 0.
            extras: Further outputs of the environment; not used.

        Raises:
            RuntimeError: :meth:`act` was not called for this step.
            ValueError: A shape does not fit.
        """
        transition = self.transition
        if transition.privileged_actions is None:
            raise RuntimeError("Distillation: act() must be called before process_env_step()")
        dones = is_set(dones)
        transition.rewards, transition.dones = rewards, dones
        self.storage.add_transition(transition)
        transition.clear()
        self._raw_student.reset(dones)
        self._raw_teacher.reset(dones)

    def compute_returns(self, obs: TensorDict) -> None:
        """Do nothing: a student needs no returns."""

    def update(self) -> dict[str, float]:
        """Learn from the stored rollout, update the student's normalizer, and clear the storage.

        Steps at the end that do not fill a ``gradient_length`` are replayed, but nothing is learned from them (as in
        rsl_rl 5.5.1).

        Returns:
            "behavior": the mean distance of the student's actions from the teacher's, over all steps and epochs.
        """
        self.num_updates += 1
        steps = self._replay()
        total = self.num_learning_epochs * self.storage.num_transitions_per_env
        gradient_steps, unused = divmod(total, self.gradient_length)
        batches = (islice(steps, self.gradient_length) for _ in range(gradient_steps))
        with tf32_products(self.use_tf32):
            losses = self.select_engine().run(self, batches)
        behavior = losses.get("behavior", 0.0) * (total - unused)
        self._raw_student.detach_hidden_state()
        if unused:
            if not self._raw_student.is_recurrent:  # an engine need not have gone through the others one by one
                steps = islice(self._replay(), total - unused, None)
            with torch.no_grad():
                behavior += float(sum(self._loss_of_step(batch) for batch in steps))
        if not self.keep_teacher_state:
            self._raw_teacher.reset()
        self._raw_student.update_normalization(self.storage.observations.flatten(0, 1))
        self.storage.clear()
        return {"behavior": behavior / total}

    def select_engine(self) -> Engine:
        """Choose what runs the coming update, and remember it as ``engine`` with its reason as ``engine_reason``.

        Raises:
            ValueError: The engine that was asked for cannot run the models as they are.
        """
        self.engine, self.engine_reason = self._engines.select(self)
        return self.engine

    def custom_code(self) -> str | None:
        """Return why an update may do something else than this class says, or carries a state; None otherwise."""
        if type(self) is not Distillation:
            return f"the algorithm is a subclass of Distillation: {type(self).__name__}"
        if replaced := sorted({"evaluate_mini_batch", "_loss_of_step"} & vars(self).keys()):
            return f"the algorithm has a replaced method: {replaced[0]}"
        if self.loss_fn not in _LOSSES.values():
            return "the algorithm has a loss of its own"
        return "the student is recurrent" if self._raw_student.is_recurrent else None

    def trained_modules(self) -> dict[str, torch.nn.Module]:
        """Return what takes part in an update, by its role."""
        return {"student": self.student}

    def evaluate_mini_batch(self, batch: Iterable[RolloutStorage.Batch]) -> MinibatchResult:
        """Return the summed loss over the next steps of the replay, and its mean per step as the reported term."""
        self._raw_student.detach_hidden_state()
        losses = torch.stack([self._loss_of_step(step) for step in batch])
        return MinibatchResult(losses.sum(), {"behavior": losses.detach().mean()}, None)

    def adapt_learning_rate(self, kl: torch.Tensor) -> None:
        """Leave the learning rate as it is."""

    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        """The student's optimizer."""
        return (self.optimizer,)

    def gradient_groups(self) -> tuple[list[torch.nn.Parameter], ...]:
        """The student's parameters, if their gradient norm is limited."""
        return (list(self._raw_student.parameters()),) if self.max_grad_norm < float("inf") else ()

    def train_mode(self) -> None:
        """Put the student into training mode; the teacher is always in evaluation mode."""
        self.student.train()
        self.teacher.eval()

    def eval_mode(self) -> None:
        """Put both models into evaluation mode."""
        self.student.eval()
        self.teacher.eval()

    def save(self) -> dict[str, Any]:
        """Return everything to be saved: tensors and plain numbers, loadable with ``weights_only=True``."""
        return {
            "student_state_dict": self._raw_student.state_dict(),
            "teacher_state_dict": self._raw_teacher.state_dict(),
            "optimizer_state_dict": optimizer_state(self.optimizer),
        }

    def load(self, loaded_dict: Mapping[str, Any], load_cfg: Mapping[str, bool] | None, strict: bool) -> bool:
        """Load a distillation to continue, or the teacher from a training run of PPO.

        Args:
            loaded_dict: What :meth:`save` returned, here or in rsl_rl 5.x; or a checkpoint of PPO (rslcore, rsl_rl 4.x
                and 5.x), whose actor becomes the teacher; or one of rsl_rl 2.x or 3.x of either kind.
            load_cfg: What to load: "student", "teacher", "optimizer", "iteration"; None loads all of a distillation,
                the teacher alone of a PPO run.
            strict: Whether keys of the models must match exactly.

        Returns:
            Whether the caller should continue from the saved iteration.
        """
        content, load_cfg = self.readable(loaded_dict, load_cfg)
        if load_cfg.get("student"):
            self._raw_student.load_state_dict(content["student_state_dict"], strict=strict)
        if load_cfg.get("teacher"):
            self._raw_teacher.load_state_dict(content["teacher_state_dict"], strict=strict)
            self.teacher_loaded = True
            if self.policy is not None:
                self.policy.loaded_teacher = True
        if load_cfg.get("optimizer"):
            load_optimizer_state(self.optimizer, content["optimizer_state_dict"])
            self.learning_rate = self.optimizer.param_groups[0]["lr"]
        return bool(load_cfg.get("iteration", False))

    def readable(
        self, loaded_dict: Mapping[str, Any], load_cfg: Mapping[str, bool] | None
    ) -> tuple[dict[str, Any], dict[str, bool]]:
        """Return a checkpoint of any kind that :meth:`load` takes, under our keys, and what is to be loaded from it."""
        content = dict(loaded_dict)
        old = content.get("model_state_dict")
        if isinstance(old, Mapping):
            if student := model_state(old, "student"):
                content["student_state_dict"] = student
                content["teacher_state_dict"] = model_state(old, "teacher")
                # Its optimizer also held the teacher, in another order: its moments mean nothing here.
                load_cfg = load_cfg or {"student": True, "teacher": True, "iteration": True}
            else:
                content["actor_state_dict"] = model_state(old, "actor")
        if "teacher_state_dict" not in content and "actor_state_dict" in content:
            content["teacher_state_dict"] = content["actor_state_dict"]
            load_cfg = load_cfg or {"teacher": True, "iteration": False}
        if isinstance(teacher := content.get("teacher_state_dict"), Mapping):
            content["teacher_state_dict"] = self._fitting_teacher(teacher)
        return content, dict(load_cfg or {"student": True, "teacher": True, "optimizer": True, "iteration": True})

    def get_policy(self) -> MLPModel:
        """Return the student itself, not compiled."""
        return self._raw_student

    def compile(self, mode: str | None = None) -> None:
        """Run the models through ``torch.compile`` in this mode; None runs them as they are."""
        self.student = cast(MLPModel, compile_model(self._raw_student, mode))
        self.teacher = cast(MLPModel, compile_model(self._raw_teacher, mode))

    @staticmethod
    def construct_algorithm(
        obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: torch.device | str
    ) -> Distillation:
        """Build models, storage and algorithm from a runner's configuration.

        Args:
            obs: Observations of the environment.
            env: The environment; ``num_envs`` and ``num_actions`` are read.
            cfg: Configuration of the runner; ``cfg["obs_groups"]`` is replaced by the resolved observation sets.
            device: Where everything lives.

        Raises:
            ValueError: A key or name is unknown (the message names the nearest valid one), or an extension of PPO is
                asked for.
        """
        alg_class, alg_cfg = resolve_class(cfg["algorithm"])
        student_class, student_cfg = resolve_class(cfg["student"])
        teacher_class, teacher_cfg = resolve_class(cfg["teacher"])
        for key in ("rnd_cfg", "symmetry_cfg"):
            if alg_cfg.pop(key, None) is not None:
                raise ValueError(f"Distillation: `{key}` must be None, got a configuration: extensions are for PPO")
        for part, part_class, part_cfg in (
            ("algorithm", alg_class, alg_cfg),
            ("student", student_class, student_cfg),
            ("teacher", teacher_class, teacher_cfg),
        ):
            check_keywords(part_class, part_cfg, part)

        cfg["obs_groups"] = resolve_obs_groups(obs, cfg["obs_groups"], ["student", "teacher"])
        with cpu_by_default():
            student = student_class(obs, cfg["obs_groups"], "student", env.num_actions, **student_cfg).to(device)
        print(f"Student Model: {student}")
        with cpu_by_default():
            teacher = teacher_class(obs, cfg["obs_groups"], "teacher", env.num_actions, **teacher_cfg).to(device)
        print(f"Teacher Model: {teacher}")
        steps, example = cfg["num_steps_per_env"], for_storage(obs, student)
        storage = RolloutStorage("distillation", env.num_envs, steps, example, [env.num_actions], device)
        algorithm = alg_class(student, teacher, storage, device=device, multi_gpu_cfg=cfg.get("multi_gpu"), **alg_cfg)
        algorithm.compile(cfg.get("torch_compile_mode"))
        return cast(Distillation, algorithm)

    def broadcast_parameters(self) -> None:
        """Give all processes the parameters and statistics of rank 0."""
        for model in (self._raw_student, self._raw_teacher):
            for tensor in model.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)

    def reduce_parameters(self) -> None:
        """Average the gradients over all processes."""
        reduce_gradients_in_buckets(self._raw_student.parameters(), self.gpu_world_size, self.grad_reduce_bucket_mb)

    def _replay(self) -> Iterator[RolloutStorage.Batch]:
        """Yield the steps of the rollout in their order, once per epoch, from the student's state at its start."""
        for _ in range(self.num_learning_epochs):
            # Copies: a rollout of the user's own may be in inference mode, whose tensors cannot be part of a graph.
            self._raw_student.reset(hidden_state=_cloned(self.last_hidden_states[0]))
            yield from self.storage.generator()

    def _loss_of_step(self, batch: RolloutStorage.Batch) -> torch.Tensor:
        """Distance from the teacher at one step; moves the student's hidden state on by that step."""
        device_type = torch.device(self.device).type
        with torch.autocast(device_type, enabled=self.use_mixed_precision, dtype=torch.bfloat16):
            loss = self.loss_fn(self.student(batch.observations), batch.privileged_actions)
        self._raw_student.reset(batch.dones.view(-1))
        return loss

    def _fitting_teacher(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A teacher's entries under today's names; without noise, if our teacher has none to act with."""
        named = {PLAIN_NOISE.get(name, name): tensor for name, tensor in state.items()}
        if self._raw_teacher.distribution is not None:
            return named
        return {name: tensor for name, tensor in named.items() if not name.startswith("distribution.")}

    def _warn_of_unused_steps(self) -> None:
        steps = self.storage.num_transitions_per_env
        total = self.num_learning_epochs * steps
        if unused := total % self.gradient_length:
            warnings.warn(
                f"Distillation: `gradient_length` {self.gradient_length} does not divide num_learning_epochs x "
                f"num_steps_per_env = {self.num_learning_epochs} x {steps}: the last {unused} steps of every update "
                f"are not learned from; take a divisor of {total}",
                stacklevel=3,
            )


def _cloned(hidden_state: Any) -> Any:  # noqa: ANN401
    if isinstance(hidden_state, tuple):
        return tuple(state.clone() for state in hidden_state)
    return None if hidden_state is None else hidden_state.clone()
