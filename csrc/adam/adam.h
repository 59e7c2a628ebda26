// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cmath>

#include "common/macros.h"

namespace rslcore {

// What one step does to every element of a tensor (Kingma and Ba 2015, "Adam: A Method for Stochastic
// Optimization", arXiv:1412.6980; decoupled decay: Loshchilov and Hutter 2019, arXiv:1711.05101), in the
// order of operations of torch.optim.
template <typename T>
struct AdamSettings {
    T decay;              // weight decay that is added to the gradient
    T keep;               // what decoupled decay leaves of a parameter
    T beta1_complement;   // 1 - beta1
    T beta2;              //
    T beta2_complement;   // 1 - beta2
    T step_size;          // lr / (1 - beta1^t)
    T second_correction;  // sqrt(1 - beta2^t)
    T eps;                //
};

struct AdamHyperparameters {
    double lr;
    double beta1;
    double beta2;
    double eps;
    double weight_decay;
    bool decoupled;  // AdamW
};

// For step number `step`, counted from 1.
template <typename T>
AdamSettings<T> adam_settings(const AdamHyperparameters& adam, double step) {
    return {
        .decay = static_cast<T>(adam.decoupled ? 0.0 : adam.weight_decay),
        .keep = static_cast<T>(adam.decoupled ? 1.0 - adam.lr * adam.weight_decay : 1.0),
        .beta1_complement = static_cast<T>(1.0 - adam.beta1),
        .beta2 = static_cast<T>(adam.beta2),
        .beta2_complement = static_cast<T>(1.0 - adam.beta2),
        .step_size = static_cast<T>(adam.lr / (1.0 - std::pow(adam.beta1, step))),
        .second_correction = static_cast<T>(std::sqrt(1.0 - std::pow(adam.beta2, step))),
        .eps = static_cast<T>(adam.eps),
    };
}

template <typename T>
struct AdamElement {
    T param;
    T exp_avg;
    T exp_avg_sq;
};
template <typename T>
RSLCORE_HD AdamElement<T> adam_step(T param, T grad, T exp_avg, T exp_avg_sq, const AdamSettings<T>& s) {
    const T decayed = grad + s.decay * param;
    const T first = exp_avg + s.beta1_complement * (decayed - exp_avg);
    const T second = s.beta2 * exp_avg_sq + s.beta2_complement * decayed * decayed;
    const T scale = std::sqrt(second) / s.second_correction + s.eps;
    return {param * s.keep - s.step_size * (first / scale), first, second};
}

// What gradients are multiplied by so that their norm does not exceed `max_norm`, as
// torch.nn.utils.clip_grad_norm_ has it: at most 1, 0 for an infinite norm, NaN for NaN.
template <typename T>
RSLCORE_HD T clip_coefficient(T norm, T max_norm) {
    const T coefficient = max_norm / (norm + T(1e-6));
    return coefficient > T(1) ? T(1) : coefficient;
}

}  // namespace rslcore
