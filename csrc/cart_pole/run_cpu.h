// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <vector>

#include "cart_pole/cart_pole.h"
#include "cart_pole/launch.h"
#include "common/parallel.h"

namespace rslcore {

// A step of a pole costs about as much as this many elements that are only read and written.
inline constexpr int64_t kCartPoleWork = 16;

// The operators on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads: torch's
// pool or rslcore::parallel_for.
template <typename T, typename Parallel>
void cart_pole_step_cpu(const CartPoleArgs<T>& args, const Parallel& parallel) {
    if (args.num_envs == 0) {
        return;
    }
    const int64_t tiles = ceil_div(args.num_envs, kCartPoleTile);
    std::vector<CartPoleEnded> ended(tiles);
    parallel(tiles, grain_units(kCartPoleWork * kCartPoleTile * args.num_poles),
             [&](int64_t begin, int64_t end) {
                 RSLCORE_SIMD_CALL(cart_pole_tiles<T>, args, ended.data(), begin, end);
             });
    for (const CartPoleEnded& in_tile : ended) {
        args.ended[0] += in_tile.falls;
        args.ended[1] += in_tile.time_outs;
    }
}

template <typename T, typename Parallel>
void cart_pole_reset_cpu(const CartPoleResetArgs<T>& args, const Parallel& parallel) {
    const int64_t row = kPoleStates * args.num_poles;
    parallel(args.num_envs, grain_units(kCartPoleWork * args.num_poles), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
            cart_pole_start(args.seed, args.episodes[n]++, n, args.num_envs, args.num_poles, args.state,
                            args.observations + n * row);
            args.episode_lengths[n] = 0;
        }
    });
}

}  // namespace rslcore
