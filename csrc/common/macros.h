// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

// RSLCORE_HD marks a formula that host and device share. On the host it is always inlined: the same formula
// is compiled once per SIMD level, and an out-of-line copy of one level must never be linked into another.
#if defined(__CUDACC__)
#define RSLCORE_HD __host__ __device__ __forceinline__
#else
#define RSLCORE_HD inline __attribute__((always_inline))
#endif

namespace rslcore {

// std::min is a function that every SIMD level would compile for itself and the linker would merge.
RSLCORE_HD int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

}  // namespace rslcore
