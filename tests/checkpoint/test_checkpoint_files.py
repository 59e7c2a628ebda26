# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of checkpoint files: complete or absent, read safely, found by number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from limits import HANG

from rslcore import checkpoint


def test_read_returns_what_was_written(tmp_path: Path) -> None:
    """Tensors, nesting and plain values come back equal, from a Path or a str, into a folder that did not exist."""
    content = {"weights": {"a": torch.arange(6.0).reshape(2, 3)}, "iter": 3, "infos": None, "names": ["x", "y"]}
    path = tmp_path / "new" / "model_3.pt"
    checkpoint.write(content, path)
    back = checkpoint.read(str(path))
    assert torch.equal(back["weights"]["a"], content["weights"]["a"])
    assert (back["iter"], back["infos"], back["names"]) == (3, None, ["x", "y"])
    assert os.listdir(path.parent) == ["model_3.pt"]


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """When writing fails half way, the file that was there is unchanged and no temporary file stays."""
    path = tmp_path / "model_0.pt"
    checkpoint.write({"iter": 0}, path)
    before = path.read_bytes()
    with pytest.raises(Exception, match="pickle"):
        checkpoint.write({"big": torch.zeros(1000), "bad": lambda: None}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model_0.pt"]


def test_write_reaches_the_disk_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is: file forced to disk, then rename, then folder forced to disk."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (calls.append("folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "file"), fsync(fd))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    checkpoint.write({"iter": 0}, tmp_path / "model_0.pt")
    assert calls == ["file", "rename", "folder"]


WRITER = """
import sys, torch
from rslcore import checkpoint
torch.set_num_threads(1)
for i in range(1000000):
    checkpoint.write({"iter": i, "data": torch.full((500_000,), float(i))}, sys.argv[1])
    print(i, flush=True)
"""


def test_kill_while_writing_leaves_a_complete_file(tmp_path: Path) -> None:
    """A writer killed at any moment leaves a readable file whose parts belong together; its leftovers are removed."""
    path = tmp_path / "model_0.pt"
    checkpoint.write({"iter": -1, "data": torch.full((1,), -1.0)}, path)
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    for delay in (0.013, 0.002, 0.031):
        time.sleep(delay)
        content = checkpoint.read(path)  # a reader meets a complete file while writing goes on
        assert torch.equal(content["data"], torch.full_like(content["data"], content["iter"]))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / f".model_0.pt.{process.pid}.rslcore-tmp").write_bytes(b"half a file")
    content = checkpoint.read(checkpoint.latest(tmp_path) or "")
    assert torch.equal(content["data"], torch.full_like(content["data"], content["iter"]))
    assert checkpoint.clean_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["model_0.pt"]


