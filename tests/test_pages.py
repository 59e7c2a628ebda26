# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What README and docs print can be typed as it stands: programs, commands, files that are named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from rslcore.cli import main
from rslcore.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs").glob("*.md")]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in sorted(PAGES)}
OPTIONAL = {"envpool", "gymnasium", "mjbatch", "mujoco", "onnx", "onnxruntime"}
"""Packages without which a page that needs them is passed over."""


def fragments(text: str, *languages: str) -> list[tuple[int, str]]:
    """Fragments in one of some languages, each with the number of lines before it."""
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [(text.count("\n", 0, match.start(2)), match[2]) for match in found if match[1] in languages]


PROGRAMS = {name: fragments(text, "python") for name, text in TEXTS.items() if fragments(text, "python")}


def test_programs_are_found() -> None:
    """No fragment of Python hides under another name of its language."""
    assert {"README.md", "docs/environments.md", "docs/export.md"} <= set(PROGRAMS)
    for name, text in TEXTS.items():
        assert set(re.findall(r"^```(\w+)", text, re.M)) <= {"python", "bash", "cpp"}, name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", PROGRAMS)
def test_every_program_runs_as_printed(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fragments of a page, one after another, are a program that runs in an empty folder on a CPU."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    try:
        for line, source in PROGRAMS[page]:
            exec(
                compile("\n" * line + source, page, "exec"), namespace
            )  # the lines of a traceback are those of the page
    except ImportError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"{page} needs {error.name}")


def commands(text: str) -> list[list[str]]:
    """The lines of rslcore's command line that a page prints, without their comments."""
    lines = [line for _, block in fragments(text, "", "bash") for line in block.splitlines()]
    lines += re.findall(r"`(rslcore [^`]+)`", text)
    return [shlex.split(line, comments=True)[1:] for line in lines if re.match(r"(\.venv/bin/)?rslcore ", line)]


LINES = sorted({tuple(line) for text in TEXTS.values() for line in commands(text)})


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_printed_command_is_accepted(line: tuple[str, ...], run_help: Callable[[str], str]) -> None:
    """The command exists, and so does each of its options, as its help tells; nothing in it means more to a shell."""
    name, *options = line
    assert name in COMMANDS and not set("".join(options)) & set("<>|;&")
    text = run_help(name)
    for option in options:
        if option.startswith("-"):
            assert re.search(rf"(?<![\w-]){re.escape(option.partition('=')[0])}(?![\w.-])", text), option


SCRIPTS = sorted(
    {
        match
        for text in TEXTS.values()
        for match in re.findall(r"((?:benchmarks|examples)/\w[\w/]*\.py)((?: [^`\n]*?)? --[^`\n]+)", text)
    }
)


@pytest.mark.parametrize(("script", "arguments"), SCRIPTS, ids=["".join(pair) for pair in SCRIPTS])
def test_every_option_of_a_printed_script_exists(script: str, arguments: str) -> None:
    """A benchmark or example that a page calls with an option has it, or the module has that parses for its folder."""
    sources = "".join(path.read_text() for path in [ROOT / script, *(ROOT / script).parent.glob("_*.py")])
    for option in re.findall(r"--[a-z][\w-]*", arguments):
        assert option == "--help" or f'"{option}"' in sources, option


@pytest.fixture
def run_help(capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """The help text of a command."""

    def call(name: str) -> str:
        assert main([name, "--help"]) == 0
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("page", TEXTS)
def test_files_that_are_named_exist(page: str) -> None:
    """A link leads to a file, and so does every path into the tree that is written as code."""
    text = re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.M | re.S)
    folder = (ROOT / page).parent
    links = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert not [target for target in links if not (folder / target).exists()]
    top = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    words = re.findall(r"`(\S+?)`", text)
    placeholder = re.compile(r"foo|\b[A-Z]+\b")
    paths = [w for w in words if re.match(rf"({top}|results)/[\w./-]*\w$", w) and not placeholder.search(w)]
    missing = [path for path in paths if not (ROOT / path).exists() and not (folder / path).exists()]
    assert not missing


def test_the_recipe_of_a_build_is_complete() -> None:
    """What a build by hand is told to install, here and by CMake, are all the tools that `make` installs for it."""
    requirements = (ROOT / "requirements" / "train.txt").read_text().split("\n\n")[0].splitlines()
    tools = {line for line in requirements if not line.startswith(("#", "-"))}
    assert "cmake" in tools
    for text in (TEXTS["docs/install.md"], (ROOT / "cmake" / "RslcoreTorch.cmake").read_text()):
        recipe = re.search(r"pip install (torch [\w -]+?)(?: &&|\n)", text)
        assert recipe is not None and set(recipe[1].split()) == {"torch", *tools}
