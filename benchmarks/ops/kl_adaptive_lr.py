# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.kl_adaptive_lr` against the rule of rsl_rl 5.5.1 in Python, which reads the divergence back.

python benchmarks/ops/kl_adaptive_lr.py [--json] [--seconds S]
"""

from __future__ import annotations

import torch
from _bench import Report

from rslcore import ops
from rslcore.algorithms.ppo_rule import adapted_learning_rate


def main() -> None:
    """Time one call; on CUDA the rule in Python waits for all work before it."""
    report = Report(__doc__.splitlines()[0])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rate, kl = torch.tensor(1e-3, device=device), torch.tensor(0.01, device=device)
    report.add(
        f"kl_adaptive_lr on {device}",
        {
            "rslcore.ops.kl_adaptive_lr": lambda: ops.kl_adaptive_lr(rate, kl, desired_kl=0.01),
            "kl.item() and the rule in Python": lambda: adapted_learning_rate(1e-3, kl.item(), 0.01),
        },
    )
    report.finish()


if __name__ == "__main__":
    main()
