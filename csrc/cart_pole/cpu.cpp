// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "cart_pole/cart_pole.h"
#include "cart_pole/launch.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

constexpr int64_t kTile = kCartPoleTile;

// One step of one pole in `width` environments; the pointers are at the first of them. `standing` becomes 0
// where it falls.
template <typename T>
void step_pole(const T* __restrict actions, int64_t width, T* __restrict position, T* __restrict velocity,
               T* __restrict angle, T* __restrict angular_velocity, T* __restrict standing) {
    for (int64_t i = 0; i < width; ++i) {
        const PoleState<T> pole =
            cart_pole_step(PoleState<T>{position[i], velocity[i], angle[i], angular_velocity[i]}, actions[i]);
        position[i] = pole.position;
        velocity[i] = pole.velocity;
        angle[i] = pole.angle;
        angular_velocity[i] = pole.angular_velocity;
        standing[i] = cart_pole_stands(pole) ? standing[i] : T(0);
    }
}

// Four rows of `width` elements, `stride` apart, side by side in rows of `columns`.
template <typename T>
void interleave(const T* __restrict rows, int64_t stride, int64_t width, int64_t columns,
                T* __restrict target) {
    for (int64_t i = 0; i < width; ++i) {
        for (int64_t k = 0; k < kPoleStates; ++k) {
            target[i * columns + k] = rows[k * stride + i];
        }
    }
}

template <typename T>
CartPoleEnded step_tile(const CartPoleArgs<T>& args, int64_t first, int64_t width) {
    const int64_t num_envs = args.num_envs;
    const int64_t num_poles = args.num_poles;
    const int64_t columns = kPoleStates * num_poles;
    T* const observations = args.observations + first * columns;
    T standing[kTile];
    T actions[kTile];
    for (int64_t i = 0; i < width; ++i) {
        standing[i] = T(1);
    }
    for (int64_t pole = 0; pole < num_poles; ++pole) {
        const T* const given = args.actions + first * num_poles + pole;
        for (int64_t i = 0; i < width; ++i) {
            actions[i] = given[i * num_poles];
        }
        T* const rows = args.state + pole * kPoleStates * num_envs + first;
        step_pole(actions, width, rows, rows + num_envs, rows + 2 * num_envs, rows + 3 * num_envs, standing);
        if (num_poles == 1) {
            interleave(rows, num_envs, width, kPoleStates, observations);
        } else {
            interleave(rows, num_envs, width, columns, observations + pole * kPoleStates);
        }
    }

    int64_t* const lengths = args.episode_lengths + first;
    T* const rewards = args.rewards + first;
    uint8_t* const dones = args.dones + first;
    uint8_t* const time_outs = args.time_outs + first;
    CartPoleEnded ended{0, 0};
    for (int64_t i = 0; i < width; ++i) {
        const bool fell = standing[i] == T(0);
        const bool late = ++lengths[i] >= args.max_episode_length && !fell;
        rewards[i] = T(1);
        dones[i] = fell || late ? 1 : 0;
        time_outs[i] = late ? 1 : 0;
        ended.falls += fell ? 1 : 0;
        ended.time_outs += late ? 1 : 0;
    }
    if (ended.falls + ended.time_outs > 0) {
        for (int64_t i = 0; i < width; ++i) {
            if (dones[i] == 0) {
                continue;
            }
            const int64_t n = first + i;
            T* const observation = observations + i * columns;
            if (args.final_observations != nullptr) {
                T* const final_observation = args.final_observations + n * columns;
                for (int64_t k = 0; k < columns; ++k) {
                    final_observation[k] = observation[k];
                }
            }
            cart_pole_start(args.seed, args.episodes[n]++, n, num_envs, num_poles, args.state, observation);
            lengths[i] = 0;
        }
    }
    return ended;
}

}  // namespace

template <typename T>
void cart_pole_tiles(const CartPoleArgs<T>& args, CartPoleEnded* ended, int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t first = tile * kTile;
        ended[tile] = step_tile(args, first, args.num_envs - first < kTile ? args.num_envs - first : kTile);
    }
}

template void cart_pole_tiles<float>(const CartPoleArgs<float>&, CartPoleEnded*, int64_t, int64_t);
template void cart_pole_tiles<double>(const CartPoleArgs<double>&, CartPoleEnded*, int64_t, int64_t);

}  // namespace rslcore::RSLCORE_SIMD
