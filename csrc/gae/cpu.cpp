// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "gae/gae.h"
#include "gae/launch.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

// Advantages of the step after the last one.
template <typename T>
alignas(64) constexpr T kZeros[kGaeMaxTile] = {};

// One time step of a tile of `width` environments; the pointers are at the tile's first environment of step
// t.
template <typename T>
void gae_row(const GaeArgs<T>& args, int64_t row, int64_t width, const T* __restrict next_values,
             const T* __restrict next_advantages) {
    const T* __restrict rewards = args.rewards + row;
    const T* __restrict values = args.values + row;
    const uint8_t* __restrict dones = args.dones + row;
    T* __restrict returns = args.returns + row;
    T* __restrict advantages = args.advantages + row;
    const T gamma = args.gamma;
    const T lam = args.lam;
    const auto finish = [&](int64_t n, T reward) {
        const T alive = dones[n] == 0 ? T(1) : T(0);
        const T a = gae_advantage(reward, values[n], next_values[n], next_advantages[n], alive, gamma, lam);
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
            finish(n, bootstrapped_reward(rewards[n], bootstrap[n], time_outs[n] != 0, gamma));
        }
    }
}

// Sums about a shift, in two sets of eight lanes that stay in vector registers; added up in lane order at the
// end.
class ShiftedSums {
  public:
    explicit ShiftedSums(double shift) : shift_(shift) {}

    template <typename T>
    void add(const T* x, int64_t width) {
        int64_t n = 0;
        for (; n + 2 * kLanes <= width; n += 2 * kLanes) {
            for (int64_t set = 0; set < 2; ++set) {
                Vector<T> values;
                __builtin_memcpy(&values, x + n + set * kLanes, sizeof(values));
                const Vector<double> centred = __builtin_convertvector(values, Vector<double>) - shift_;
                sum_[set] += centred;
                square_[set] += centred * centred;
            }
        }
        for (; n < width; ++n) {
            const double centred = static_cast<double>(x[n]) - shift_;
            sum_[0][0] += centred;
            square_[0][0] += centred * centred;
        }
    }

    GaePartial total() const {
        GaePartial result{shift_, 0.0, 0.0};
        for (int64_t lane = 0; lane < kLanes; ++lane) {
            result.sum += sum_[0][lane] + sum_[1][lane];
            result.square += square_[0][lane] + square_[1][lane];
        }
        return result;
    }

  private:
    static constexpr int64_t kLanes = 8;
    template <typename T>
    using Vector [[gnu::vector_size(kLanes * sizeof(T))]] = T;

    double shift_;
    Vector<double> sum_[2] = {};
    Vector<double> square_[2] = {};
};

}  // namespace

template <typename T>
void gae_tiles(const GaeArgs<T>& args, GaePartial* partials, int64_t begin, int64_t end) {
    const int64_t tile = gae_tile(args.num_envs);
    for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i * tile;
        const int64_t width = args.num_envs - first < tile ? args.num_envs - first : tile;
        const T* next_values = args.last_values + first;
        const T* next_advantages = kZeros<T>;
        for (int64_t t = args.num_steps - 1; t >= 0; --t) {
            const int64_t row = t * args.num_envs + first;
            gae_row(args, row, width, next_values, next_advantages);
            next_values = args.values + row;
            next_advantages = args.advantages + row;
        }
        if (partials != nullptr) {
            // A second pass over the tile, which is still in the cache; any of its values serves as the
            // shift.
            ShiftedSums sums(static_cast<double>(next_advantages[0]));
            for (int64_t t = 0; t < args.num_steps; ++t) {
                sums.add(args.advantages + t * args.num_envs + first, width);
            }
            partials[i] = sums.total();
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
