# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``python -m rslcore`` is the command rslcore."""

import sys

from rslcore.cli import main

sys.exit(main())
