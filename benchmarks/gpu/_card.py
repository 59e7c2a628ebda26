# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the GPU benchmarks share: the card and its state, timing on the device, the documents they write."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import rslcore

QUERY = ("name", "driver_version", "clocks.sm", "clocks.mem", "clocks.max.sm", "power.limit", "temperature.gpu")


def parser(description: str) -> argparse.ArgumentParser:
    """Options of every benchmark here."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--device", default="cuda", help="cpu only tries the script out: its figures mean nothing")
    made.add_argument("--small", action="store_true", help="tiny sizes and few rounds, to try the script out")
    made.add_argument("--out", type=Path, help="JSON file to write")
    return made


def require_device(device: str) -> torch.device:
    """The device, or the end of the program with the reason why there is none."""
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        build = "a build without CUDA" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
        sys.exit(f"No GPU: torch {torch.__version__} ({build}) sees no CUDA device. Nothing was measured.")
    error = rslcore.build_info().get("cuda_error") if chosen.type == "cuda" else None
    if error:
        sys.exit(f"rslcore's CUDA library does not load: {error}. Nothing was measured.")
    return chosen


def machine(device: torch.device) -> dict[str, Any]:
    """Card, driver, clocks, versions, date and command."""
    found: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.orig_argv[1:]]),
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "git_revision": rslcore.build_info()["git_revision"],
        "device": str(device),
    }
    if device.type == "cuda":
        found["capability"] = ".".join(map(str, torch.cuda.get_device_capability(device)))
        number = str(device.index or 0)
        command = ["nvidia-smi", f"--id={number}", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader"]
        try:
            text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
            found["card"] = dict(zip(QUERY, (value.strip() for value in text.split(",")), strict=True))
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            found["card"] = {"name": torch.cuda.get_device_name(device), "nvidia-smi": str(error)}
    return found


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def wall_ms(call: Callable[[], object], device: torch.device, rounds: int) -> list[float]:
    """Milliseconds of every call, from an idle device to an idle device."""
    times = []
    for _ in range(rounds):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        times.append((time.perf_counter() - start) * 1e3)
    return times


def device_us(call: Callable[[], object], device: torch.device, rounds: int = 50, repeats: int = 20) -> float:
    """Median microseconds of a call on the device: `repeats` of them between two events, or by the clock on a CPU."""
    for _ in range(5):
        call()
    synchronize(device)
    times = []
    for _ in range(rounds):
        if device.type == "cuda":
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            for _ in range(repeats):
                call()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) * 1e3 / repeats)
        else:
            begun = time.perf_counter()
            for _ in range(repeats):
                call()
            times.append((time.perf_counter() - begun) * 1e6 / repeats)
    return statistics.median(times)


def captured(call: Callable[[], object], device: torch.device, calls: int = 1) -> Callable[[], object]:
    """A function that replays a graph of `calls` calls; on a CPU the calls themselves."""
    if device.type != "cuda":
        return lambda: [call() for _ in range(calls)]
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            call()
    return graph.replay


def finish(name: str, device: torch.device, rows: list[dict[str, Any]], out: Path | None) -> None:
    """Print the rows, and write the document where one is asked for."""
    for row in rows:
        print(json.dumps(row))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"benchmark": name, "machine": machine(device), "rows": rows}, indent=2) + "\n")
