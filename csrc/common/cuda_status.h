// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

namespace rslcore {

// Text of a cudaError_t, for files that must not include CUDA headers.
const char* cuda_error_text(int status);

}  // namespace rslcore
