// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/parallel.h"
#include "ppo_minibatch/launch.h"

namespace rslcore {

// Where there are rows enough: work for several threads.
inline constexpr int64_t kMinibatchFewestChunks = 4;
inline constexpr int64_t kMinibatchPieceFloats = 16 * 1024;

// Cuts the rows, by shape alone; the models must be known.
inline void minibatch_cut(MinibatchArgs* args) {
    const Mlp& actor = args->model[kMinibatchActor].mlp;
    const Mlp& critic = args->model[kMinibatchCritic].mlp;
    const int64_t tile_rows = std::min(mlp_tile_rows(actor), mlp_tile_rows(critic));
    const int64_t few = ceil_div(ceil_div(args->rows, kMinibatchFewestChunks), kMlpRowStep) * kMlpRowStep;
    args->tile_rows = std::min(tile_rows, few);
    const int64_t tiles = ceil_div(args->rows, args->tile_rows);
    args->chunk_rows = ceil_div(tiles, mlp_most_chunks(args->gradients_size)) * args->tile_rows;
    args->chunks = ceil_div(args->rows, args->chunk_rows);
    args->sums_size = kPpoLossTerms + args->actions;
    const int64_t row = std::max(mlp_workspace_row(actor), mlp_workspace_row(critic));
    args->workspace_size = args->tile_rows * row + mlp_padded(args->tile_rows);
}

// Mean and (unbiased) standard deviation of the advantages, as torch has them but for rounding.
inline void minibatch_advantages(MinibatchArgs* args) {
    double mean = 0.0;
    for (int64_t r = 0; r < args->rows; ++r) {
        mean += static_cast<double>(args->advantages[r]);
    }
    mean /= static_cast<double>(args->rows);
    double squares = 0.0;
    for (int64_t r = 0; r < args->rows; ++r) {
        const double deviation = static_cast<double>(args->advantages[r]) - mean;
        squares += deviation * deviation;
    }
    args->settings.advantage_mean = static_cast<float>(mean);
    args->settings.advantage_divisor =
        static_cast<float>(std::sqrt(squares / static_cast<double>(args->rows - 1)) + 1e-8);
}

// The parameter of the standard deviation: itself or its logarithm, clamped to a range that passes no
// gradient outside.
struct MinibatchNoise {
    const float* parameter;  // [A]
    bool logarithmic;
    float low;
    float high;
    float* gradient;  // [A] or nullptr
};

// The grain that leaves some units of so many floats to one thread, unless together they are too many for it.
template <typename Parallel>
int64_t serial_below(const Parallel& parallel, int64_t units, int64_t floats) {
    return units * floats < 2 * serial_elements(parallel) ? units : 1;
}

// Everything: `terms` are value loss, surrogate loss, entropy and KL divergence, means over the rows.
template <typename Parallel>
void minibatch_cpu(const MinibatchArgs& args, const MinibatchNoise& noise, const Parallel& parallel,
                   float* terms) {
    int64_t layers = 0;
    std::vector<MinibatchPiece> pieces;
    for (int64_t role = 0; role < kMinibatchRoles; ++role) {
        const Mlp& mlp = args.model[role].mlp;
        layers += mlp.layers;
        for (int64_t l = 0; l < mlp.layers; ++l) {
            const int64_t out = mlp.width[l + 1];
            const int64_t share = std::max<int64_t>(kMinibatchPieceFloats / mlp.width[l], 1);
            for (int64_t o = 0; o < out; o += share) {
                pieces.push_back({role, l, o, std::min(o + share, out)});
            }
        }
    }
    // Packing and summing are left to the calling thread unless they are large.
    const int64_t layer_floats = args.gradients_size / layers;
    parallel(layers, serial_below(parallel, layers, layer_floats),
             [&](int64_t begin, int64_t end) { RSLCORE_SIMD_CALL(minibatch_prepare, args, begin, end); });
    // Every thread takes the next unit when it is done with one: a thread that wakes late finds less left to
    // do.
    const int64_t units = args.chunks * kMinibatchRoles;
    std::atomic<int64_t> next{0};
    parallel(units, int64_t{1}, [&](int64_t begin, int64_t) {
        for (int64_t unit = next++; unit < units; unit = next++) {
            RSLCORE_SIMD_CALL(minibatch_unit, args, unit, args.workspaces + begin * args.workspace_size);
        }
    });
    const int64_t count = static_cast<int64_t>(pieces.size());
    parallel(count, serial_below(parallel, count, args.chunks * args.gradients_size / count),
             [&](int64_t begin, int64_t end) {
                 RSLCORE_SIMD_CALL(minibatch_reduce, args, pieces.data(), begin, end);
             });

    std::vector<double> sums(static_cast<size_t>(args.sums_size), 0.0);
    for (int64_t unit = 0; unit < units; ++unit) {
        const bool actor = unit % kMinibatchRoles == kMinibatchActor;
        for (int64_t i = 0; i < args.sums_size; ++i) {
            if (actor == (i != kPpoValue)) {
                sums[i] += args.sums[unit * args.sums_size + i];
            }
        }
    }
    const double rows = static_cast<double>(args.rows);
    float stats[kPpoLossTerms];
    ppo_loss_from_sums(sums.data(), rows, rows, args.settings, stats);
    terms[kMinibatchValue] = stats[kPpoValue];
    terms[kMinibatchSurrogate] = stats[kPpoSurrogate];
    terms[kMinibatchEntropy] = stats[kPpoEntropy];
    terms[kMinibatchKl] = stats[kPpoKl];
    for (int64_t a = 0; noise.gradient != nullptr && a < args.actions; ++a) {
        const bool inside = noise.parameter[a] >= noise.low && noise.parameter[a] <= noise.high;
        const double slope = noise.logarithmic ? static_cast<double>(args.std[a]) : 1.0;
        noise.gradient[a] = inside ? static_cast<float>(sums[kPpoLossTerms + a] * slope) : 0.0f;
    }
}

}  // namespace rslcore
