// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cmath>

#include "common/activation.h"
#include "common/macros.h"

namespace rslcore {

// f(z) and f'(z) of one number, by the functions of the C library, as torch's modules have them with their
// default settings. csrc/mlp/activation.h has the same for vector registers. NaN stays NaN.
template <typename T>
struct ActivatedNumber {
    T value;
    T derivative;
};

template <typename T>
RSLCORE_HD ActivatedNumber<T> elu_like(T z, T alpha, T scale) {
    return {z > T(0) ? scale * z : scale * alpha * std::expm1(z),
            z > T(0) ? scale : scale * alpha * std::exp(z)};
}

template <typename T>
RSLCORE_HD T sigmoid(T z) {
    return T(1) / (T(1) + std::exp(-z));
}

template <typename T>
RSLCORE_HD T softplus(T z) {
    return z > T(20) ? z : std::log1p(std::exp(z));
}

template <Activation kActivation, typename T>
RSLCORE_HD ActivatedNumber<T> activated(T z) {
    if constexpr (kActivation == Activation::elu) {
        return elu_like(z, T(1), T(1));
    } else if constexpr (kActivation == Activation::selu) {
        return elu_like(z, T(1.67326324235437728482), T(1.05070098735548049342));
    } else if constexpr (kActivation == Activation::relu) {
        return {z <= T(0) ? T(0) : z, z <= T(0) ? T(0) : T(1)};
    } else if constexpr (kActivation == Activation::leaky_relu) {
        return {z > T(0) ? z : T(0.01) * z, z > T(0) ? T(1) : T(0.01)};
    } else if constexpr (kActivation == Activation::tanh) {
        const T value = std::tanh(z);
        return {value, T(1) - value * value};
    } else if constexpr (kActivation == Activation::sigmoid) {
        const T value = sigmoid(z);
        return {value, value * (T(1) - value)};
    } else if constexpr (kActivation == Activation::softplus) {
        return {softplus(z), z > T(20) ? T(1) : sigmoid(z)};
    } else if constexpr (kActivation == Activation::gelu) {
        const T phi = T(0.5) * std::erfc(z * T(-0.70710678118654752440));
        return {z * phi, phi + z * (T(0.39894228040143267794) * std::exp(T(-0.5) * z * z))};
    } else if constexpr (kActivation == Activation::swish) {
        const T s = sigmoid(z);
        return {z * s, s * (T(1) + z * (T(1) - s))};
    } else if constexpr (kActivation == Activation::mish) {
        const T t = std::tanh(softplus(z));
        return {z * t, t + z * (T(1) - t * t) * sigmoid(z)};
    } else {
        static_assert(kActivation == Activation::identity);
        return {z, T(1)};
    }
}

// Calls body.template operator()<activation>() with the constant of that value.
template <typename Body>
void dispatch_activation(Activation activation, const Body& body) {
    switch (activation) {
        case Activation::identity:
            return body.template operator()<Activation::identity>();
        case Activation::elu:
            return body.template operator()<Activation::elu>();
        case Activation::selu:
            return body.template operator()<Activation::selu>();
        case Activation::relu:
            return body.template operator()<Activation::relu>();
        case Activation::leaky_relu:
            return body.template operator()<Activation::leaky_relu>();
        case Activation::tanh:
            return body.template operator()<Activation::tanh>();
        case Activation::sigmoid:
            return body.template operator()<Activation::sigmoid>();
        case Activation::softplus:
            return body.template operator()<Activation::softplus>();
        case Activation::gelu:
            return body.template operator()<Activation::gelu>();
        case Activation::swish:
            return body.template operator()<Activation::swish>();
        case Activation::mish:
            return body.template operator()<Activation::mish>();
    }
}

}  // namespace rslcore
