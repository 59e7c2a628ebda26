// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "gae/gae.h"
#include "gae/launch.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

// One time step of a tile of `width` environments; the pointers are at the tile's first environment of step
// t.
template <typename T>
void gae_row(const GaeArgs<T>& args, int64_t row, int64_t width, const T* __restrict next_values,
             T* __restrict advantage) {
    const T* __restrict rewards = args.rewards + row;
    const T* __restrict values = args.values + row;
    const uint8_t* __restrict dones = args.dones + row;
    T* __restrict returns = args.returns + row;
    T* __restrict advantages = args.advantages + row;
    const T gamma = args.gamma;
    const T lam = args.lam;
    const auto finish = [&](int64_t n, T reward) {
        const T alive = dones[n] == 0 ? T(1) : T(0);
        const T a = gae_advantage(reward, values[n], next_values[n], advantage[n], alive, gamma, lam);
        advantage[n] = a;
        advantages[n] = a;
        returns[n] = a + values[n];
    };
    if (args.time_outs == nullptr) {
#pragma GCC ivdep
        for (int64_t n = 0; n < width; ++n) {
            finish(n, rewards[n]);
        }
    } else {
        const uint8_t* __restrict time_outs = args.time_outs + row;
        const T* bootstrap = args.bootstrap + row;
#pragma GCC ivdep
        for (int64_t n = 0; n < width; ++n) {
            const T time_out = time_outs[n] == 0 ? T(0) : T(1);
            finish(n, bootstrapped_reward(rewards[n], bootstrap[n], time_out, gamma));
        }
    }
}

// Sum in a fixed tree order, destroying the summands; unused ones are zero.
double tree_sum(double (&x)[kGaeMaxTile]) {
    static_assert((kGaeMaxTile & (kGaeMaxTile - 1)) == 0, "halving needs a power of two");
    for (int64_t half = kGaeMaxTile / 2; half > 0; half /= 2) {
        for (int64_t n = 0; n < half; ++n) {
            x[n] += x[n + half];
        }
    }
    return x[0];
}

}  // namespace

template <typename T>
void gae_tiles(const GaeArgs<T>& args, GaePartial* partials, int64_t begin, int64_t end) {
    const int64_t tile = gae_tile(args.num_envs);
    for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i * tile;
        const int64_t width = args.num_envs - first < tile ? args.num_envs - first : tile;
        T advantage[kGaeMaxTile] = {};
        // One accumulator per environment; beyond `width` they stay zero.
        double sum[kGaeMaxTile] = {};
        double square[kGaeMaxTile] = {};
        double shift = 0.0;
        const T* next_values = args.last_values + first;
        for (int64_t t = args.num_steps - 1; t >= 0; --t) {
            const int64_t row = t * args.num_envs + first;
            gae_row(args, row, width, next_values, advantage);
            next_values = args.values + row;
            if (partials == nullptr) {
                continue;
            }
            if (t == args.num_steps - 1) {
                shift = static_cast<double>(advantage[0]);
            }
#pragma GCC ivdep
            for (int64_t n = 0; n < width; ++n) {
                const double centred = static_cast<double>(advantage[n]) - shift;
                sum[n] += centred;
                square[n] += centred * centred;
            }
        }
        if (partials != nullptr) {
            partials[i] = {shift, tree_sum(sum), tree_sum(square)};
        }
    }
}

template <typename T>
void gae_normalize(T* advantages, GaeScale scale, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
        advantages[i] = normalized_advantage(advantages[i], scale.mean, scale.scale);
    }
}

template void gae_tiles<float>(const GaeArgs<float>&, GaePartial*, int64_t, int64_t);
template void gae_tiles<double>(const GaeArgs<double>&, GaePartial*, int64_t, int64_t);
template void gae_normalize<float>(float*, GaeScale, int64_t, int64_t);
template void gae_normalize<double>(double*, GaeScale, int64_t, int64_t);

}  // namespace rslcore::RSLCORE_SIMD
