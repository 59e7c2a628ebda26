// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "kl_adaptive_lr/kl_adaptive_lr.h"

#include <limits>

#include "check.h"
#include "kl_adaptive_lr/launch.h"

namespace {

template <typename T, typename K>
void adapt(T lr, K kl) {
    check::begin("kl_adaptive_lr: " + std::to_string(lr) + ", KL " + std::to_string(kl));
    const rslcore::KlAdaptiveLrSettings settings{0.01, 2.0, 1.5, 1e-5, 1e-2};
    const std::vector<T> expected{static_cast<T>(rslcore::kl_adapted(lr, kl, settings))};
    const std::vector<K> divergence{kl};
    const auto [got] = check::emulate([&](void* stream) {
        std::vector<T> rate{lr};
        check::launched(rslcore::kl_adaptive_lr_cuda(rate.data(), divergence.data(), settings, stream));
        return std::tuple(rate);
    });
    check::equal("learning rate", got, expected, 1e-3);
}

template <typename T, typename K>
void each() {
    for (const K kl : {K(0), K(0.004), K(0.01), K(0.03), std::numeric_limits<K>::quiet_NaN()}) {
        adapt<T, K>(T(1e-3), kl);
        adapt<T, K>(T(9e-3), kl);
        adapt<T, K>(T(1.2e-5), kl);
    }
}

}  // namespace

int main() {
    each<float, float>();
    each<float, double>();
    each<double, float>();
    each<double, double>();
    return check::done();
}
