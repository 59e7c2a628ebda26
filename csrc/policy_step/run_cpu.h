// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/parallel.h"
#include "common/scratch.h"
#include "gaussian/run_cpu.h"
#include "policy_step/launch.h"

namespace rslcore {

// Work of a tile of one network, in the elements that grain_units counts: so many multiplications take as
// long as one element.
inline int64_t policy_tile_work(const PolicyNetwork& network, int64_t rows) {
    constexpr int64_t kProductsPerElement = 16;
    int64_t products = 0;
    for (int64_t l = 0; l < network.num_layers; ++l) {
        products += network.sizes[l] * network.sizes[l + 1];
    }
    return std::min(rows, kPolicyTile) * products / kProductsPerElement;
}

// How many times the work of grain_units a thread is woken for, some 130 us: one that has slept while the
// environment stepped is not there for as long as that.
inline constexpr int64_t kPolicyGrain = 12;

// The operator on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads: torch's pool
// or rslcore::parallel_for.
template <typename Parallel>
void policy_step_cpu(const PolicyStepArgs& args, const Parallel& parallel) {
    if (args.rows == 0) {
        return;
    }
    // A unit is a tile of one of the two networks.
    const int64_t tiles = ceil_div(args.rows, kPolicyTile);
    const int64_t work = policy_tile_work(args.actor, args.rows) + policy_tile_work(args.critic, args.rows);
    parallel(2 * tiles, grain_units(work / 2 / kPolicyGrain), [&](int64_t begin, int64_t end) {
        float* const scratch =
            thread_scratch(std::max(policy_scratch(args.actor), policy_scratch(args.critic)));
        for (int64_t unit = begin; unit < end; ++unit) {
            const PolicyNetwork& network = unit % 2 == 0 ? args.actor : args.critic;
            RSLCORE_SIMD_CALL(policy_network_tile, network, args.rows, unit / 2, scratch);
        }
    });
    const int64_t actions = args.actor.sizes[args.actor.num_layers];
    gaussian_cpu(
        GaussianArgs<float>{
            .rows = args.rows,
            .columns = actions,
            .mean = args.actor.output,
            .std = args.std,
            .std_rows = false,
            .noise = nullptr,
            .seed = args.seed,
            .offset = args.offset,
            .counter = nullptr,
            .actions = args.actions,
            .log_prob = args.log_prob,
        },
        [&](int64_t units, int64_t grain, const auto& body) { parallel(units, kPolicyGrain * grain, body); });
    for (int64_t row = 0; row < args.rows; ++row) {
        std::copy_n(args.std, actions, args.std_rows + row * actions);
    }
}

}  // namespace rslcore
