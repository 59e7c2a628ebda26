// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "adam/launch.h"
#include "common/parallel.h"

namespace rslcore {

// Clips the gradients of every group to `max_norm` (nullptr: not at all) and takes one step with all tensors;
// the norms go to `norms` [groups], if there is a max_norm. `parallel(units, grain, body)` hands ranges of
// [0, units) to threads: torch's pool or rslcore::parallel_for.
template <typename T, typename Parallel>
void clip_adam_cpu(std::vector<AdamTensor<T>>& tensors, int64_t groups, const double* max_norm,
                   const AdamHyperparameters& adam, T* norms, const Parallel& parallel) {
    std::vector<AdamChunk> chunks;
    for (size_t i = 0; i < tensors.size(); ++i) {
        for (int64_t begin = 0; begin < tensors[i].numel; begin += kAdamChunk) {
            chunks.push_back(
                {static_cast<int64_t>(i), begin, std::min(begin + kAdamChunk, tensors[i].numel)});
        }
    }
    const int64_t units = static_cast<int64_t>(chunks.size());
    int64_t numel = 0;
    for (const AdamTensor<T>& x : tensors) {
        numel += x.numel;
    }
    const int64_t least = numel < serial_elements(parallel) ? units : 1;
    std::vector<T> coefficients(groups, T(1));
    if (max_norm != nullptr) {
        std::vector<double> sums(chunks.size());
        parallel(units, least, [&](int64_t begin, int64_t end) {
            RSLCORE_SIMD_CALL(adam_squares<T>, tensors.data(), chunks.data(), sums.data(), begin, end);
        });
        std::vector<double> squares(groups, 0.0);
        for (size_t c = 0; c < chunks.size(); ++c) {
            squares[tensors[chunks[c].tensor].group] += sums[c];
        }
        for (int64_t g = 0; g < groups; ++g) {
            norms[g] = static_cast<T>(std::sqrt(squares[g]));
            coefficients[g] = clip_coefficient(norms[g], static_cast<T>(*max_norm));
        }
    }
    float settings_of = 0.0f;  // powers take longer than small tensors, and most tensors are at the same step
    AdamSettings<T> settings{};
    for (AdamTensor<T>& x : tensors) {
        *x.step += 1.0f;
        if (*x.step != settings_of) {
            settings_of = *x.step;
            settings = adam_settings<T>(adam, static_cast<double>(settings_of));
        }
        x.settings = settings;
    }
    parallel(units, least, [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(adam_steps<T>, tensors.data(), chunks.data(), coefficients.data(), begin, end);
    });
}

}  // namespace rslcore
