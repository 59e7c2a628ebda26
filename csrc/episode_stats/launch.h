// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/simd.h"

namespace rslcore {

// R is the number of sums kept per episode, see EpisodeRow.
template <typename T>
struct EpisodeArgs {
    int64_t num_envs;      // N
    int64_t window;        // W
    const T* rewards;      // [N]
    const T* intrinsic;    // [N], or nullptr
    const uint8_t* dones;  // [N]
    T* running;            // [R, N], updated
    T* finished;           // [W, R], updated
    int64_t* count;        // [], updated
};

// CPU. Tiles of environments.
inline constexpr int64_t kEpisodeTile = 4096;

RSLCORE_EACH_SIMD_LEVEL(
    // Adds the step to the running sums of the environments [begin, end); returns in `ended` how many of them
    // are done.
    template <typename T>
    void episode_add(const EpisodeArgs<T>& args, int64_t begin, int64_t end, int64_t& ended);)

// CUDA. Needs a scratch of episode_scratch(...) int64. Returns cudaError_t.
int64_t episode_scratch(int64_t num_envs);
template <typename T>
int episode_stats_cuda(const EpisodeArgs<T>& args, int64_t* scratch, void* stream);

}  // namespace rslcore
