// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cmath>
#include <cstdint>

#include "common/gaussian_density.h"
#include "common/macros.h"
#include "common/philox.h"

namespace rslcore {

inline constexpr uint32_t kGaussianStream = 2;

// Element e of a draw takes word (e % 64) / 16 of Philox block 16 * (e / 64) + e % 16: sixteen blocks side by
// side fill four times sixteen neighbouring elements, which suits vector registers of any width and the
// threads of a warp alike.
inline constexpr int64_t kGaussianLanes = 16;
inline constexpr int64_t kGaussianGroup = 4 * kGaussianLanes;
inline constexpr int64_t kMaxGaussianElements = int64_t{1} << 34;  // what the 32 bits of a counter number

inline constexpr double kTwoPi = 6.28318530717958647693;

template <typename T>
struct NormalPair {
    T first;
    T second;
};

// Two independent standard normal numbers from two random words (Box and Muller 1958): radius sqrt(-2 log u)
// with u = (2 (radius_word / 2) + 1) / 2^32, angle 2 pi angle_word / 2^32. No number lies beyond 6.7.
//
// In float the angle is reduced to an eighth of a turn in integers, and log u is taken from 1 - u where u is
// near 1, so both numbers are those of the double version to a few units in the last place.
RSLCORE_HD NormalPair<float> normal_pair(uint32_t radius_word, uint32_t angle_word, float) {
    const int32_t u31 = static_cast<int32_t>(radius_word >> 1);
    const LogReduction u = reduce_for_log(static_cast<float>(u31) + 0.5f);
    const float below_one = (static_cast<float>(0x7fffffff - u31) + 0.5f) * -0x1p-31f;
    const float exponent = u.exponent - 31.0f;
    const float log_u = log_from(exponent, exponent >= 0.0f ? below_one : u.f);
    const float radius = std::sqrt(-2.0f * log_u);

    const uint32_t quarter = (angle_word + 0x20000000u) >> 30;
    const float t = static_cast<float>(static_cast<int32_t>(angle_word - (quarter << 30))) * 1.46291807e-9f;
    const float z = t * t;
    const float sine = t + t * z * (-0.16666655f + z * (0.008332178f - z * 1.9517267e-4f));
    const float cosine = 1.0f - 0.5f * z + z * z * (0.041666646f + z * (-0.0013887368f + z * 2.4438415e-5f));
    const bool swapped = (quarter & 1) != 0;
    const uint32_t cosine_sign = ((quarter + 1) & 2) << 30;
    const uint32_t sine_sign = (quarter & 2) << 30;
    const float along = bits_as<float>(bits_as<uint32_t>(swapped ? sine : cosine) ^ cosine_sign);
    const float across = bits_as<float>(bits_as<uint32_t>(swapped ? cosine : sine) ^ sine_sign);
    return {radius * along, radius * across};
}
RSLCORE_HD NormalPair<double> normal_pair(uint32_t radius_word, uint32_t angle_word, double) {
    const double u = (static_cast<double>(radius_word >> 1) + 0.5) * 0x1p-31;
    const double radius = std::sqrt(-2.0 * std::log(u));
    const double angle = static_cast<double>(angle_word) * (kTwoPi * 0x1p-32);
    return {radius * std::cos(angle), radius * std::sin(angle)};
}

// An element of a draw of a diagonal Gaussian.
template <typename T>
RSLCORE_HD T gaussian_action(T mean, T std, T noise) {
    return mean + std * noise;
}

}  // namespace rslcore
