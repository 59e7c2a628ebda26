// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/simd.h"

namespace rslcore {

// Splits a rollout of T steps in N environments.
struct SplitArgs {
    int64_t num_steps;     // T
    int64_t num_envs;      // N
    const uint8_t* dones;  // [T, N]
    int64_t* starts;       // [T * N]: row t * N + n of the first step; zero from the K-th on
    int64_t* lengths;      // [T * N]: steps; zero from the K-th on
    int64_t* offsets;      // [N + 1]: number of the first trajectory of each environment; the last is K
};

// Moves rows of `row_bytes` bytes between a rollout [T, N] and its K padded trajectories [T, K].
struct PadArgs {
    int64_t num_steps;         // T
    int64_t num_envs;          // N
    int64_t num_trajectories;  // K
    int64_t row_bytes;         //
    const int64_t* starts;     // [K]
    const int64_t* lengths;    // [K]
    const unsigned char* source;
    unsigned char* target;
};

// CPU.
RSLCORE_EACH_SIMD_LEVEL(
    // offsets[n + 1] = number of trajectories of environment n, n in begin..end-1.
    void count_trajectories(const SplitArgs& args, int64_t begin, int64_t end);

    // Starts and lengths of the trajectories of environments begin..end-1; offsets are complete.
    void write_trajectories(const SplitArgs& args, int64_t begin, int64_t end);

    // Rows begin..end-1 of the target [T * K].
    void pad_rows(const PadArgs& args, int64_t begin, int64_t end);

    // What rows begin..end-1 of the source [T * K] hold, to its places in the target [T * N].
    void unpad_rows(const PadArgs& args, int64_t begin, int64_t end);)

// CUDA. Return cudaError_t.
int split_trajectories_cuda(const SplitArgs& args, void* stream);
int pad_trajectories_cuda(const PadArgs& args, void* stream);
int unpad_trajectories_cuda(const PadArgs& args, void* stream);

}  // namespace rslcore
