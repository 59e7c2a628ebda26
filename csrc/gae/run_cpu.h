// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <vector>

#include "common/parallel.h"
#include "gae/launch.h"

namespace rslcore {

// The whole operator on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads:
// torch's pool or rslcore::parallel_for.
template <typename T, typename Parallel>
void gae_cpu(const GaeArgs<T>& args, bool normalize, const Parallel& parallel) {
    const int64_t numel = args.num_steps * args.num_envs;
    if (numel == 0) {
        return;
    }
    const int64_t tiles = gae_num_tiles(args.num_envs);
    std::vector<GaePartial> partials(normalize ? tiles : 0);
    GaePartial* const partials_data = normalize ? partials.data() : nullptr;
    parallel(tiles, grain_units(args.num_steps * gae_tile(args.num_envs)), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(gae_tiles<T>, args, partials_data, begin, end);
    });
    if (normalize) {
        const GaeScale scale = gae_merge(partials_data, args.num_steps, args.num_envs);
        parallel(numel, grain_units(1), [&](int64_t begin, int64_t end) {
            RSLCORE_SIMD_CALL(gae_normalize<T>, args.advantages, scale, begin, end);
        });
    }
}

}  // namespace rslcore
