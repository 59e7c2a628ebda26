# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a transition costs, in time and memory, from 64 environments to a million: whole iterations on carts with poles.

    python benchmarks/scaling.py                                    # 64 to 65,536 environments
    python benchmarks/scaling.py --num-envs 1048576 --num-poles 1   # a million
    python benchmarks/scaling.py --json >benchmarks/results/scaling.json
    python benchmarks/scaling.py --plot                             # the picture of that file

The job: task cart-pole with 24 steps, 5 epochs x 4 minibatches and networks of 64-64; everything else is the task's.
Every number of environments has a process of its own, which trains 16 environments first, so that what is loaded and
allocated once does not count. Time is the median of whole iterations of `OnPolicyRunner.learn`, per transition. Memory
is the growth of the peak of resident memory beyond that, and, apart, the bytes of all tensors alive at the end of an
iteration, per transition.

Growth compares the largest with the cheapest smaller number of environments: 1 is linear, below 1 less than linear.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

import rslcore
from rslcore import tasks
from rslcore.env import CartPoleVecEnv
from rslcore.runners import OnPolicyRunner

RESULTS = Path(__file__).parent / "results"
NUM_ENVS = [64, 256, 1_024, 4_096, 16_384, 65_536]
NUM_STEPS = 24


def make_runner(num_envs: int, num_poles: int, device: str) -> OnPolicyRunner:
    """The task's own training, with rollouts of 24 steps."""
    cfg = tasks.get("cart-pole").cfg()
    cfg.num_steps_per_env = NUM_STEPS
    torch.manual_seed(0)
    env = CartPoleVecEnv(num_envs, device=device, num_poles=num_poles)
    return OnPolicyRunner(env, cfg.to_dict(), None, device, console="none")


def resident(name: str) -> int:
    """Bytes of resident memory of this process: "VmRSS" now, "VmHWM" the most there ever was."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def tensor_bytes() -> int:
    """Bytes of the memory behind all tensors that are alive."""
    gc.collect()
    memory = {}
    for x in gc.get_objects():
        if isinstance(x, torch.Tensor) and x.layout == torch.strided:
            storage = x.untyped_storage()
            memory[storage.data_ptr()] = storage.nbytes()
    return sum(memory.values())


def measure(num_envs: int, num_poles: int, device: str, threads: int, seconds: float) -> dict[str, Any]:
    """Train in this process."""
    torch.set_num_threads(threads)
    synchronize = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    make_runner(16, num_poles, device).learn(2)
    rss_before, tensors_before = resident("VmRSS"), tensor_bytes()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        allocated_before = torch.cuda.memory_allocated()
    runner = make_runner(num_envs, num_poles, device)
    runner.learn(1)
    times: list[float] = []
    rounds = max(1, 2_000 // num_envs)  # iterations per call: entering and leaving `learn` is no part of one
    deadline = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < deadline:
        synchronize()
        start = time.perf_counter()
        runner.learn(rounds)
        synchronize()
        times.append((time.perf_counter() - start) / rounds)
    transitions = NUM_STEPS * num_envs
    peak = resident("VmHWM") - rss_before
    if device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() - allocated_before
    return {
        "num_envs": num_envs,
        "iteration_s": statistics.median(times),
        "iteration_s_all": times,
        "env_steps_per_second": transitions / statistics.median(times),
        "ns_per_transition": statistics.median(times) / transitions * 1e9,
        "peak_bytes_per_transition": peak / transitions,
        "tensor_bytes_per_transition": (tensor_bytes() - tensors_before) / transitions,
    }


def growth(rows: list[dict[str, Any]], key: str) -> float | None:
    """How many times dearer a transition is at the largest number of environments than at the cheapest smaller one."""
    smaller = [row[key] for row in rows[:-1]]
    return rows[-1][key] / min(smaller) if smaller else None


def plot(source: Path, target: Path) -> None:
    """Draw time and memory per transition over the number of environments."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    document = json.loads(source.read_text())
    rows = document["rows"]
    envs = [row["num_envs"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), constrained_layout=True)
    left.loglog(envs, [row["ns_per_transition"] / 1e3 for row in rows], marker="o")
    left.set_title("Time per transition, whole iterations")
    left.set_ylabel("microseconds")
    right.loglog(envs, [row["peak_bytes_per_transition"] for row in rows], marker="o", label="peak of resident memory")
    right.loglog(envs, [row["tensor_bytes_per_transition"] for row in rows], marker="s", label="tensors")
    right.set_title("Memory per transition")
    right.set_ylabel("bytes")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.set_xlabel("environments")
        axes.set_xticks(envs, [f"{n:,}" for n in envs], rotation=30)
        axes.minorticks_off()
        axes.set_ylim(bottom=axes.get_ylim()[0] / 2)
        axes.grid(alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    machine = document["machine"]
    figure.suptitle(f"{machine['processor']}, {machine['threads']} thread(s), networks 64-64", fontsize=10)
    figure.savefig(target, dpi=120)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, nargs="+", default=NUM_ENVS)
    parser.add_argument("--num-poles", type=int, default=1, help="4 observations and 1 action each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="least time spent per number of environments")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--plot", action="store_true", help="draw the committed results and end")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plot:
        plot(RESULTS / "scaling.json", RESULTS / "scaling.png")
        return
    if options.worker:
        measured = measure(options.num_envs[0], options.num_poles, options.device, options.threads, options.seconds)
        print(json.dumps(measured))
        return
    rows = []
    for num_envs in sorted(options.num_envs):
        command = [sys.executable, __file__, "--worker", "--num-envs", str(num_envs), "--device", options.device]
        command += ["--num-poles", str(options.num_poles), "--threads", str(options.threads)]
        command += ["--seconds", str(options.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"scaling: {num_envs:,} environments failed:\n{done.stderr}")
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        if not options.json:
            print(
                f"{num_envs:>9,} environments {row['iteration_s'] * 1e3:>11,.2f} ms "
                f"{row['env_steps_per_second']:>12,.0f} steps/s; each {row['ns_per_transition']:>7,.0f} ns, bytes: "
                f"{row['peak_bytes_per_transition']:,.0f} peak, {row['tensor_bytes_per_transition']:,.0f} tensors",
                flush=True,
            )
    keys = ("ns_per_transition", "peak_bytes_per_transition", "tensor_bytes_per_transition")
    summary = {key: growth(rows, key) for key in keys}
    if not options.json:
        print("growth, largest against the cheapest smaller one:", summary)
        return
    with open("/proc/cpuinfo") as info:
        models = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    build = rslcore.build_info()
    machine = {
        "processor": models[0] if models else platform.machine(),
        "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(options.device),
        "threads": options.threads,
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY"),
        "torch": torch.__version__,
        "simd": build["simd_in_use"],
        "git_revision": build["git_revision"],
        "command": " ".join(["python", *sys.orig_argv[1:]]),
    }
    job = {"num_poles": options.num_poles, "num_steps": NUM_STEPS, "hidden_dims": [64, 64]}
    print(json.dumps({"machine": machine, "job": job, "rows": rows, "growth": summary}, indent=1))


if __name__ == "__main__":
    main()