def test_latest_goes_by_number_and_skips_damage(tmp_path: Path) -> None:
    """model_10 is later than model_9; truncated files, temporary files and other names do not count."""
    assert checkpoint.latest(tmp_path) is None
    assert checkpoint.latest(tmp_path / "absent") is None
    for iteration in (9, 10, 2):
        checkpoint.write({"iter": iteration, "data": torch.zeros(1000)}, tmp_path / f"model_{iteration}.pt")
    whole = (tmp_path / "model_10.pt").read_bytes()
    (tmp_path / "model_11.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "model_12.pt").write_bytes(b"")
    (tmp_path / ".model_13.pt.7.rslcore-tmp").write_bytes(whole)
    (tmp_path / "model_best.pt").write_bytes(whole)
    assert checkpoint.latest(tmp_path) == tmp_path / "model_10.pt"
    assert checkpoint.resolve(tmp_path) == tmp_path / "model_10.pt"
    assert checkpoint.resolve(tmp_path / "model_2.pt") == tmp_path / "model_2.pt"
    with pytest.raises(FileNotFoundError, match="nothing"):
        checkpoint.resolve(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no 'model_\*\.pt'"):
        checkpoint.resolve(tmp_path / "empty")


def test_read_refuses_damage_and_foreign_objects(tmp_path: Path) -> None:
    """Damaged files and files with objects that could run code raise ValueError; the latter load on request."""
    path = tmp_path / "model_0.pt"
    with pytest.raises(FileNotFoundError, match="model_0"):
        checkpoint.read(path)
    torch.save({"iter": 0, "data": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    for part in (b"", b"text, no checkpoint", whole[: len(whole) // 2]):
        path.write_bytes(part)
        with pytest.raises(ValueError, match="damaged or no checkpoint"):
            checkpoint.read(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="must hold a dict, got list"):
        checkpoint.read(path)
    torch.save({"infos": Fraction(1, 3)}, path)
    with pytest.raises(ValueError, match="weights_only=False"):
        checkpoint.read(path)
    assert checkpoint.read(path, weights_only=False)["infos"] == Fraction(1, 3)


def test_first_not_plain_agrees_with_torch(tmp_path: Path) -> None:
    """What is called plain loads with weights_only=True, what is not is named by its place."""
    plain = {
        "a": [1, 2.0, None, True, "s", b"b"],
        3: (torch.zeros(2), torch.float32),
        "s": {1, 2},
        "size": torch.Size([1]),
    }
    assert checkpoint.first_not_plain(plain, "infos") is None
    torch.save(plain, tmp_path / "plain.pt")
    torch.load(tmp_path / "plain.pt", weights_only=True)
    assert checkpoint.first_not_plain({"a": [0, {"b": Fraction(1)}]}, "infos") == "infos['a'][1]['b'] (Fraction)"


def test_random_state_continues_all_generators() -> None:
    """After a restore, torch, NumPy and Python draw what they drew after the state was taken."""
    import random

    import numpy as np

    torch.manual_seed(3)
    np.random.seed(4)
    random.seed(5)
    np.random.standard_normal()  # leaves a cached second value
    random.gauss(0, 1)  # likewise
    state = checkpoint.random_state("cpu")
    assert checkpoint.first_not_plain(state, "state") is None

    def draw() -> list[float]:
        return [*torch.randn(3).tolist(), *np.random.standard_normal(3), random.gauss(0, 1), random.random()]

    first = draw()
    assert draw() != first
    checkpoint.restore_random_state(state, "cpu")
    assert draw() == first


def flip_a_byte(path: Path) -> None:
    """Damage the stored tensor; the zip directory at the end stays whole."""
    content = bytearray(path.read_bytes())
    content[content.index(b"\x07" * 64)] ^= 1
    path.write_bytes(content)


def test_wrong_checksum_is_damage(tmp_path: Path) -> None:
    """One flipped byte in a tensor: read refuses the file and latest passes it over."""
    for iteration in (1, 2):
        checkpoint.write({"data": torch.full((256,), 7, dtype=torch.uint8)}, tmp_path / f"model_{iteration}.pt")
    flip_a_byte(tmp_path / "model_2.pt")
    with pytest.raises(checkpoint.CheckpointError, match="damaged"):
        checkpoint.read(tmp_path / "model_2.pt")
    assert checkpoint.latest(tmp_path) == tmp_path / "model_1.pt"


def test_any_parsing_error_is_a_checkpoint_error(tmp_path: Path) -> None:
    """Intact zips whose pickle makes the parser raise AttributeError, TypeError, ... are damaged checkpoints too."""
    import zipfile

    torch.save({"iter": 0}, tmp_path / "whole.pt")
    for pickled in (b"", b"N.", b"\x80\x02a.", b"\x80\x02}K\x01R.", b"\x80\x02cx\n.", b"\x80\x02X\xff\xff\xff\x7f."):
        path = tmp_path / "model_0.pt"
        with zipfile.ZipFile(tmp_path / "whole.pt") as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                target.writestr(name, pickled if name.endswith("data.pkl") else source.read(name))
        with pytest.raises(checkpoint.CheckpointError):
            checkpoint.read(path)


FULL_DISK = """
import resource, signal, sys, torch
from rslcore import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoint.write({"data": torch.zeros(1_000_000)}, sys.argv[1])
except OSError as error:
    assert sys.argv[1] in str(error), error
    print("named")
"""


def test_full_disk_is_an_os_error_naming_the_path(tmp_path: Path) -> None:
    """A file that cannot grow is an OSError with the path; nothing stays."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "model_0.pt")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
    assert result.stdout == "named\n", result.stderr
    assert not os.listdir(tmp_path)


def test_leftovers_of_live_processes_stay(tmp_path: Path) -> None:
    """A temporary file of a process that still runs may be in the middle of being written."""
    live = tmp_path / f".model_0.pt.{os.getppid()}.rslcore-tmp"
    own = tmp_path / f".model_0.pt.{os.getpid()}.rslcore-tmp"
    for file in (live, own):
        file.write_bytes(b"half a file")
    assert checkpoint.clean_leftovers(tmp_path) == [own]
    assert live.exists()


def test_supersede_moves_later_checkpoints(tmp_path: Path) -> None:
    """Checkpoints of later iterations go to a sub-folder, in order; with none there is no such folder."""
    for iteration in (0, 2, 9, 10):
        checkpoint.write({"iter": iteration}, tmp_path / f"model_{iteration}.pt")
    assert checkpoint.supersede(tmp_path, 10) == []
    assert not (tmp_path / "superseded").exists()
    assert [file.name for file in checkpoint.supersede(tmp_path, 2)] == ["model_9.pt", "model_10.pt"]
    assert checkpoint.latest(tmp_path) == tmp_path / "model_2.pt"
    assert checkpoint.latest(tmp_path / "superseded") == tmp_path / "superseded/model_10.pt"


LOCK_HOLDER = """
import signal, sys
from rslcore import checkpoint
with checkpoint.lock(sys.argv[1]):
    print(flush=True)
    signal.pause()
"""


def test_lock_is_exclusive_until_its_end(tmp_path: Path) -> None:
    """A second lock names the process that holds the first; released, or its process killed, the folder is free."""
    process = subprocess.Popen([sys.executable, "-c", LOCK_HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    message = f"is being trained by process {process.pid};"
    with pytest.raises(checkpoint.CheckpointError, match=message), checkpoint.lock(tmp_path):
        pass
    process.kill()
    process.communicate()
    for _ in range(2):
        with checkpoint.lock(tmp_path):
            assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_superseding_loses_nothing_and_can_be_undone(tmp_path: Path) -> None:
    """A second branch is kept beside the first one of the same names; moved back, the folder is what it was."""
    for branch in (1, 2):
        checkpoint.write({"iter": 3, "branch": branch}, tmp_path / "model_3.pt")
        moved = checkpoint.supersede(tmp_path, 2)
    assert checkpoint.read(tmp_path / "superseded/model_3.pt")["branch"] == 1
    assert moved == [tmp_path / "superseded_2/model_3.pt"]
    checkpoint.restore_superseded(moved)
    assert checkpoint.read(tmp_path / "model_3.pt")["branch"] == 2
    assert sorted(os.listdir(tmp_path)) == ["model_3.pt", "superseded"]


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipes_and_devices_are_no_checkpoints(tmp_path: Path, kind: str) -> None:
    """A pipe, or a link to an endless device, of a checkpoint's name: refused by name, passed over in a folder."""
    checkpoint.write({"iter": 1}, tmp_path / "model_1.pt")
    strange = tmp_path / "model_99.pt"
    if kind == "pipe":
        os.mkfifo(strange)
    else:
        strange.symlink_to("/dev/zero")
    for function in (checkpoint.read, checkpoint.resolve):
        with pytest.raises(checkpoint.CheckpointError, match=r"model_99\.pt' cannot be read: it is no regular file"):
            function(strange)
    assert checkpoint.latest(tmp_path) == tmp_path / "model_1.pt"
    checkpoint.write({"iter": 99}, strange)  # takes the place of the name, not of what stood behind it
    assert checkpoint.read(strange)["iter"] == 99


def test_links_are_not_written_through(tmp_path: Path) -> None:
    """A lock or temporary file that is a link: its target stays as it is. Pipes of these names do not block."""
    target = tmp_path / "precious"
    target.write_text("data")
    (tmp_path / ".lock").symlink_to(target)
    with pytest.raises(OSError, match=r"it is a symbolic link: .*\.lock"), checkpoint.lock(tmp_path):
        pass
    (tmp_path / ".lock").unlink()
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(OSError, match=r"it is no regular file: .*\.lock"), checkpoint.lock(tmp_path):
        pass
    (tmp_path / f".model_0.pt.{os.getpid()}.rslcore-tmp").symlink_to(target)
    checkpoint.write({"iter": 0}, tmp_path / "model_0.pt")
    assert target.read_text() == "data"


def test_lock_knows_whether_its_folder_is_there(tmp_path: Path) -> None:
    """Deleted, made again by somebody else, or moved: the folder is not the one that was locked."""
    run_dir = tmp_path / "run"
    with checkpoint.lock(run_dir) as held:
        assert held.is_in_place()
        run_dir.rename(tmp_path / "moved")
        assert not held.is_in_place()
        run_dir.mkdir()
        assert not held.is_in_place()


def test_any_flipped_bit_of_the_end_is_a_checkpoint_error(tmp_path: Path) -> None:
    """Every bit of the zip directory, flipped: the file reads as it was, or is refused by the one kind of error."""
    path = tmp_path / "model_0.pt"
    checkpoint.write({"iter": 0, "data": torch.arange(3)}, path)
    whole = path.read_bytes()
    refused = 0
    for bit in range(8 * (len(whole) - 120), 8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert torch.equal(checkpoint.read(path)["data"], torch.arange(3))
        except checkpoint.CheckpointError:
            refused += 1
        checkpoint.latest(tmp_path)
    assert refused > 100
