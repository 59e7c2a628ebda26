// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <vector>

#include "common/parallel.h"
#include "episode_stats/episode_stats.h"
#include "episode_stats/launch.h"

namespace rslcore {

// Keeps the episodes that end in the environments [begin, end) and starts new ones there. `rank` is the
// number of episodes that end before these environments, `ended` that of all environments.
template <typename T>
void episode_finish(const EpisodeArgs<T>& args, int64_t begin, int64_t end, int64_t rank, int64_t ended) {
    const int64_t rows = episode_rows(args.intrinsic != nullptr);
    const uint8_t* const last = args.dones + end;
    const auto is_done = [](uint8_t flag) { return flag != 0; };
    for (const uint8_t* done = std::find_if(args.dones + begin, last, is_done); done != last;
         done = std::find_if(done + 1, last, is_done), ++rank) {
        T* const sums = args.running + (done - args.dones);
        T* const kept = args.finished + episode_slot(*args.count + rank, args.window) * rows;
        for (int64_t r = 0; r < rows; ++r) {
            if (episode_kept(rank, ended, args.window)) {
                kept[r] = sums[r * args.num_envs];
            }
            sums[r * args.num_envs] = T(0);
        }
    }
}

// The operator on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads: torch's pool
// or rslcore::parallel_for.
template <typename T, typename Parallel>
void episode_stats_cpu(const EpisodeArgs<T>& args, const Parallel& parallel) {
    if (args.num_envs == 0) {
        return;
    }
    const int64_t tiles = ceil_div(args.num_envs, kEpisodeTile);
    std::vector<int64_t> ranks(tiles);  // number of episodes that end in each tile, then before it
    const auto each_tile = [&](const auto& body) {
        parallel(tiles, grain_units(2 * kEpisodeTile), [&](int64_t begin, int64_t end) {
            for (int64_t tile = begin; tile < end; ++tile) {
                body(tile * kEpisodeTile, std::min((tile + 1) * kEpisodeTile, args.num_envs), ranks[tile]);
            }
        });
    };
    each_tile([&](int64_t begin, int64_t end, int64_t& ended) {
        RSLCORE_SIMD_CALL(episode_add<T>, args, begin, end, ended);
    });
    int64_t ended = 0;
    for (int64_t& rank : ranks) {
        const int64_t in_tile = rank;
        rank = ended;
        ended += in_tile;
    }
    if (ended > 0) {
        each_tile(
            [&](int64_t begin, int64_t end, int64_t rank) { episode_finish(args, begin, end, rank, ended); });
        *args.count += ended;
    }
}

}  // namespace rslcore
