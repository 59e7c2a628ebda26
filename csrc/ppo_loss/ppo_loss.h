// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cmath>
#include <cstdint>

#include "common/elementary.h"
#include "common/gaussian_density.h"
#include "common/macros.h"

namespace rslcore {

// Schulman et al. 2017, "Proximal Policy Optimization Algorithms", arXiv:1707.06347; constants and the order
// of operations as in rsl_rl 5.5.1. The loss of B rows, of which the leading S are samples of the rollout
// (mirror images may follow), is
//
//     mean_B(surrogate) + value_loss_coef * mean_B(value) - entropy_coef * mean_S(entropy)
template <typename T>
struct PpoLossSettings {
    T min_ratio;             // 1 - clip_param
    T max_ratio;             // 1 + clip_param
    T clip_param;            //
    bool clip_value;         // whether the value loss is clipped
    T advantage_mean;        // advantages count as (A - advantage_mean) / advantage_divisor
    T advantage_divisor;     //
    T row_weight;            // 1 / B
    T value_weight;          // value_loss_coef / B
    T entropy_weight;        // entropy_coef / S
    double value_loss_coef;  //
    double entropy_coef;     //
};

// For `rows` rows with `samples` samples among them. The bounds are taken in double, as torch takes its
// scalars.
template <typename T>
PpoLossSettings<T> ppo_loss_settings(double clip_param, double value_loss_coef, double entropy_coef,
                                     bool clip_value, int64_t rows, int64_t samples) {
    const double row_weight = 1.0 / static_cast<double>(rows);
    return {
        .min_ratio = static_cast<T>(1.0 - clip_param),
        .max_ratio = static_cast<T>(1.0 + clip_param),
        .clip_param = static_cast<T>(clip_param),
        .clip_value = clip_value,
        .advantage_mean = T(0),
        .advantage_divisor = T(1),
        .row_weight = static_cast<T>(row_weight),
        .value_weight = static_cast<T>(value_loss_coef * row_weight),
        .entropy_weight = static_cast<T>(entropy_coef / static_cast<double>(samples)),
        .value_loss_coef = value_loss_coef,
        .entropy_coef = entropy_coef,
    };
}

// Within its bounds; NaN stays.
template <typename T>
RSLCORE_HD T ppo_clamp(T x, T low, T high) {
    const T above = x < low ? low : x;
    return above > high ? high : above;
}

// The policy's half of one row.
template <typename T>
struct PpoSurrogate {
    T loss;      // max(-A r, -A clip(r, 1 - c, 1 + c)) with r = exp(log_prob - old_log_prob)
    T gradient;  // d loss / d log_prob; 0 where the clipped ratio counts
    T kl;        // r - 1 - log r: an estimate of KL(old || new) from the actions alone (Schulman 2020)
    bool clipped;
};
template <typename T>
RSLCORE_HD PpoSurrogate<T> ppo_surrogate(T log_prob, T old_log_prob, T advantage,
                                         const PpoLossSettings<T>& settings) {
    const T log_ratio = log_prob - old_log_prob;
    const T ratio = exp_vectorized(log_ratio);
    const T near = ppo_clamp(ratio, settings.min_ratio, settings.max_ratio);
    const T descent = -((advantage - settings.advantage_mean) / settings.advantage_divisor);
    const T plain = descent * ratio;
    const T bounded = descent * near;
    return {
        .loss = plain < bounded ? bounded : plain,
        .gradient = plain < bounded ? T(0) : plain,
        .kl = ratio - T(1) - log_ratio,
        .clipped = ratio < settings.min_ratio || ratio > settings.max_ratio,
    };
}

// The critic's half: the loss (V - R)^2, or the larger of it and (V_old + clip(V - V_old, -c, c) - R)^2, and
// its derivative. As torch.max has it, the gradient is the mean of both where the two are equal, and their
// sum where one is NaN.
template <typename T>
struct PpoValue {
    T loss;
    T gradient;
};
template <typename T>
RSLCORE_HD PpoValue<T> ppo_value(T value, T old_value, T ret, const PpoLossSettings<T>& settings) {
    const T error = value - ret;
    const T step = value - old_value;
    const T near_error = old_value + ppo_clamp(step, -settings.clip_param, settings.clip_param) - ret;
    const bool inside = step >= -settings.clip_param && step <= settings.clip_param;
    const T loss = error * error;
    const T near_loss = near_error * near_error;
    const T gradient = T(2) * error;
    const T near_gradient = inside ? T(2) * near_error : T(0);
    const T both = gradient + near_gradient;
    const T neither = loss == near_loss ? T(0.5) * both : both;
    const T near_or_neither = loss < near_loss ? near_gradient : neither;
    const T clipped_gradient = loss > near_loss ? gradient : near_or_neither;
    return {
        .loss = settings.clip_value && !(loss > near_loss || loss != loss) ? near_loss : loss,
        .gradient = settings.clip_value ? clipped_gradient : gradient,
    };
}

// d log p / d mean and d log p / d std of one action.
template <typename T>
struct PpoAction {
    T mean;
    T std;
};
template <typename T>
RSLCORE_HD PpoAction<T> ppo_action(T action, T mean, T inverse_std) {
    const T deviation = (action - mean) * inverse_std;
    return {deviation * inverse_std, (deviation * deviation - T(1)) * inverse_std};
}

// Sums over rows, in this order: surrogate and value losses and clipped rows over all, entropy and KL over
// samples.
enum PpoLossTerm { kPpoSurrogate, kPpoValue, kPpoEntropy, kPpoKl, kPpoClipped };
inline constexpr int64_t kPpoLossTerms = 5;

// The statistics (means, in that order) and the loss from the sums over B rows and S samples.
template <typename T>
RSLCORE_HD T ppo_loss_from_sums(const double* sums, double rows, double samples,
                                const PpoLossSettings<T>& settings, T* stats) {
    const double surrogate = sums[kPpoSurrogate] / rows;
    const double value = sums[kPpoValue] / rows;
    const double entropy = sums[kPpoEntropy] / samples;
    stats[kPpoSurrogate] = static_cast<T>(surrogate);
    stats[kPpoValue] = static_cast<T>(value);
    stats[kPpoEntropy] = static_cast<T>(entropy);
    stats[kPpoKl] = static_cast<T>(sums[kPpoKl] / samples);
    stats[kPpoClipped] = static_cast<T>(sums[kPpoClipped] / rows);
    return static_cast<T>(surrogate + settings.value_loss_coef * value - settings.entropy_coef * entropy);
}

}  // namespace rslcore
