# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a run folder names is loaded only where it is rslcore's, rsl_rl's, or of a module that the user trusts."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from limits import HANG

from rslcore import checkpoint
from rslcore.cli import run_folder
from rslcore.cli.errors import CliError
from rslcore.runners import OnPolicyRunner

TRAINING = [
    "train", "cart-pole", "--num-envs", "2", "--num-steps-per-env", "8", "--iterations", "1", "--threads", "1",
    "--device", "cpu", "--eval-episodes", "0", "--video", "off",
]  # fmt: skip
ONE_MORE = ("--iterations", 2, "--eval-episodes", 0, "--video", "off", "--device", "cpu", "--threads", 1)
COMMANDS = {"resume": ("train", *ONE_MORE, "--resume"), "play": ("play", "--video", "off"), "export": ("export",)}

OTHERS = """
    from pathlib import Path

    import torch

    import rslcore.algorithms, rslcore.logging, rslcore.models, rslcore.modules, rslcore.runners

    Path(__file__).with_suffix(".ran").touch()


    class Runner(rslcore.runners.OnPolicyRunner): ...
    class Algorithm(rslcore.algorithms.PPO): ...
    class Model(rslcore.models.MLPModel): ...
    class Distribution(rslcore.modules.GaussianDistribution): ...


    class Writer:
        def __init__(self, log_dir): self.file = Path(log_dir) / "written.txt"
        def add_scalar(self, tag, scalar_value, global_step): self.file.touch()


    def mirror(env, obs, actions):
        return tuple(x if x is None else torch.cat([x, x]) for x in (obs, actions))
"""
"""A module with one object of every kind that tells whether it was imported."""

NAMES = {
    "class_name": "Runner",
    "algorithm.class_name": "Algorithm",
    "algorithm.symmetry_cfg.data_augmentation_func": "mirror",
    "actor.class_name": "Model",
    "critic.class_name": "Model",
    "actor.distribution_cfg.class_name": "Distribution",
    "logger.class_name": "Writer",
    "logger": "Writer",
}
"""Every place of a training configuration where a name may stand, and what of that module fits there."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """The folder of a run on the cart and pole."""
    root = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "rslcore", *TRAINING, "--log-dir", str(root)]
    subprocess.run(command, check=True, capture_output=True, timeout=HANG)
    (folder,) = (root / "cart-pole").iterdir()
    return folder


@pytest.fixture
def folder(kept, tmp_path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(kept, tmp_path / "run"))


@pytest.fixture
def others(tmp_path, monkeypatch) -> Path:
    """The module `others`, installed; returns the file that it leaves when it is imported."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "others.py").write_text(textwrap.dedent(OTHERS))
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "others", raising=False)
    yield site / "others.ran"
    for name in ("others", "shop"):
        sys.modules.pop(name, None)


def set_in(file: Path, key: str, value: object) -> None:
    """Write a value into a YAML file, at a key such as "actor.class_name"."""
    content = yaml.safe_load(file.read_text())
    *path, last = key.split(".")
    place = content
    for part in path:
        place[part] = place.get(part) if isinstance(place.get(part), dict) else {}
        place = place[part]
    place[last] = value
    file.write_text(yaml.safe_dump(content))


def agent_of(folder: Path) -> Path:
    """The file with the training configuration."""
    return folder / "params" / "agent.yaml"


@pytest.mark.parametrize("key", NAMES)
def test_foreign_names_are_refused_unloaded(key, folder, others, error_line):
    """Law: wherever a file names an object of another module, key and module are told, and nothing is imported."""
    set_in(agent_of(folder), key, f"others:{NAMES[key]}")
    message = error_line("train", "--resume", folder, *ONE_MORE)
    assert f"`{key}` names 'others:{NAMES[key]}', of the module 'others', which is not trusted" in message
    assert "--trust others" in message
    assert not others.exists() and "others" not in sys.modules


