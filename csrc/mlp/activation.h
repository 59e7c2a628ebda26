// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// Activations f(z) with their derivatives f'(z), a register at a time, of torch's modules with their default
// settings. The two share what they have in common, the exponential above all; where only the value is asked
// for, the compiler drops the rest.
//
// tests/ops/test_mlp_activations.py measures the errors against float64. A NaN stays a NaN in the value.

#include "mlp/layout.h"
#include "mlp/vector.h"

namespace rslcore::RSLCORE_SIMD {

struct Activated {
    Vector value;
    Vector derivative;
};

// All of float's numbers are 0 below the exponential of this.
inline constexpr float kLeastExponent = -104.0f;

namespace activation_detail {

// exp(x) = 2^n (1 + p) with p = exp(r) - 1, x = n log(2) + r, |r| <= log(2) / 2.
struct Exponential {
    Vector n;
    Vector p;

    // exp(x) for x <= 0; garbage but no trap above.
    [[gnu::always_inline]] explicit Exponential(Vector x) {
        const Vector shift = vector_set(0x1.8p23f);  // its sum with a small number is rounded to an integer
        x = vector_at_least(x, vector_set(kLeastExponent));
        n = vector_fma(x, vector_set(1.44269504f), shift) - shift;
        // log(2) in two parts, the first short enough that n times it is exact.
        const Vector r =
            vector_fma(n, vector_set(2.12194440e-4f), vector_fma(n, vector_set(-0.693359375f), x));
        // r + r^2 Q(r), Q of least maximal relative error (2^-31).
        Vector q = vector_set(0.000197644142f);
        q = vector_fma(q, r, vector_set(0.00139323808f));
        q = vector_fma(q, r, vector_set(0.00833354332f));
        q = vector_fma(q, r, vector_set(0.0416664928f));
        q = vector_fma(q, r, vector_set(0.166666657f));
        q = vector_fma(q, r, vector_set(0.5f));
        p = vector_fma(r * r, q, r);
    }

    [[gnu::always_inline]] Vector exp() const { return vector_scale(p + 1.0f, n); }

    [[gnu::always_inline]] Vector expm1() const {
        const Vector power = vector_scale(vector_set(1.0f), n);
        return vector_fma(p, power, power - 1.0f);
    }
};

// log(1 + x) for 0 <= x <= 1.
[[gnu::always_inline]] inline Vector log1p(Vector x) {
    // Above sqrt(2) - 1: log(2) + log(1 + f) with 1 + f = (1 + x) / 2.
    const Vector bound = vector_set(0.414213562f);
    const Vector f = vector_if_greater(x, bound, 0.5f * x - 0.5f, x);
    // f - f^2/2 + f^3 Q(f), Q of least maximal relative error (2^-27).
    Vector q = vector_set(-0.0763575435f);
    q = vector_fma(q, f, vector_set(0.127618626f));
    q = vector_fma(q, f, vector_set(-0.131596833f));
    q = vector_fma(q, f, vector_set(0.142016277f));
    q = vector_fma(q, f, vector_set(-0.166234076f));
    q = vector_fma(q, f, vector_set(0.200012401f));
    q = vector_fma(q, f, vector_set(-0.250008196f));
    q = vector_fma(q, f, vector_set(0.333333313f));
    const Vector square = f * f;
    const Vector log = vector_fma(square, vector_fma(f, q, vector_set(-0.5f)), f);
    return log + vector_if_greater(x, bound, vector_set(0.693147181f), Vector{});
}

// exp(-x^2 / 2); the square is rounded apart, as an error of it would be multiplied by it.
[[gnu::always_inline]] inline Vector gaussian(Vector x) {
    const Vector square = x * x;
    const Vector exp = Exponential(-0.5f * square).exp();
    const Vector lost = -vector_residual(square, x, x);
    // An infinite square leaves no number to correct.
    return vector_if_greater(exp, Vector{}, vector_fma(-0.5f * lost, exp, exp), exp);
}

// 1 / (1 + x) for 0 <= x <= 1, made once for several quotients n / (1 + x) with an error of hardly more than
// half a unit in the last place: what rounding took from 1 + x and from the quotient is put back.
struct Divisor {
    Vector sum;
    Vector lost;
    Vector inverse;

