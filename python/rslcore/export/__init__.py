# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Policies as files for robots and other programs: TorchScript and ONNX, normalizer and hidden state inside."""

from rslcore.export.policy_files import OPSET_VERSION, export_to_jit, export_to_onnx, require_onnx

__all__ = ["OPSET_VERSION", "export_to_jit", "export_to_onnx", "require_onnx"]
