// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// The density of a diagonal Gaussian, one element at a time.

#include <cstdint>

#include "common/elementary.h"

namespace rslcore {

inline constexpr double kLogSqrtTwoPi = 0.91893853320467274178;

// Logarithm of a standard deviation; NaN for what is none.
template <typename T>
RSLCORE_HD T log_std(T std) {
    return log_positive(std);
}

// The share ((action - mean) / std)^2 / 2 + log(std) of an element in -log p - log(sqrt(2 pi)), and log p of
// all. The action is the one that was rounded and stored, so that an update which evaluates it again finds
// the same probability.
template <typename T>
RSLCORE_HD T gaussian_surprise(T action, T mean, T inverse_std, T log_std) {
    const T deviation = (action - mean) * inverse_std;
    return T(0.5) * deviation * deviation + log_std;
}
template <typename T>
RSLCORE_HD T gaussian_log_prob(T sum_of_surprises, int64_t actions) {
    return -(sum_of_surprises + static_cast<T>(static_cast<double>(actions) * kLogSqrtTwoPi));
}

// Entropy in nats from the sum of log(std).
template <typename T>
RSLCORE_HD T gaussian_entropy(T sum_of_log_std, int64_t actions) {
    return sum_of_log_std + static_cast<T>(static_cast<double>(actions) * (0.5 + kLogSqrtTwoPi));
}

// The share of an element in 2 KL(old || new). The quotients are taken as they stand, not by inverses: equal
// laws give exactly zero, which the adaptive learning rate treats apart.
template <typename T>
RSLCORE_HD T gaussian_twice_kl(T old_mean, T old_std, T mean, T std) {
    const T ratio = old_std / std;
    const T shift = (old_mean - mean) / std;
    const T square = ratio * ratio;
    return square + shift * shift - T(1) - log_positive(square);
}

}  // namespace rslcore
