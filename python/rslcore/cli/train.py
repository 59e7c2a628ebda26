# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore train``: from a task to a run folder with a trained policy."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from rslcore.cli import run_folder, trust
from rslcore.cli.arguments import parse
from rslcore.cli.building import choose_device, find_task, make_cfg, make_env, make_runner, user_errors
from rslcore.cli.errors import CliError
from rslcore.cli.evaluation import UNSEEN_SEED_OFFSET, evaluate, show
from rslcore.cli.packages import error_text
from rslcore.cli.search_path import python_command
from rslcore.config import DistillationRunnerCfg, EngineName, OnPolicyRunnerCfg, RunnerCfg

if TYPE_CHECKING:
    from rslcore.checkpoint import RunDirLock
    from rslcore.runners import OnPolicyRunner
    from rslcore.tasks import TaskSpec

DEFAULT_TASK = "quadruped-flat"
FILM_TIMEOUT_S = 600
"""Drawing in software takes a minute."""

_DESCRIPTION = """\
Train a policy. TASK, by default {default}, goes first.

'rslcore tasks' lists the tasks.

Settings are those of {task}, or of the run that --resume names.
"""


@dataclasses.dataclass
class TrainOptions:
    """Options of ``rslcore train`` besides the training configuration."""

    num_envs: int
    """Environments that are simulated side by side."""
    device: str = "auto"
    """Device of the learning: cpu, cuda:0, ...; auto is a GPU where there is one."""
    engine: EngineName | None = None
    """What runs the updates; auto takes the fastest that is exact. Stands for --algorithm.engine."""
    threads: int = 0
    """Threads of torch on the CPU; 0 leaves the number to torch."""
    log_dir: Path = Path("runs")
    """Folder of all runs; this one goes to LOG_DIR/<experiment>/<date-time>."""
    teacher: Path | None = None
    """Run folder, or checkpoint, of the policy to learn from; only for the tasks of students."""
    resume: Path | None = None
    """Continue a run in place: its folder, or one of its checkpoints. --iterations is the total then."""
    trust: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="MODULE")] = ()
    """Module whose classes and tasks the folder of --resume or --teacher may name; may be given again for others."""
    eval_episodes: int = 100
    """Episodes of the evaluation after the training; 0 for none."""
    video: str = "auto"
    """auto films the trained policy where that is possible, off does not."""
    json: bool = False
    """Print JSON lines only: one per iteration, {"message": ...} for people, and the result last, also after Ctrl-C."""


@dataclasses.dataclass
class _Job:
    """What to train, read from the command line and from the run that is resumed."""

    spec: TaskSpec
    options: TrainOptions
    cfg: RunnerCfg
    checkpoint: Path | None
    """Where training continues; None to start afresh."""
    teacher: Path | None
    """Checkpoint of the policy that a student learns from."""
    resumed_folder: Path | None
    """The run folder that is continued; None for a new one."""

    def trust_options(self) -> list[str]:
        """Return the options with which the run folder of this job is read again."""
        return trust.options(self.options.trust, self.spec.name, self.cfg.to_dict())

    def command(self, *words: object) -> str:
        """Return a command that reads the run folder of this job."""
        return _command(*words, *self.trust_options())


def run(arguments: Sequence[str]) -> int:
    """Train, evaluate, and say where the results are.

    Started by ``torchrun``, the processes train one policy, each on environments and a GPU of its own; the first one
    alone prints and writes.
    """
    job = _read_job(list(arguments))
    options = job.options
    import torch

    from rslcore.checkpoint import seed_generators
    from rslcore.runners.distributed import read_ranks

    if options.threads > 0:
        torch.set_num_threads(options.threads)
    with user_errors("train"):
        ranks = read_ranks()
        seed_generators(job.cfg.seed + ranks.global_rank)
    device = choose_device(options.device, "train")
    # Environments of different processes get different seeds, those of the libraries that count up from it too.
    env_seed = job.cfg.seed + ranks.global_rank * options.num_envs
    if ranks.global_rank > 0:
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
            return _help_to_train(job, env_seed, device)
    if not options.json:
        processes = f"{ranks.world_size} processes with " if ranks.world_size > 1 else ""
        print(f"Training {job.spec.name}: {processes}{options.num_envs} environments, policy on {device}", flush=True)
    env = make_env(job.spec, options.num_envs, env_seed, device, "train")
    folder = job.resumed_folder or run_folder.create(
        options.log_dir, job.cfg.experiment_name or job.spec.name, job.cfg.run_name
    )
    with (
        _file_errors(folder),
        _locked(folder) as lock,
        run_folder.unchanged_on_error(folder, new=job.resumed_folder is None),
    ):
        runner = make_runner(env, job.cfg, folder, device, "json" if options.json else "auto", "train")
        runner.run_dir_lock = lock
        _load(job, runner)
        if job.checkpoint is not None:
            _settle_with_checkpoint(job, runner, arguments)
        # Not before the settings have proved good.
        run_folder.write(
            folder,
            run_folder.RunSettings(job.spec.name, options.num_envs, job.cfg.to_dict()),
            getattr(env, "cfg", {}),
            command=shlex.join(["rslcore", "train", *arguments]),
            device=device,
            threads=torch.get_num_threads(),
            resumed_from=job.checkpoint,
        )
        finished = _learn(job, runner, folder)
    _finish(job, runner, folder, device, interrupted=not finished)
    return 0


