// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bias_activation/run_cpu.h"

#include "check.h"

namespace {

template <typename T>
void bias_activation(int64_t rows, int64_t columns, int64_t activation) {
    check::begin("bias_activation: " + std::to_string(rows) + " x " + std::to_string(columns) +
                 (sizeof(T) == 4 ? " float" : " double") + ", activation " + std::to_string(activation));
    check::Random random(rows * 1009 + columns);
    const int64_t n = rows * columns;
    const std::vector<T> x = check::normal<T>(random, n);
    const std::vector<T> bias = check::normal<T>(random, columns);
    const std::vector<T> y_gradient = check::normal<T>(random, n);
    const auto run = [&](const auto& forward, const auto& backward) {
        std::vector<T> y = check::garbage<T>(n);
        std::vector<T> x_gradient = check::garbage<T>(n);
        std::vector<T> bias_gradient = check::garbage<T>(columns);
        const rslcore::BiasActivationArgs<T> args{
            .rows = rows,
            .columns = columns,
            .activation = static_cast<rslcore::Activation>(activation),
            .x = x.data(),
            .bias = bias.data(),
            .y = y.data(),
            .y_gradient = y_gradient.data(),
            .x_gradient = x_gradient.data(),
            .bias_gradient = bias_gradient.data(),
        };
        forward(args);
        backward(args);
        return std::tuple(y, x_gradient, bias_gradient);
    };
    const auto [y, x_gradient, bias_gradient] =
        run([](const auto& args) { rslcore::bias_activation_cpu(args, check::serial); },
            [](const auto& args) { rslcore::bias_activation_backward_cpu(args, check::serial); });
    const auto [emulated_y, emulated_x_gradient, emulated_bias_gradient] = check::emulate([&](void* stream) {
        return run([&](const auto& args) { check::launched(rslcore::bias_activation_cuda(args, stream)); },
                   [&](const auto& args) {
                       std::vector<double> scratch =
                           check::garbage<double>(rslcore::bias_activation_scratch_doubles(rows, columns));
                       check::launched(rslcore::bias_activation_backward_cuda(args, scratch.data(), stream));
                   });
    });
    check::equal("y", emulated_y, y);
    check::equal("x gradient", emulated_x_gradient, x_gradient);
    check::equal("bias gradient", emulated_bias_gradient, bias_gradient, static_cast<double>(rows));
}

template <typename T>
void each() {
    for (const auto& [rows, columns] :
         std::vector<std::pair<int64_t, int64_t>>{{0, 3}, {3, 0}, {1, 1}, {77, 64}, {300, 5}, {9, 300}}) {
        bias_activation<T>(rows, columns, 1);
    }
    for (int64_t activation = 0; activation < rslcore::kActivations; ++activation) {
        bias_activation<T>(7, 65, activation);
    }
}

}  // namespace

int main() {
    each<float>();
    each<double>();
    return check::done();
}
