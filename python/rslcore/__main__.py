# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``python -m rslcore`` is the command rslcore."""

import os
import sys

if __name__ == "__main__":
    # -m puts the current folder before all that is installed: a file mujoco.py there would run in the place of MuJoCo.
    # The command `rslcore` has no such entry, and both ways of starting find the same modules.
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        try:
            in_the_way = sys.path[0] in ("", os.getcwd())
        except OSError:  # the folder has been deleted
            in_the_way = False
        if in_the_way:
            del sys.path[0]

    from rslcore.cli import main

    sys.exit(main())
