# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What `train_iteration.py` is made of: the job, the environment that costs nothing, and the trainers."""
