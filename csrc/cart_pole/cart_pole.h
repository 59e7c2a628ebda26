// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cmath>
#include <cstdint>

#include "common/macros.h"
#include "common/philox.h"

namespace rslcore {

// Balancing a pole on a cart (Barto, Sutton and Anderson 1983, "Neuronlike Adaptive Elements That Can Solve
// Difficult Learning Control Problems", appendix): their constants, Euler steps of 0.02 s as theirs, without
// their friction, as Gymnasium's CartPole-v1 has it; the force is continuous. SI units.
inline constexpr double kGravity = 9.8;
inline constexpr double kCartMass = 1.0;
inline constexpr double kPoleMass = 0.1;
inline constexpr double kPoleHalfLength = 0.5;
inline constexpr double kForce = 10.0;  // of action 1
inline constexpr double kCartPoleTimeStep = 0.02;
inline constexpr double kPositionLimit = 2.4;
inline constexpr double kAngleLimit = 12.0 * 3.14159265358979323846 / 180.0;
inline constexpr double kStartRange = 0.05;  // an episode starts within this distance of 0 in every component

inline constexpr int64_t kPoleStates = 4;
inline constexpr uint32_t kCartPoleStream = 3;
inline constexpr int64_t kMaxCartPoles = int64_t{1} << 32;  // what the 32 bits of a Philox counter number

template <typename T>
struct PoleState {
    T position;
    T velocity;
    T angle;  // from upright
    T angular_velocity;
};

template <typename T>
struct SineCosine {
    T sine;
    T cosine;
};

// Taylor series about the nearest multiple of pi, to float's rounding; without branches, so that it is
// vectorized.
RSLCORE_HD SineCosine<float> sine_cosine(float x) {
    const float half_turns = std::floor(x * 0.318309886f + 0.5f);
    const float r = (x - half_turns * 3.140625f) - half_turns * 9.67653589793e-4f;
    const float odd = half_turns - 2.0f * std::floor(0.5f * half_turns);
    const float sign = 1.0f - 2.0f * odd;
    const float z = r * r;
    float sine = 1.6059044e-10f;
    sine = sine * z - 2.5052108e-8f;
    sine = sine * z + 2.7557319e-6f;
    sine = sine * z - 1.9841270e-4f;
    sine = sine * z + 8.3333333e-3f;
    sine = sine * z - 0.16666667f;
    float cosine = 2.0876757e-9f;
    cosine = cosine * z - 2.7557319e-7f;
    cosine = cosine * z + 2.4801587e-5f;
    cosine = cosine * z - 1.3888889e-3f;
    cosine = cosine * z + 4.1666667e-2f;
    cosine = cosine * z - 0.5f;
    return {sign * (r + r * z * sine), sign * (1.0f + z * cosine)};
}
RSLCORE_HD SineCosine<double> sine_cosine(double x) {
    return {std::sin(x), std::cos(x)};
}

// One time step under the force 10 N * action, the action cut to [-1, 1].
template <typename T>
RSLCORE_HD PoleState<T> cart_pole_step(PoleState<T> pole, T action) {
    constexpr T kTotalMass = static_cast<T>(kCartMass + kPoleMass);
    constexpr T kMoment = static_cast<T>(kPoleMass * kPoleHalfLength);
    constexpr T kStep = static_cast<T>(kCartPoleTimeStep);
    const T within = action < T(-1) ? T(-1) : action > T(1) ? T(1) : action;
    const T force = static_cast<T>(kForce) * within;
    const auto [sine, cosine] = sine_cosine(pole.angle);
    const T push = (force + kMoment * pole.angular_velocity * pole.angular_velocity * sine) / kTotalMass;
    const T angular_acceleration =
        (static_cast<T>(kGravity) * sine - cosine * push) /
        (static_cast<T>(kPoleHalfLength) *
         (static_cast<T>(4.0 / 3.0) - static_cast<T>(kPoleMass) * cosine * cosine / kTotalMass));
    const T acceleration = push - kMoment * angular_acceleration * cosine / kTotalMass;
    return {
        pole.position + kStep * pole.velocity,
        pole.velocity + kStep * acceleration,
        pole.angle + kStep * pole.angular_velocity,
        pole.angular_velocity + kStep * angular_acceleration,
    };
}

// Neither beyond a limit nor NaN, in any component.
template <typename T>
RSLCORE_HD bool cart_pole_stands(const PoleState<T>& pole) {
    return std::abs(pole.position) <= static_cast<T>(kPositionLimit) &&
           std::abs(pole.angle) <= static_cast<T>(kAngleLimit) && pole.velocity == pole.velocity &&
           pole.angular_velocity == pole.angular_velocity;
}

template <typename T>
RSLCORE_HD T cart_pole_start_component(uint32_t word) {
    return static_cast<T>(kStartRange) * (T(2) * (static_cast<T>(word >> 8) * T(0x1p-24)) - T(1));
}

// Starts episode number `episode` of environment `env`: `state` [P, 4, N], `observation` the environment's
// row [4 P].
template <typename T>
RSLCORE_HD void cart_pole_start(uint64_t seed, int64_t episode, int64_t env, int64_t num_envs,
                                int64_t num_poles, T* state, T* observation) {
    for (int64_t pole = 0; pole < num_poles; ++pole) {
        const Philox random = philox(seed, kCartPoleStream, static_cast<uint64_t>(episode),
                                     static_cast<uint32_t>(env * num_poles + pole));
        for (int64_t k = 0; k < kPoleStates; ++k) {
            const T start = cart_pole_start_component<T>(random.word[k]);
            state[(pole * kPoleStates + k) * num_envs + env] = start;
            observation[pole * kPoleStates + k] = start;
        }
    }
}

}  // namespace rslcore
