// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// One step of a recurrent cell and its gradient, for one environment. All vectors have H' = `units` elements,
// a multiple of 16; the gates lie one block of H' behind the other and hold pre-activations before, values
// after.

#include <cstdint>

#include "mlp/activation.h"
#include "mlp/vector.h"

namespace rslcore::RSLCORE_SIMD {

// LSTM (Hochreiter & Schmidhuber 1997, with forget gate), gates i, f, g, o as torch.nn.LSTM has them:
//
//   c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c')
inline void lstm_step(int64_t units, float* gates, const float* c, float* next_c, float* next_h) {
    for (int64_t u = 0; u < units; u += kVectorLanes) {
        float* gate = gates + u;
        const Vector i = Sigmoid::apply(vector_load(gate)).value;
        const Vector f = Sigmoid::apply(vector_load(gate + units)).value;
        const Vector g = Tanh::apply(vector_load(gate + 2 * units)).value;
        const Vector o = Sigmoid::apply(vector_load(gate + 3 * units)).value;
        const Vector cell = vector_fma(f, vector_load(c + u), i * g);
        vector_store(gate, i);
        vector_store(gate + units, f);
        vector_store(gate + 2 * units, g);
        vector_store(gate + 3 * units, o);
        vector_store(next_c + u, cell);
        vector_store(next_h + u, o * Tanh::apply(cell).value);
    }
}

// From the gates' values, the cell before the step, and dL/dh', dL/dc': dL/d(pre-activations), and dL/dc in
// place of dL/dc'.
inline void lstm_gradient(int64_t units, const float* gates, const float* c, const float* grad_h,
                          float* grad_c, float* grad_gates) {
    for (int64_t u = 0; u < units; u += kVectorLanes) {
        const Vector i = vector_load(gates + u);
        const Vector f = vector_load(gates + units + u);
        const Vector g = vector_load(gates + 2 * units + u);
        const Vector o = vector_load(gates + 3 * units + u);
        const Vector before = vector_load(c + u);
        const Vector squashed = Tanh::apply(vector_fma(f, before, i * g)).value;
        const Vector dh = vector_load(grad_h + u);
        const Vector dc = vector_load(grad_c + u) + dh * o * (1.0f - squashed * squashed);
        float* grad = grad_gates + u;
        vector_store(grad, dc * g * (i * (1.0f - i)));
        vector_store(grad + units, dc * before * (f * (1.0f - f)));
        vector_store(grad + 2 * units, dc * i * (1.0f - g * g));
        vector_store(grad + 3 * units, dh * squashed * (o * (1.0f - o)));
        vector_store(grad_c + u, dc * f);
    }
}

// GRU (Cho et al. 2014) as torch.nn.GRU has it; gates: n of the input, r, z, n of the hidden state.
//
//   n = tanh(n_x + sigmoid(r) n_h),  h' = (1 - sigmoid(z)) n + sigmoid(z) h
//
// Afterwards the gates hold n, r, z and n_h. `next_h` may be `h`.
inline void gru_step(int64_t units, float* gates, const float* h, float* next_h) {
    for (int64_t u = 0; u < units; u += kVectorLanes) {
        float* gate = gates + u;
        const Vector r = Sigmoid::apply(vector_load(gate + units)).value;
        const Vector z = Sigmoid::apply(vector_load(gate + 2 * units)).value;
        const Vector n = Tanh::apply(vector_fma(r, vector_load(gate + 3 * units), vector_load(gate))).value;
        vector_store(gate, n);
        vector_store(gate + units, r);
        vector_store(gate + 2 * units, z);
        vector_store(next_h + u, vector_fma(z, vector_load(h + u) - n, n));
    }
}

// From the gates' values, the state before the step, and dL/dh': dL/d(pre-activations), and in place of
// dL/dh' that part of dL/dh which does not pass the gates.
inline void gru_gradient(int64_t units, const float* gates, const float* h, float* grad_h,
                         float* grad_gates) {
    for (int64_t u = 0; u < units; u += kVectorLanes) {
        const Vector n = vector_load(gates + u);
        const Vector r = vector_load(gates + units + u);
        const Vector z = vector_load(gates + 2 * units + u);
        const Vector hidden = vector_load(gates + 3 * units + u);
        const Vector dh = vector_load(grad_h + u);
        const Vector dn = dh * (1.0f - z) * (1.0f - n * n);
        float* grad = grad_gates + u;
        vector_store(grad, dn);
        vector_store(grad + units, dn * hidden * (r * (1.0f - r)));
        vector_store(grad + 2 * units, dh * (vector_load(h + u) - n) * (z * (1.0f - z)));
        vector_store(grad + 3 * units, dn * r);
        vector_store(grad_h + u, dh * z);
    }
}

}  // namespace rslcore::RSLCORE_SIMD
