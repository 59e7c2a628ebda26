# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What of the machine the tests take: the one time limit, and the number of threads."""

import os

HANG = 900.0
"""Seconds after which a process that is waited for hangs: a hundred times what any needs alone, as cores are shared."""

THREADS = int(os.environ.get("RSLCORE_TEST_THREADS", "1"))
"""Torch's threads in tests whose networks are so small that one is fastest; `make test-matrix` takes more."""
