// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>
#include <functional>

namespace rslcore {

// CPU kernels work on a range of units (tiles, chunks) whose cut depends on the shape alone, never on the
// number of threads, so that no result does. Whoever calls a kernel hands out the ranges: torch's thread pool
// for tensors, parallel_for below for NumPy arrays.

inline int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// Units per thread that make a thread worth waking: about 32 Ki elements of work, some 10 us, what waking
// costs.
inline int64_t grain_units(int64_t elements_per_unit) {
    constexpr int64_t kElementsPerThread = 32 * 1024;
    return elements_per_unit >= kElementsPerThread ? 1 : ceil_div(kElementsPerThread, elements_per_unit + 1);
}

// Elements of work, little more than reading and writing, that are left to the calling thread: handing them
// out takes longer where threads sleep between calls. Loops whose threads are awake have an overload of their
// own.
template <typename Parallel>
constexpr int64_t serial_elements(const Parallel&) {
    return 128 * 1024;
}

// Runs body(begin, end) over [0, units) on at most one thread per processor (RSLCORE_NUM_THREADS overrides),
// each with at least `grain` units. Threads live for the call only: nothing to configure, safe after fork.
void parallel_for(int64_t units, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace rslcore
