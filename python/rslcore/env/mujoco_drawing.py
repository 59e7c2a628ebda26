# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What helps where MuJoCo has nothing to draw with."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

_failure: str | None = None
"""Why drawing failed in this process: MuJoCo aborts the process where it is tried again."""


@contextlib.contextmanager
def explained(owner: str) -> Iterator[None]:
    """Run what makes a context of OpenGL for MuJoCo.

    Args:
        owner: Class named in the error message.

    Raises:
        RuntimeError: MuJoCo cannot make one here, or could not before; the message says what to set.
    """
    global _failure
    if _failure is None:
        try:
            yield
            return
        except Exception as error:
            if not isinstance(error, sys.modules["mujoco"].FatalError if "mujoco" in sys.modules else ()):
                raise
            _failure = str(error)
            cause = error
    else:
        cause = None
    used = os.environ.get("MUJOCO_GL")
    raise RuntimeError(
        f"{owner}.render: MuJoCo cannot draw with {f'MUJOCO_GL={used}' if used else 'MUJOCO_GL unset'}: {_failure}. "
        "Without a screen, start Python anew with MUJOCO_GL=egl, or with MUJOCO_GL=osmesa, which is slower"
    ) from cause