@pytest.mark.parametrize(("key", "by"), [*((key, "option") for key in NAMES), ("logger.class_name", "variable")])
def test_what_is_trusted_trains_on(key, by, folder, others, run, monkeypatch):
    """Law: with --trust, or the variable that jobs can set, the same folder is continued with the user's class."""
    set_in(agent_of(folder), key, f"others.{NAMES[key]}")
    if by == "variable":
        monkeypatch.setenv("RSLCORE_TRUST", "another_one, others,")
    code, _, err = run("train", "--resume", folder, *ONE_MORE, *(("--trust", "others") if by == "option" else ()))
    assert code == 0, err
    assert others.exists() and (folder / "model_1.pt").is_file()
    assert (folder / "written.txt").is_file() is key.startswith("logger")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_a_folder_asks(command, folder, others, error_line, run):
    """Law: resume, play and export alike; with --trust each does its work."""
    set_in(agent_of(folder), "actor.class_name", "others:Model")
    assert "'others', which is not trusted" in error_line(*COMMANDS[command], folder)
    assert not others.exists()
    if command != "export":  # needs onnx, and seconds
        code, _, err = run(*COMMANDS[command], folder, "--trust", "others")
        assert code == 0, err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_task_that_imports_is_refused(command, folder, others, error_line):
    """Law: a library's task with a module to import counts as a name; typed by hand, it is imported."""
    pytest.importorskip("gymnasium")
    set_in(folder / "params" / "run.yaml", "task", "gymnasium:others:Grid-v0")
    message = error_line(*COMMANDS[command], folder)
    assert "`task` is 'gymnasium:others:Grid-v0', of the module 'others', which is not trusted" in message
    assert not others.exists()
    typed = ("--task",) if command != "resume" else ()
    name, *options = COMMANDS[command]
    rest = (*options, folder, *typed, "gymnasium:others:Grid-v0")
    rest = rest if typed else ("gymnasium:others:Grid-v0", *options, folder)
    assert "gymnasium has no environment 'others:Grid-v0'" in error_line(name, *rest)
    assert others.exists()


def test_a_teacher_is_asked_about_too(folder, others, error_line):
    """Law: the folder of a teacher is somebody's folder."""
    set_in(agent_of(folder), "actor.class_name", "others:Model")
    arguments = ("train", "quadruped-flat-student", "--teacher", folder)
    assert "'others', which is not trusted" in error_line(*arguments)
    set_in(folder / "params" / "run.yaml", "task", "gymnasium:others:Grid-v0")
    assert "'others', which is not trusted" in error_line(*arguments)
    assert not others.exists()


def test_the_local_hub_is_not_run(folder, error_line):
    """Law: a function of torch that runs a local file is neither of a trusted module nor, with trust, a log writer."""
    (folder / "hubconf.py").write_text(
        "from pathlib import Path\ndef evil(**given):\n    Path(__file__).with_suffix('.ran').touch()\n"
    )
    logger = {"class_name": "torch.hub:load", "source": "local", "repo_or_dir": str(folder), "model": "evil"}
    set_in(agent_of(folder), "logger", logger)
    assert "of the module 'torch.hub', which is not trusted" in error_line("train", "--resume", folder, *ONE_MORE)
    message = error_line("train", "--resume", folder, *ONE_MORE, "--trust", "torch")
    assert "which is not a log writer (a class with add_scalar)" in message
    assert not (folder / "hubconf.ran").exists()


