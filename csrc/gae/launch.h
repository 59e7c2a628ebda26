// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/simd.h"

namespace rslcore {

// Contiguous, time-major. Flags are non-zero where set.
template <typename T>
struct GaeArgs {
    int64_t num_steps;         // T
    int64_t num_envs;          // N
    T gamma;                   //
    T lam;                     //
    const T* rewards;          // [T, N]
    const T* values;           // [T, N]
    const uint8_t* dones;      // [T, N]
    const T* last_values;      // [N]
    const uint8_t* time_outs;  // [T, N] or null
    const T* bootstrap;        // [T, N], value added where time_outs is set; null without time_outs
    T* returns;                // [T, N]
    T* advantages;             // [T, N]
};

// Sums of one tile's advantages about a shift, in float64: merged in tile order they give mean and deviation.
struct GaePartial {
    double shift;   // some advantage of the tile
    double sum;     // of (advantage - shift)
    double square;  // of (advantage - shift)^2
};

struct GaeScale {
    double mean;
    double scale;  // advantage_scale of the unbiased deviation
};

// CPU. A tile is a run of environments; tiles are independent. `static`: each SIMD level keeps its own copy.
inline constexpr int64_t kGaeMaxTile = 512;
static inline int64_t gae_tile(int64_t num_envs) {
    // Narrow rollouts are cut finer so that several threads share them; whole cache lines per row and thread.
    return num_envs >= 8 * kGaeMaxTile ? kGaeMaxTile : (num_envs / 8 < 64 ? 64 : num_envs / 8 / 64 * 64);
}
static inline int64_t gae_num_tiles(int64_t num_envs) {
    return (num_envs + gae_tile(num_envs) - 1) / gae_tile(num_envs);
}

RSLCORE_EACH_SIMD_LEVEL(
    // Returns and advantages of the tiles [begin, end); fills partials[tile] unless `partials` is null.
    template <typename T>
    void gae_tiles(const GaeArgs<T>& args, GaePartial* partials, int64_t begin, int64_t end);

    // Scales the advantages [begin, end) of the flattened rollout.
    template <typename T> void gae_normalize(T* advantages, GaeScale scale, int64_t begin, int64_t end);)

GaeScale gae_merge(const GaePartial* partials, int64_t num_steps, int64_t num_envs);

// CUDA. Scratch of gae_scratch_doubles(...) float64 is needed to normalize, null otherwise. Returns
// cudaError_t.
int64_t gae_scratch_doubles(int64_t num_envs);
template <typename T>
int gae_cuda(const GaeArgs<T>& args, bool normalize, double* scratch, void* stream);

}  // namespace rslcore
