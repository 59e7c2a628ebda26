// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/simd.h"

namespace rslcore {

// N environments of P poles each, every pole on a cart of its own.
template <typename T>
struct CartPoleArgs {
    int64_t num_envs;            // N
    int64_t num_poles;           // P
    uint64_t seed;               //
    int64_t max_episode_length;  // steps
    const T* actions;            // [N, P]
    T* state;                    // [P, 4, N], updated
    int64_t* episode_lengths;    // [N], steps of the running episodes, updated
    int64_t* episodes;           // [N], episodes begun, updated
    int64_t* ended;              // [2], episodes that ended by a fall and by the time limit, updated
    T* observations;             // [N, 4 P]
    T* rewards;                  // [N]
    uint8_t* dones;              // [N]
    uint8_t* time_outs;          // [N]
    T* final_observations;       // [N, 4 P] or null; rows of episodes that end are written
};

// What of the above a reset of all environments needs.
template <typename T>
struct CartPoleResetArgs {
    int64_t num_envs;
    int64_t num_poles;
    uint64_t seed;
    T* state;
    int64_t* episode_lengths;
    int64_t* episodes;
    T* observations;
};

struct CartPoleEnded {
    int64_t falls;
    int64_t time_outs;
};

// CPU. A tile is a run of environments.
inline constexpr int64_t kCartPoleTile = 256;

RSLCORE_EACH_SIMD_LEVEL(
    // One step of the tiles [begin, end); fills ended[tile].
    template <typename T>
    void cart_pole_tiles(const CartPoleArgs<T>& args, CartPoleEnded* ended, int64_t begin, int64_t end);)

// CUDA. Return cudaError_t.
template <typename T>
int cart_pole_step_cuda(const CartPoleArgs<T>& args, void* stream);
template <typename T>
int cart_pole_reset_cuda(const CartPoleResetArgs<T>& args, void* stream);

}  // namespace rslcore