    [[gnu::always_inline]] explicit Divisor(Vector x) {
        sum = x + 1.0f;
        lost = x - (sum - 1.0f);
        inverse = 1.0f / sum;
    }

    [[gnu::always_inline]] Vector divide(Vector n) const {
        const Vector quotient = n * inverse;
        const Vector rest = vector_residual(n, quotient, sum);
        return vector_fma(rest - lost * quotient, inverse, quotient);
    }
};

template <bool kScaled>
struct EluLike {
    static constexpr float kScale = kScaled ? 1.05070098735548049342f : 1.0f;
    static constexpr float kAlpha = kScaled ? 1.67326324235437728482f : 1.0f;

    [[gnu::always_inline]] static Activated apply(Vector z) {
        const Exponential below(z);
        const Vector zero{};
        const Vector scaled = kScaled ? kScale * z : z;
        const Vector curve = kScaled ? kScale * kAlpha * below.expm1() : below.expm1();
        const Vector slope = kScaled ? kScale * kAlpha * below.exp() : below.exp();
        return {vector_if_at_most(z, zero, curve, scaled),
                vector_if_at_most(z, zero, slope, vector_set(kScale))};
    }
};

}  // namespace activation_detail

struct Identity {
    [[gnu::always_inline]] static Activated apply(Vector z) { return {z, vector_set(1.0f)}; }
};

using Elu = activation_detail::EluLike<false>;
using Selu = activation_detail::EluLike<true>;

struct Relu {
    [[gnu::always_inline]] static Activated apply(Vector z) {
        const Vector zero{};
        return {vector_if_at_most(z, zero, zero, z), vector_if_at_most(z, zero, zero, vector_set(1.0f))};
    }
};

struct LeakyRelu {
    [[gnu::always_inline]] static Activated apply(Vector z) {
        const Vector zero{};
        const Vector slope = vector_set(0.01f);
        return {vector_if_greater(z, zero, z, slope * z),
                vector_if_greater(z, zero, vector_set(1.0f), slope)};
    }
};

// With e = exp(-2 |z|): tanh |z| = (1 - e) / (1 + e) = 1 - m, tanh' = m (2 - m), m = 2 e / (1 + e).
struct Tanh {
    [[gnu::always_inline]] static Activated apply(Vector z) {
        const activation_detail::Exponential exponential(-2.0f * vector_abs(z));
        const Vector e = exponential.exp();
        const activation_detail::Divisor divisor(e);
        const Vector size = divisor.divide(-exponential.expm1());
        const Vector m = divisor.divide(e + e);
        const VectorInt sign = vector_bits(z) & INT32_MIN;
        return {vector_from_bits(vector_bits(vector_abs(size)) | sign), vector_fma(-m, m, m + m)};
    }
};

// With e = exp(-|z|): sigmoid |z| = 1 / (1 + e), sigmoid(-|z|) = e / (1 + e) = m, sigmoid' = m (1 - m).
struct Sigmoid {
    [[gnu::always_inline]] static Activated apply(Vector z) {
        const Vector zero{};
        const Vector e = activation_detail::Exponential(-vector_abs(z)).exp();
        const activation_detail::Divisor divisor(e);
        const Vector m = divisor.divide(e);
        return {vector_if_greater(z, zero, divisor.divide(vector_set(1.0f)), m), vector_fma(-m, m, m)};
    }
};

// z sigmoid(z); torch.nn.SiLU. Where z < 0, z e is summed up before it is rounded.
struct Swish {
    [[gnu::always_inline]] static Activated apply(Vector z) {
        const Vector zero{};
        const activation_detail::Exponential exponential(-vector_abs(z));
        const Vector e = exponential.exp();
        const activation_detail::Divisor divisor(e);
        const Vector m = divisor.divide(e);
        const Vector sigmoid = vector_if_greater(z, zero, divisor.divide(vector_set(1.0f)), m);
        // Further down the product is 0, though not that of an exponential which is bounded.
        const Vector power = vector_scale(vector_at_least(z, vector_set(kLeastExponent)), exponential.n);
        const Vector below = divisor.divide(vector_fma(power, exponential.p, power));
        return {vector_if_greater(z, zero, z * sigmoid, below), vector_fma(z, vector_fma(-m, m, m), sigmoid)};
    }
};

// log(1 + exp(z)); z itself beyond 20, as torch has it.
struct Softplus {
    [[gnu::always_inline]] static Activated apply(Vector z) {
        const Vector zero{};
        const Vector threshold = vector_set(20.0f);
        const Vector one = vector_set(1.0f);
        const Vector e = activation_detail::Exponential(-vector_abs(z)).exp();
        const Vector value = vector_at_least(z, zero) + activation_detail::log1p(e);
        const Vector sigmoid = activation_detail::Divisor(e).divide(vector_if_greater(z, zero, one, e));
        return {vector_if_greater(z, threshold, z, value), vector_if_greater(z, threshold, one, sigmoid)};
    }
};

// z Phi(z), Phi the normal distribution function: Phi(-|z|) = exp(-z^2 / 2) t P(t), t = 1 / (1 + 0.3 |z|), P
// of least maximal relative error (2^-28) where the result is no underflow.
struct Gelu {
    [[gnu::always_inline]] static Activated apply(Vector z) {
        const Vector zero{};
        const Vector one = vector_set(1.0f);
        const Vector t = one / vector_fma(vector_abs(z), vector_set(0.3f), one);
        Vector p = vector_set(-0.0206263009f);
        p = vector_fma(p, t, vector_set(0.11245098f));
        p = vector_fma(p, t, vector_set(-0.22824977f));
        p = vector_fma(p, t, vector_set(0.19183293f));
        p = vector_fma(p, t, vector_set(-0.0794639662f));
        p = vector_fma(p, t, vector_set(0.0961787328f));
        p = vector_fma(p, t, vector_set(0.0783820003f));
        p = vector_fma(p, t, vector_set(0.110237084f));
        p = vector_fma(p, t, vector_set(0.119571611f));
        p = vector_fma(p, t, vector_set(0.1196867f));
        const Vector e = activation_detail::gaussian(z);
        const Vector tail = e * (t * p);
        const Vector phi = vector_if_greater(z, zero, one - tail, tail);
        const Vector density = vector_set(0.398942280f) * e;
        return {z * phi, vector_fma(z, density, phi)};
    }
};

// z tanh(softplus(z)), Misra 2019. With e = exp(-|z|), tanh(softplus(z)) = u / v:
// z > 0: u = 1 + 2 e, v = 1 + 2 e + 2 e^2; else u = e^2 + 2 e, v = e^2 + 2 e + 2.
struct Mish {
    [[gnu::always_inline]] static Activated apply(Vector z) {
        const Vector zero{};
        const Vector e = activation_detail::Exponential(-vector_abs(z)).exp();
        const Vector two_e = e + e;
        const Vector u = vector_if_greater(z, zero, two_e + 1.0f, vector_fma(e, e, two_e));
        const Vector v = u + vector_if_greater(z, zero, two_e * e, vector_set(2.0f));
        const Vector inverse = 1.0f / v;
        const Vector ratio = u * inverse;
        const Vector slope = 4.0f * vector_fma(e, e, e) * vector_if_greater(z, zero, e, vector_set(1.0f));
        return {z * ratio, vector_fma(z, slope * inverse * inverse, ratio)};
    }
};

// Calls body(f) with the struct of an activation.
template <typename Body>
void with_activation(Activation activation, const Body& body) {
    switch (activation) {
        case Activation::identity:
            return body(Identity{});
        case Activation::elu:
            return body(Elu{});
        case Activation::selu:
            return body(Selu{});
        case Activation::relu:
            return body(Relu{});
        case Activation::leaky_relu:
            return body(LeakyRelu{});
        case Activation::tanh:
            return body(Tanh{});
        case Activation::sigmoid:
            return body(Sigmoid{});
        case Activation::softplus:
            return body(Softplus{});
        case Activation::gelu:
            return body(Gelu{});
        case Activation::swish:
            return body(Swish{});
        case Activation::mish:
            return body(Mish{});
    }
}

}  // namespace rslcore::RSLCORE_SIMD