def _help_to_train(job: _Job, env_seed: int, device: str) -> int:
    """Train as one of several processes, but not the first: without a run folder."""
    env = make_env(job.spec, job.options.num_envs, env_seed, device, "train")
    runner = make_runner(env, job.cfg, None, device, "none", "train")
    _load(job, runner)
    if runner.next_iteration < job.cfg.max_iterations:
        runner.learn(job.cfg.max_iterations - runner.next_iteration, job.cfg.init_at_random_ep_len)
    return 0


def _load(job: _Job, runner: OnPolicyRunner) -> None:
    """Load the run that is continued, or the teacher."""
    file = job.checkpoint or job.teacher
    if file is not None:
        with user_errors(f"train: {file}"):
            runner.load(file)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[RunDirLock]:
    """Keep other trainings out of a run folder, before anything in it is touched."""
    from rslcore import checkpoint

    with contextlib.ExitStack() as stack:
        with user_errors("train"):
            lock = stack.enter_context(checkpoint.lock(folder))
        yield lock


@contextlib.contextmanager
def _file_errors(folder: Path) -> Iterator[None]:
    """Tell of full disks and the like in one line; what has been written of the run stays."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of the output is gone, not a file
    except OSError as error:
        raise CliError(
            f"train: cannot write '{error.filename or folder}' ({error.strerror or error_text(error)})"
        ) from error


def _read_job(arguments: list[str]) -> _Job:
    name = arguments.pop(0) if arguments and not arguments[0].startswith("-") else None
    resume = _last_value("--resume", arguments)
    trusted = trust.trusted_modules(_values("--trust", arguments))
    checkpoint, settings = (None, None) if resume is None else _read_run(Path(resume), trusted, name is not None)
    if settings is not None and name not in (None, settings.task):
        raise CliError(f"train: '{resume}' is a run of task '{settings.task}', got task '{name}'")
    if resume is not None and settings is None and name is None:
        raise CliError(f"train: '{resume}' does not say which task it is of; give it: rslcore train TASK --resume ...")
    spec = find_task(name or (settings.task if settings else DEFAULT_TASK), "train")
    cfg, num_envs = spec.cfg(), spec.num_envs
    if settings is not None and checkpoint is not None:
        cfg = make_cfg(settings.agent, spec, checkpoint.parent / "params" / "agent.yaml", "train")
        num_envs = settings.num_envs
    taught_by = _last_value("--teacher", arguments)
    teacher = None if taught_by is None or resume is not None else _read_teacher(taught_by, spec, cfg, trusted)
    options, cfg = _parse(arguments, spec.name, num_envs, cfg)
    trust.find_typed(cfg.to_dict())
    if isinstance(cfg, DistillationRunnerCfg) and teacher is None and resume is None:
        hint = f", of a run like: {_command('train', spec.teacher_task)}" if spec.teacher_task else ""
        raise CliError(f"train: '{spec.name}' learns from a teacher; give --teacher RUN_FOLDER{hint}")
    # A checkpoint without settings is no run of ours: its folder is left alone.
    resumed_folder = checkpoint.parent if checkpoint is not None and settings is not None else None
    if resumed_folder is None:
        run_folder.check_names(cfg.experiment_name, cfg.run_name)
    return _Job(spec, options, cfg, checkpoint, teacher, resumed_folder)


def _read_teacher(path: str, spec: TaskSpec, cfg: RunnerCfg, trusted: Sequence[str]) -> Path:
    """Return the teacher's checkpoint; what its run folder tells of its model goes into the student's configuration."""
    if not isinstance(cfg, DistillationRunnerCfg):
        raise CliError(f"train: '{spec.name}' learns from rewards; --teacher is for the tasks of students")
    file, settings = _read_run(Path(path), trusted)
    if settings is None:
        return file
    source = file.parent / "params" / "agent.yaml"
    taught_by = make_cfg(settings.agent, find_task(settings.task, "train"), source, "train")
    if not isinstance(taught_by, OnPolicyRunnerCfg):
        raise CliError(f"train: '{path}' is a run of the student '{settings.task}'; a teacher must have learned by PPO")
    cfg.teacher, cfg.obs_groups["teacher"] = taught_by.actor, taught_by.obs_groups["actor"]
    return file


def _parse(arguments: list[str], task: str, num_envs: int, cfg: RunnerCfg) -> tuple[TrainOptions, RunnerCfg]:
    """Parse the options: those of the command, and one for every field of the configuration."""
    # The same configuration, but for a second name of one option.
    iterations = tyro.conf.arg(aliases=["--iterations"])
    settings_type = dataclasses.make_dataclass(
        type(cfg).__name__,
        [("max_iterations", Annotated[int, iterations], dataclasses.field(default=cfg.max_iterations))],
        bases=(type(cfg),),
    )
    all_type = dataclasses.make_dataclass(
        "AllOptions",
        [
            ("command", Annotated[TrainOptions, tyro.conf.arg(name="")]),
            ("settings", Annotated[settings_type, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff]),
        ],
    )
    parsed: Any = parse(
        all_type,
        arguments,
        command="train",
        usage="rslcore train [TASK]",
        description=_DESCRIPTION.format(task=task, default=DEFAULT_TASK),
        default=all_type(TrainOptions(num_envs), settings_type(**_fields(cfg))),
    )
    options, cfg = parsed.command, type(cfg)(**_fields(parsed.settings))
    for option, value, least in (
        ("--num-envs", options.num_envs, 1),
        ("--threads", options.threads, 0),
        ("--eval-episodes", options.eval_episodes, 0),
        ("--iterations", cfg.max_iterations, 0 if options.resume else 1),
        ("--num-steps-per-env", cfg.num_steps_per_env, 1),
        ("--save-interval", cfg.save_interval, 1),
    ):
        if value < least:
            raise CliError(f"train: {option} must be at least {least}, got {value}")
    if options.engine is not None:
        cfg.algorithm.engine = options.engine  # type: ignore[attr-defined]
    if options.video not in ("auto", "off"):
        raise CliError(f"train: --video must be auto or off, got '{options.video}'")
    return options, cfg


def _fields(cfg: RunnerCfg) -> dict[str, Any]:
    return {field.name: getattr(cfg, field.name) for field in dataclasses.fields(cfg)}


def _last_value(option: str, arguments: Sequence[str]) -> str | None:
    """Return the value of an option that is needed before all others can be parsed."""
    return next(reversed(_values(option, arguments)), None)


def _values(option: str, arguments: Sequence[str]) -> list[str]:
    """Return all values of an option, in the order given."""
    values = []
    for index, argument in enumerate(arguments):
        name, equals, text = argument.partition("=")
        if name.replace("_", "-") != option:
            continue
        if equals:
            values.append(text)
        elif index + 1 < len(arguments):
            values.append(arguments[index + 1])
    return values


def _read_run(
    path: Path, trusted: Sequence[str], task_given: bool = False
) -> tuple[Path, run_folder.RunSettings | None]:
    """Return checkpoint and settings of the run that is to be continued, or learned from."""
    from rslcore import checkpoint

    with user_errors("train"):
        file = checkpoint.resolve(path)
    return file, run_folder.read(file.parent, trusted, task_given=task_given)


def _settle_with_checkpoint(job: _Job, runner: OnPolicyRunner, arguments: Sequence[str]) -> None:
    """Apply the settings given that a checkpoint holds too, or say that those of the checkpoint go on."""
    say, settings = runner.logger.console.message, job.cfg.algorithm  # type: ignore[attr-defined]
    if _last_value("--algorithm.learning-rate", arguments) is not None:
        if getattr(settings, "schedule", "fixed") == "fixed":
            runner.alg.learning_rate = settings.learning_rate
            for group in runner.alg.optimizer.param_groups:
                group["lr"] = settings.learning_rate
            say(f"Learning rate: {settings.learning_rate:g}, as given")
        else:
            say(
                f"Learning rate: {runner.alg.learning_rate:g}, of the checkpoint; the one given "
                f"({settings.learning_rate:g}) is only used with --algorithm.schedule fixed"
            )
    if _last_value("--seed", arguments) is not None:
        say(f"Random numbers: those of the checkpoint go on; the seed given ({job.cfg.seed}) is only used to evaluate")


def _learn(job: _Job, runner: OnPolicyRunner, folder: Path) -> bool:
    """Train up to the total number of iterations; returns whether all were done, False after Ctrl-C."""
    first, total = runner.next_iteration, job.cfg.max_iterations
    if first >= total:
        runner.logger.console.message(
            f"Nothing to train: {first} iterations are done; --iterations {total} is the total, not what is added"
        )
        return True
    try:
        runner.learn(total - first, init_at_random_ep_len=job.cfg.init_at_random_ep_len)
    except KeyboardInterrupt:
        print(f"Interrupted. {_how_to_continue(job, folder)}", file=sys.stderr)
        return False
    except (ValueError, TypeError, ArithmeticError, ImportError) as error:
        if runner.next_iteration > first:  # the settings are good, this is something else
            raise
        raise CliError(f"train: {error_text(error)}") from error
    return True


def _how_to_continue(job: _Job, folder: Path) -> str:
    from rslcore import checkpoint

    if checkpoint.latest(folder) is None or not (folder / "params" / "run.yaml").is_file():
        return f"There is nothing to continue from in {folder}"
    return f"Continue with: {job.command('train', '--resume', folder)}"


def _finish(job: _Job, runner: OnPolicyRunner, folder: Path, device: str, *, interrupted: bool) -> None:
    """Draw the curves, evaluate and film unless the training was interrupted, and report.

    Raises:
        KeyboardInterrupt: The training was interrupted, or Ctrl-C was pressed here; raised after the report.
    """
    options = job.options
    console = Console(quiet=options.json, highlight=False, markup=False, soft_wrap=True)
    result: dict[str, Any] = {
        "task": job.spec.name,
        "run_folder": str(folder),
        "iterations": runner.next_iteration,
        "total_steps": runner.logger.tot_timesteps,
        "interrupted": interrupted,
        "evaluation": None,
        "curves": None,
        "video": None,
        "play": job.command("play", folder),
        "teach": [job.command("train", student, "--teacher", folder) for student in _students_of(job.spec.name)],
        "hints": [],
    }
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        try:
            with console.status("Drawing the curves"):
                result["curves"] = _draw_curves(folder, job.spec.name, result["hints"])
            if options.eval_episodes and not interrupted and job.spec.evaluate is not None:
                with console.status(f"Evaluating {options.eval_episodes} episodes"):
                    result["evaluation"] = evaluate(
                        job.spec,
                        runner.get_inference_policy(device),
                        episodes=options.eval_episodes,
                        seed=job.cfg.seed + UNSEEN_SEED_OFFSET,
                        device=device,
                        command="train",
                    )
                show(console, result["evaluation"])
            if options.video == "auto" and not interrupted:
                with console.status("Filming"):
                    result["video"] = _film(folder, result["hints"], job.trust_options())
        except KeyboardInterrupt:
            print(f"Interrupted after the training. Evaluate with: {result['play']}", file=sys.stderr)
            result["interrupted"] = True
        for hint in result["hints"]:
            console.print(hint)
        for name, value in (("Run folder", folder), ("Curves", result["curves"]), ("Video", result["video"])):
            if value is not None:
                console.print(f"{name + ':':<12}{value}")
        console.print(f"{'Play it:':<12}{result['play']}")
        for command in result["teach"]:
            console.print(f"{'Teach:':<12}{command}")
    if options.json:
        print(json.dumps({"result": result}), flush=True)
    if result["interrupted"]:
        raise KeyboardInterrupt


def _students_of(task: str) -> list[str]:
    """Return the tasks whose students learn from policies of this task."""
    from rslcore import tasks

    return [name for name in tasks.names() if tasks.get(name).teacher_task == task]


def _draw_curves(folder: Path, task: str, hints: list[str]) -> str | None:
    from rslcore.logging import plot_curves

    try:
        return str(plot_curves(folder, title=f"{task}, run {folder.resolve().name}"))
    except ImportError:
        hints.append('No curves.png: matplotlib is not installed; pip install "rslcore[plot]"')
    except (ValueError, OSError) as error:  # nothing has been logged, or it cannot be written
        hints.append(f"No curves.png: {error}")
    return None


def _film(folder: Path, hints: list[str], trust_options: Sequence[str] = ()) -> str | None:
    """Film the policy in another process: MuJoCo reads only once which OpenGL to use, and here it has been imported."""
    command = python_command(
        "from rslcore.cli import main; sys.exit(main())",
        *("play", str(folder), "--episodes", "0", "--device", "cpu", "--json", *trust_options),
    )
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "WORLD_SIZE"},  # it is alone
            capture_output=True,
            text=True,
            timeout=FILM_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        hints.append(f"No video: {error_text(error)}")
        return None
    if process.returncode != 0:
        hints.append(f"No video: {(process.stderr.strip().splitlines() or ['the drawing process died'])[-1]}")
        return None
    try:
        report = json.loads(process.stdout)
    except json.JSONDecodeError as error:
        hints.append(f"No video: the drawing process printed no report ({error_text(error)})")
        return None
    if report["video_hint"] is not None:
        hints.append(report["video_hint"])
    return report["video"]


def _command(*words: object) -> str:
    # As this program was called, if that was by a path of its own: `make train` runs .venv/bin/rslcore.
    called = Path(sys.argv[0])
    program = str(called) if called.name == "rslcore" and not called.is_absolute() else "rslcore"
    return shlex.join([program, *map(str, words)])