@pytest.mark.parametrize(
    ("key", "name", "reason"),
    [
        ("actor.class_name", "os:system", "of the module 'os', which is not trusted"),
        ("actor.class_name", "os.system", "of the module 'os', which is not trusted"),
        ("actor.class_name", "rslcore.cli.video:subprocess.Popen", "of the module 'subprocess', which is not trusted"),
        ("actor.class_name", "rslcore.cli.video.subprocess.Popen", "of the module 'subprocess', which is not trusted"),
        ("actor.class_name", "rslcore.modules.mlp:nn.Linear", "of the module 'torch.nn', which is not trusted"),
        ("actor.class_name", "rslcore.cli.video:subprocess", "which is not a model"),
        ("actor.class_name", "rslcore.runners.on_policy_runner:Path", "which is not a model"),
        ("actor.class_name", "rsl_rlx:Model", "of the module 'rsl_rlx', which is not trusted"),
        ("actor.class_name", "rslcore.nowhere:Model", "cannot be loaded (No module named"),
        ("actor.class_name", "RolloutStorage", "which is not a model"),
        ("actor.class_name", ["MLPModel"], "must be a name, got list"),
        ("algorithm.class_name", "MLPModel", "which is not an algorithm"),
        ("class_name", "PPO", "which is not a runner"),
        ("logger.class_name", "PPO", "which is not a log writer"),
        ("actor.distribution_cfg.class_name", "MLPModel", "which is not a distribution"),
        (
            "algorithm.symmetry_cfg.data_augmentation_func",
            "rslcore.utils.resolve:copy.deepcopy",
            "of the module 'copy'",
        ),
        ("algorithm.symmetry_cfg.data_augmentation_func", "PPO", "which is not a function"),
        ("obs_groups.class_name", "os:system", "of the module 'os', which is not trusted"),
    ],
)
def test_ways_round(key, name, reason, folder, error_line):
    """Law: what counts is the module that an object is from, and what it is, not the name by which it is reached."""
    set_in(agent_of(folder), key, name)
    assert reason in error_line("train", "--resume", folder, *ONE_MORE)


def test_a_class_that_is_only_passed_on(folder, others, error_line):
    """Law: trust in a module is none in the module from which it has a class."""
    (others.parent / "shop.py").write_text("from others import Model\n")
    set_in(agent_of(folder), "actor.class_name", "shop:Model")
    message = error_line("train", "--resume", folder, *ONE_MORE, "--trust", "shop")
    assert "of the module 'others', which is not trusted" in message


def test_trust_covers_submodules_alone(folder, others, error_line, run):
    """Law: trust in a package is trust in its modules; a name that begins alike is another one."""
    package = others.parent / "others_more"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(others.parent / "others.py", package / "models.py")
    set_in(agent_of(folder), "actor.class_name", "others_more.models:Model")
    resume = ("train", "--resume", folder, *ONE_MORE)
    assert "'others_more.models', which is not trusted" in error_line(*resume, "--trust", "others")
    assert run(*resume, "--trust", "others", "--trust=others_more")[0] == 0


@pytest.mark.parametrize("value", ["", "a-b", "a,b", "../x", ".others"])
def test_trust_takes_names_of_modules(value, folder, error_line, monkeypatch):
    """Law: what is no name of a module is refused by the option, or the variable, that has it."""
    assert f"--trust must be the name of a module, such as my_package, got '{value}'" in error_line(
        "play", folder, f"--trust={value}"
    )
    monkeypatch.setenv("RSLCORE_TRUST", "a-b")
    assert "RSLCORE_TRUST must be the name of a module, such as my_package, got 'a-b'" in error_line("play", folder)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("actor.class_name", "rsl_rl.models:MLPModel"),
        ("critic.class_name", "rsl_rl.models.mlp_model.MLPModel"),
        ("actor.class_name", "rslcore.models:MLPModel"),
        ("algorithm.class_name", "rsl_rl.algorithms:PPO"),
        ("class_name", "rsl_rl.runners:OnPolicyRunner"),
        ("actor.distribution_cfg.class_name", "rsl_rl.modules:GaussianDistribution"),
        ("logger.class_name", "tensorboard"),
    ],
)
def test_names_of_rsl_rl_need_no_trust(key, name, folder, run):
    """Law: folders that name classes of rslcore or rsl_rl are continued as before."""
    set_in(agent_of(folder), key, name)
    code, _, err = run("train", "--resume", folder, *ONE_MORE)
    assert code == 0, err


def test_classes_of_the_original_itself(tmp_path):
    """Law: a class that only rsl_rl has is rsl_rl's and loaded; what rsl_rl has from elsewhere is not."""
    pytest.importorskip("rsl_rl")
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "run.yaml").write_text("task: cart-pole\nnum_envs: 2\n")
    agent_of(tmp_path).write_text("logger: rsl_rl.utils.neptune_log_writer:NeptuneLogWriter\n")
    assert run_folder.read(tmp_path).agent["logger"].endswith("NeptuneLogWriter")
    agent_of(tmp_path).write_text("logger: rsl_rl.utils.neptune_log_writer:os.system\n")
    with pytest.raises(CliError, match="of the module 'os', which is not trusted"):
        run_folder.read(tmp_path)
    agent_of(tmp_path).write_text("logger: rsl_rl.utils.neptune_log_writer:SummaryWriter\n")
    with pytest.raises(CliError, match=r"of the module 'torch.utils.tensorboard.writer', which is not trusted"):
        run_folder.read(tmp_path)


