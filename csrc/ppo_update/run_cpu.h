// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "adam/run_cpu.h"
#include "common/team.h"
#include "kl_adaptive_lr/kl_adaptive_lr.h"
#include "ppo_minibatch/run_cpu.h"

namespace rslcore {

// The gradient steps of an update.
struct UpdateSteps {
    std::vector<MinibatchArgs> batches;
    std::vector<int64_t> order;  // the batch of every step
    MinibatchNoise noise;
    float* std;  // [A], of the coming step; in the end, of the last one
    std::vector<AdamTensor<float>> tensors;
    int64_t groups;
    double max_norm;
    AdamHyperparameters adam;
    std::optional<KlAdaptiveLrSettings> adaptive;  // none: the learning rate stays
    float* terms;                                  // [steps, kMinibatchTerms]
    float* norms;                                  // [groups], of the last step
    double* lr;                                    // of the coming step
};

// Minibatch after minibatch: gradients, learning rate, clipping and Adam. The threads stay awake from the
// first to the last.
template <typename Parallel>
void ppo_update_cpu(UpdateSteps& update, int64_t threads, const Parallel& parallel) {
    const MinibatchNoise& noise = update.noise;
    Team::run(threads, parallel, [&](Team& team) {
        const Team::Loop awake = team.loop();
        float* terms = update.terms;
        for (const int64_t batch : update.order) {
            for (int64_t a = 0; a < update.batches[batch].actions; ++a) {
                const float clamped = ppo_clamp(noise.parameter[a], noise.low, noise.high);
                update.std[a] = noise.logarithmic ? std::exp(clamped) : clamped;
            }
            minibatch_cpu(update.batches[batch], noise, awake, terms);
            if (update.adaptive.has_value()) {
                *update.lr =
                    kl_adapted(*update.lr, static_cast<double>(terms[kMinibatchKl]), *update.adaptive);
            }
            update.adam.lr = *update.lr;
            clip_adam_cpu<float>(update.tensors, update.groups, &update.max_norm, update.adam, update.norms,
                                 awake);
            terms += kMinibatchTerms;
        }
    });
}

}  // namespace rslcore
