// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "adam/run_cpu.h"
#include "common/team.h"
#include "kl_adaptive_lr/kl_adaptive_lr.h"
#include "ppo_minibatch/run_cpu.h"

namespace rslcore {

// The gradient steps of an update.
struct UpdateSteps {
    std::vector<MinibatchArgs> batches;  // one at least
    std::vector<int64_t> order;          // the batch of every step; may be empty
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

// Minibatch after minibatch: gradients, learning rate, clipping and Adam. While several threads are used they
// stay awake from one to the next; how many are used is asked before each.
template <typename Pool>
void ppo_update_cpu(UpdateSteps& update, int64_t most_threads, const Pool& pool) {
    const MinibatchNoise& noise = update.noise;
    float* terms = update.terms;
    const auto step = [&](int64_t batch, const auto& loop) {
        for (int64_t a = 0; a < update.batches[batch].actions; ++a) {
            const float clamped = ppo_clamp(noise.parameter[a], noise.low, noise.high);
            update.std[a] = noise.logarithmic ? std::exp(clamped) : clamped;
        }
        minibatch_cpu(update.batches[batch], noise, loop, terms);
        if (update.adaptive.has_value()) {
            *update.lr = kl_adapted(*update.lr, static_cast<double>(terms[kMinibatchKl]), *update.adaptive);
        }
        update.adam.lr = *update.lr;
        clip_adam_cpu<float>(update.tensors, update.groups, &update.max_norm, update.adam, update.norms,
                             loop);
        terms += kMinibatchTerms;
    };
    constexpr double kTrialShare = 0.02;
    thread_local ThreadChoices choices(kTrialShare);
    const MinibatchArgs& first = update.batches.front();
    ThreadChoice& choice = choices.of(first.rows, first.gradients_size, most_threads);
    const auto threads_of_pool = [&](int64_t count, const auto& share) {
        run_threads_of(pool, most_threads, count, share);
    };
    size_t done = 0;
    double now = seconds_now();
    int64_t threads = choice.next(most_threads, now);
    while (done < update.order.size()) {
        const int64_t together = threads;
        const auto report = [&](double work) {
            const double since = std::exchange(now, seconds_now());
            choice.took(together, work, since, now);
        };
        Team::run(together, threads_of_pool, [&](const Team::Loop& loop) {
            do {
                const int64_t batch = update.order[done++];
                step(batch, loop);
                report(static_cast<double>(update.batches[batch].rows));
                threads = choice.next(most_threads, now);
            } while (threads == together && done < update.order.size());
        });
        report(0.0);  // the wait for threads that come late
    }
}

}  // namespace rslcore