def test_aliases_of_yaml_end(tmp_path):
    """Law: a file that contains itself, or very many times the same, is refused in a moment; a few are read."""
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "run.yaml").write_text("task: cart-pole\nnum_envs: 2\n")
    levels = ["a0: &a0 [1]\n", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40))]
    for content in ("self: &self {again: *self}\n", "".join(levels)):
        agent_of(tmp_path).write_text(content)
        with pytest.raises(CliError, match=r"agent.yaml' \(it stands for more than"):
            run_folder.read(tmp_path)
    agent_of(tmp_path).write_text("".join(levels[:3]))
    assert run_folder.read(tmp_path).agent["a2"] == [[[1]] * 9] * 9


def test_an_alias_is_looked_at_where_it_stands(folder, error_line):
    """Law: a dictionary that a file has in two places must fit in both."""
    agent = agent_of(folder)
    content = yaml.safe_load(agent.read_text())
    content["logger"] = content["critic"] = {"class_name": "MLPModel"}
    agent.write_text(yaml.safe_dump(content))
    assert "&id001" in agent.read_text()
    assert "`logger.class_name` names 'MLPModel', which is not a log writer" in error_line("play", folder)


def test_tags_of_yaml_make_no_objects(folder, tmp_path, error_line):
    """Law: a tag of Python in a file is an error, not a call."""
    marker = tmp_path / "ran"
    for name in ("agent", "run"):
        file = folder / "params" / f"{name}.yaml"
        before = file.read_text()
        file.write_text(before + f"extra: !!python/object/apply:os.mkdir [{marker}]\n")
        assert "cannot read" in error_line("train", "--resume", folder, *ONE_MORE)
        file.write_text(before)
    assert not marker.exists()


class Payload:
    """Unpickled, it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        """The call."""
        return Path.mkdir, (self.marker,)


@pytest.mark.parametrize("command", COMMANDS)
def test_checkpoints_run_nothing(command, folder, tmp_path, run):
    """Law: a checkpoint with other objects than tensors and plain values is refused, whoever is trusted."""
    marker = tmp_path / "ran"
    file = folder / "model_0.pt"
    content = checkpoint.read(file)
    checkpoint.write({**content, "infos": Payload(marker)}, file)
    code, _, err = run(*COMMANDS[command], folder, "--trust", "pathlib")
    assert code == 2 and "can run any code" in err
    file.write_bytes(pickle.dumps(Payload(marker), protocol=2))
    code, _, err = run(*COMMANDS[command], file)
    assert code == 2 and "damaged or no checkpoint" in err
    assert not marker.exists()


def test_printed_commands_trust_what_they_need(others, tmp_path, run, monkeypatch):
    """Law: typed by hand, classes need no trust; the commands printed for the folder contain it, and work."""
    (others.parent / "shop.py").write_text("from others import Model\n")
    typed = ("--actor.class-name", "shop:Model", "--logger", "tensorboard")
    code, out, err = run(*TRAINING, *typed, "--log-dir", tmp_path, "--json")
    assert code == 0, err
    (folder,) = (tmp_path / "cart-pole").iterdir()
    play = json.loads(out.splitlines()[-1])["result"]["play"]
    words, trust = play.split()[:3], play.split()[3:]
    assert words == ["rslcore", "play", str(folder)]
    assert sorted(trust[1::2]) == ["others", "shop"] and set(trust[::2]) == {"--trust"}
    assert run("play", folder, *trust, "--episodes", 2, "--video", "off")[0] == 0

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OnPolicyRunner, "learn", interrupted)
    code, _, err = run("train", "--resume", folder, *ONE_MORE, *trust)
    assert code == 130, err
    printed = err.split("Continue with: rslcore ")[1].split()
    assert printed[:3] == ["train", "--resume", str(folder)] and sorted(printed[4::2]) == ["others", "shop"]
