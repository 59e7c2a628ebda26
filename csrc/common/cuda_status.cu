// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <cuda_runtime.h>

#include "common/cuda_status.h"

namespace rslcore {

const char* cuda_error_text(int status) {
    return cudaGetErrorString(static_cast<cudaError_t>(status));
}

}  // namespace rslcore
