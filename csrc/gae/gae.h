// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/macros.h"

namespace rslcore {

// Generalized advantage estimation, one step (Schulman et al. 2016, "High-Dimensional Continuous Control
// Using Generalized Advantage Estimation", eq. 16):
//   delta_t = r_t + gamma * V_{t+1} * (1 - done_t) - V_t
//   A_t     = delta_t + gamma * lam * (1 - done_t) * A_{t+1}
// `alive` is 1 - done_t.
template <typename T>
RSLCORE_HD T gae_advantage(T reward, T value, T next_value, T next_advantage, T alive, T gamma, T lam) {
    const T delta = reward + gamma * next_value * alive - value;
    return delta + gamma * lam * alive * next_advantage;
}

// Reward of a step that the time limit may have cut: the value that the episode would have gone on with is
// added (Pardo et al. 2018, "Time Limits in Reinforcement Learning"; V(s_t) as bootstrap is what rsl_rl
// does). Selected, not multiplied: elsewhere the bootstrap value may be anything, NaN as well.
template <typename T>
RSLCORE_HD T bootstrapped_reward(T reward, T bootstrap_value, bool time_out, T gamma) {
    return time_out ? reward + gamma * bootstrap_value : reward;
}

// Factor that gives the advantages unit deviation; 1e-8 as rsl_rl adds.
RSLCORE_HD double advantage_scale(double std) {
    return 1.0 / (std + 1e-8);
}

template <typename T>
RSLCORE_HD T normalized_advantage(T advantage, double mean, double scale) {
    return static_cast<T>((static_cast<double>(advantage) - mean) * scale);
}

}  // namespace rslcore
