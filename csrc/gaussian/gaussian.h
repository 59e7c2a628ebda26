// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

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

inline constexpr double kLogSqrtTwoPi = 0.91893853320467274178;
inline constexpr double kTwoPi = 6.28318530717958647693;

template <typename T>
struct NormalPair {
    T first;
    T second;
};

template <typename To, typename From>
RSLCORE_HD To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof(to));
    return to;
}

// log(1 + f), sqrt(1/2) - 1 <= f <= sqrt(2) - 1: f - f^2/2 + f^3 Q(f), Q of least maximal relative error.
RSLCORE_HD float log1p_reduced(float f) {
    float q = -0.078596115f;
    q = q * f + 0.12881647f;
    q = q * f - 0.13128755f;
    q = q * f + 0.14181192f;
    q = q * f - 0.16624554f;
    q = q * f + 0.20002286f;
    q = q * f - 0.25000811f;
    q = q * f + 0.33333316f;
    const float square = f * f;
    return f + (square * f * q - 0.5f * square);
}

// x = 2^exponent * (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); x positive and normal.
struct LogReduction {
    float exponent;
    float f;
};
RSLCORE_HD LogReduction reduce_for_log(float x) {
    constexpr int32_t kSqrtHalf = 0x3f3504f3;
    const int32_t bits = bits_as<int32_t>(x) - kSqrtHalf;
    return {static_cast<float>(bits >> 23), bits_as<float>((bits & 0x007fffff) + kSqrtHalf) - 1.0f};
}

// exponent * log(2) + log(1 + f); the first product is exact.
RSLCORE_HD float log_from(float exponent, float f) {
    return exponent * 0.693359375f + (exponent * -2.12194440e-4f + log1p_reduced(f));
}

// Natural logarithm of a standard deviation; NaN for what is not positive, finite and (float) normal.
RSLCORE_HD float log_std(float std) {
    const LogReduction x = reduce_for_log(std);
    const float log = log_from(x.exponent, x.f);
    const bool valid = std >= FLT_MIN && std <= FLT_MAX;
    return valid ? log : NAN;
}
RSLCORE_HD double log_std(double std) {
    const bool valid = std > 0.0 && std <= DBL_MAX;
    return valid ? std::log(std) : static_cast<double>(NAN);
}

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

// One element of a draw of a diagonal Gaussian: the action mean + std * noise, and its share
// ((action - mean) / std)^2 / 2 + log(std) of -log p - log(sqrt(2 pi)). The share is that of the action as
// rounded, so that an update which evaluates the stored action again finds the same probability.
template <typename T>
RSLCORE_HD T gaussian_action(T mean, T std, T noise) {
    return mean + std * noise;
}
template <typename T>
RSLCORE_HD T gaussian_surprise(T action, T mean, T inverse_std, T log_std) {
    const T deviation = (action - mean) * inverse_std;
    return T(0.5) * deviation * deviation + log_std;
}
template <typename T>
RSLCORE_HD T gaussian_log_prob(T sum_of_surprises, int64_t actions) {
    return -(sum_of_surprises + static_cast<T>(static_cast<double>(actions) * kLogSqrtTwoPi));
}

}  // namespace rslcore
