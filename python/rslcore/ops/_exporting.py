# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The one place that knows whether what runs is being exported."""

from __future__ import annotations

import torch
from torch.fx import Proxy


def exporting(x: object = None) -> bool:
    """Whether this call is written down to be run elsewhere, where our operators are not: then all is plain torch.

    So it is under torch.jit.trace, torch.export, both ONNX exporters and, with an argument `x` of the call, under
    torch.fx.symbolic_trace. Not so under torch.compile, which runs here. Scripted code asks torch.jit.is_scripting()
    first, as TorchScript leaves out what follows it.
    """
    # The flag, as torch.compiler.is_exporting() is true in what torch.compile compiles, too, before torch 2.13.
    is_exported = torch._C._get_tracing_state() is not None or torch.compiler._is_exporting_flag
    return is_exported or isinstance(x, Proxy)
