// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/macros.h"

namespace rslcore {

struct KlAdaptiveLrSettings {
    double desired_kl;
    double tolerance;  // the learning rate stays while KL is within this factor of the desired one
    double factor;     // it is multiplied or divided by this
    double min_lr;
    double max_lr;
};

// The learning rate after a minibatch of this KL(old || new), as rsl_rl 5.5.1 adapts it. A divergence of zero
// and NaN leave it as it is.
RSLCORE_HD double kl_adapted(double lr, double kl, const KlAdaptiveLrSettings& settings) {
    if (kl > settings.desired_kl * settings.tolerance) {
        const double smaller = lr / settings.factor;
        return smaller > settings.min_lr ? smaller : settings.min_lr;
    }
    if (kl > 0.0 && kl < settings.desired_kl / settings.tolerance) {
        const double larger = lr * settings.factor;
        return larger < settings.max_lr ? larger : settings.max_lr;
    }
    return lr;
}

}  // namespace rslcore
