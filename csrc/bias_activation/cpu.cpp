// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bias_activation/bias_activation.h"
#include "bias_activation/launch.h"
#include "common/macros.h"

namespace rslcore::RSLCORE_SIMD {
namespace {}  // namespace

template <typename T>
void bias_activation_chunks(const BiasActivationArgs<T>& args, int64_t chunk, int64_t begin, int64_t end) {
    dispatch_activation(args.activation, [&]<Activation kActivation>() {
        for (int64_t row = begin * chunk; row < smaller(end * chunk, args.rows); ++row) {
            const T* const x = args.x + row * args.columns;
            T* const y = args.y + row * args.columns;
            for (int64_t c = 0; c < args.columns; ++c) {
                y[c] = activated<kActivation>(x[c] + args.bias[c]).value;
            }
        }
    });
}

template <typename T>
void bias_activation_backward_chunks(const BiasActivationArgs<T>& args, int64_t chunk, double* sums,
                                     int64_t begin, int64_t end) {
    dispatch_activation(args.activation, [&]<Activation kActivation>() {
        for (int64_t number = begin; number < end; ++number) {
            double* const sum = sums + number * args.columns;
            for (int64_t c = 0; c < args.columns; ++c) {
                sum[c] = 0.0;
            }
            for (int64_t row = number * chunk; row < smaller((number + 1) * chunk, args.rows); ++row) {
                const int64_t first = row * args.columns;
                for (int64_t c = 0; c < args.columns; ++c) {
                    const T derivative = activated<kActivation>(args.x[first + c] + args.bias[c]).derivative;
                    const T gradient = args.y_gradient[first + c] * derivative;
                    args.x_gradient[first + c] = gradient;
                    sum[c] += static_cast<double>(gradient);
                }
            }
        }
    });
}

template void bias_activation_chunks<float>(const BiasActivationArgs<float>&, int64_t, int64_t, int64_t);
template void bias_activation_chunks<double>(const BiasActivationArgs<double>&, int64_t, int64_t, int64_t);
template void bias_activation_backward_chunks<float>(const BiasActivationArgs<float>&, int64_t, double*,
                                                     int64_t, int64_t);
template void bias_activation_backward_chunks<double>(const BiasActivationArgs<double>&, int64_t, double*,
                                                      int64_t, int64_t);

}  // namespace rslcore::RSLCORE_SIMD
