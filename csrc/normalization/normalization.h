// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cmath>

#include "common/macros.h"

namespace rslcore {

// Sums of one column's samples about a shift: moments of (x - shift) and of its square.
//
// The shift is the first sample of the column. A sample that lies M from the mean of n samples alone makes
// the variance at least about M^2 / n, so in float64 the cancellation in square - sum^2 / n costs a relative
// n * 2^-53 at worst, whatever the mean: partial sums about the one shift merge by adding.
RSLCORE_HD void add_sample(double x, double shift, double& sum, double& square) {
    const double centred = x - shift;
    sum += centred;
    square += centred * centred;
}

// Mean and population variance of n new samples merged into those of `count` earlier ones (Chan, Golub and
// LeVeque 1983, "Algorithms for Computing the Sample Variance", eq. 2.1, written with rate = n / (count + n)
// as rsl_rl 5.5.1 does).
template <typename T>
RSLCORE_HD void merge_moments(double n, double shift, double sum, double square, double count, T& mean,
                              T& var) {
    const double new_mean = shift + sum / n;
    const double squares = square - sum * sum / n;
    const double new_var = squares < 0.0 ? 0.0 : squares / n;  // a NaN passes
    const double rate = n / (count + n);
    const double delta = new_mean - static_cast<double>(mean);
    const double old_var = static_cast<double>(var);
    mean = static_cast<T>(static_cast<double>(mean) + rate * delta);
    var = static_cast<T>(old_var + rate * (new_var - old_var + delta * (1.0 - rate) * delta));
}

// Normalized sample: (x - mean) / (sqrt(var) + eps), as rsl_rl does, with the quotient taken once per column.
template <typename T>
RSLCORE_HD T normalizer_scale(T var, T eps) {
    return T(1) / (std::sqrt(var) + eps);
}
template <typename T>
RSLCORE_HD T normalized(T x, T mean, T scale) {
    return (x - mean) * scale;
}

// Running discounted return R_t = gamma * R_{t-1} + r_t, whose spread scales rewards (Burda et al. 2018,
// "Large-Scale Study of Curiosity-Driven Learning", as rsl_rl does).
template <typename T>
RSLCORE_HD T discounted(T running, T reward, T gamma) {
    return gamma * running + reward;
}

}  // namespace rslcore
