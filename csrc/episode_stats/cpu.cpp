// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "episode_stats/episode_stats.h"
#include "episode_stats/launch.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

template <typename T>
void add(const T* __restrict values, int64_t n, T* __restrict sums) {
    for (int64_t i = 0; i < n; ++i) {
        sums[i] += values[i];
    }
}

}  // namespace

template <typename T>
void episode_add(const EpisodeArgs<T>& args, int64_t begin, int64_t end, int64_t& ended) {
    const int64_t n = end - begin;
    const auto row = [&](EpisodeRow sum) { return args.running + sum * args.num_envs + begin; };
    const T* const rewards = args.rewards + begin;
    T* const length = row(kEpisodeLength);
    for (int64_t i = 0; i < n; ++i) {
        length[i] += T(1);
    }
    if (args.intrinsic == nullptr) {
        add(rewards, n, row(kEpisodeReturn));
    } else {
        const T* const intrinsic = args.intrinsic + begin;
        T* const total = row(kEpisodeReturn);
#pragma GCC ivdep
        for (int64_t i = 0; i < n; ++i) {
            total[i] += rewards[i] + intrinsic[i];
        }
        add(rewards, n, row(kEpisodeExtrinsicReturn));
        add(intrinsic, n, row(kEpisodeIntrinsicReturn));
    }
    const uint8_t* const dones = args.dones + begin;
    int32_t done = 0;
    for (int64_t i = 0; i < n; ++i) {
        done += dones[i] != 0 ? 1 : 0;
    }
    ended = done;
}

template void episode_add<float>(const EpisodeArgs<float>&, int64_t, int64_t, int64_t&);
template void episode_add<double>(const EpisodeArgs<double>&, int64_t, int64_t, int64_t&);

}  // namespace rslcore::RSLCORE_SIMD
