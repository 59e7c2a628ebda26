// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// Elementary functions of float that host and device share and that a loop over them vectorizes: no table, no
// branch. double goes to the C library.

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "common/macros.h"

namespace rslcore {

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
    const int32_t bits = static_cast<int32_t>(bits_as<uint32_t>(x) - static_cast<uint32_t>(kSqrtHalf));
    return {static_cast<float>(bits >> 23), bits_as<float>((bits & 0x007fffff) + kSqrtHalf) - 1.0f};
}

// exponent * log(2) + log(1 + f); the first product is exact.
RSLCORE_HD float log_from(float exponent, float f) {
    return exponent * 0.693359375f + (exponent * -2.12194440e-4f + log1p_reduced(f));
}

// Natural logarithm; NaN for what is not positive, finite and (float) normal.
RSLCORE_HD float log_positive(float x) {
    const LogReduction reduced = reduce_for_log(x);
    const float log = log_from(reduced.exponent, reduced.f);
    const bool valid = x >= FLT_MIN && x <= FLT_MAX;
    return valid ? log : NAN;
}
RSLCORE_HD double log_positive(double x) {
    const bool valid = x > 0.0 && x <= DBL_MAX;
    return valid ? std::log(x) : static_cast<double>(NAN);
}

// exp(x) to 1 unit in the last place: 2^n exp(r) with |r| <= log(2) / 2, the polynomial of least maximal
// relative error. 0 and infinity where float ends, NaN for NaN.
RSLCORE_HD float exp_vectorized(float x) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const float low = x < -104.0f ? -104.0f : x;
    const float bounded = low > 89.0f ? 89.0f : low;
    const float shifted = bounded * 1.44269504f + kRound;
    const float n = shifted - kRound;
    const float r = bounded - n * 0.693359375f - n * -2.12194440e-4f;
    float p = 1.97903418e-4f;
    p = p * r + 1.39446597e-3f;
    p = p * r + 8.33349707e-3f;
    p = p * r + 4.16662949e-2f;
    p = p * r + 1.66666659e-1f;
    p = p * r + 0.500000007f;
    p = r * r * p + r;
    // 2^n in two factors: one alone does not reach the smallest and largest results.
    const int32_t exponent = bits_as<int32_t>(shifted) - bits_as<int32_t>(kRound);
    const int32_t half = exponent >> 1;
    const float first = bits_as<float>((half + 127) << 23);
    const float second = bits_as<float>((exponent - half + 127) << 23);
    return (p * first + first) * second;
}
RSLCORE_HD double exp_vectorized(double x) {
    return std::exp(x);
}

}  // namespace rslcore
