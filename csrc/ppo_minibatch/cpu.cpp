// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <cmath>
#include <cstring>

#include "mlp/tile.h"
#include "ppo_loss/rows.h"
#include "ppo_minibatch/launch.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

// The policy's half of the loss, from the means that the tile has to their gradients. The critic's half is
// given values that are right already; its gradients go to `unused` [rows].
void actor_loss(const MinibatchArgs& args, int64_t first, int64_t rows, MlpTile& tile, float* unused,
                double* sums) {
    PpoLossArgs<float> loss{};
    loss.rows = rows;
    loss.samples = rows;
    loss.columns = args.actions;
    loss.mean = tile.output();
    loss.mean_stride = tile.output_stride();
    loss.std = args.std;
    loss.values = loss.returns = args.returns + first;
    loss.value_stride = 1;
    loss.actions = args.action + first * args.actions;
    loss.old_log_prob = args.old_log_prob + first;
    loss.advantages = args.advantages + first;
    loss.old_mean = args.old_mean + first * args.actions;
    loss.old_std = args.old_std + first * args.actions;
    loss.old_std_stride = args.actions;
    loss.settings = args.settings;
    loss.settings.clip_value = false;
    loss.mean_gradient = tile.output();
    loss.mean_gradient_stride = tile.output_stride();
    loss.value_gradient = unused;
    loss.value_gradient_stride = 1;
    ppo_loss_rows(loss, sums);
}

// The critic's half, from values to their gradients; the losses of the rows pass through `losses` [rows].
void critic_loss(const MinibatchArgs& args, int64_t first, int64_t rows, MlpTile& tile, float* losses,
                 double* sums) {
    for (int64_t r = 0; r < rows; ++r) {
        float* const output = tile.output() + r * tile.output_stride();
        const PpoValue<float> value =
            ppo_value(*output, args.old_values[first + r], args.returns[first + r], args.settings);
        *output = value.gradient * args.settings.value_weight;
        losses[r] = value.loss;
    }
    for (int64_t r = 0; r < rows; ++r) {
        sums[kPpoValue] += static_cast<double>(losses[r]);
    }
}

}  // namespace

void minibatch_prepare(const MinibatchArgs& args, int64_t begin, int64_t end) {
    int64_t unit = 0;
    for (const MinibatchModel& model : args.model) {
        for (int64_t l = 0; l < model.mlp.layers; ++l, ++unit) {
            if (unit < begin || unit >= end) {
                continue;
            }
            mlp_pack_layer(model.mlp, l, model.packed);
            for (int64_t i = 0; l == 0 && model.var != nullptr && i < model.mlp.width[0]; ++i) {
                model.divisor[i] = std::sqrt(model.var[i]) + model.eps;
            }
        }
    }
}

void minibatch_unit(const MinibatchArgs& args, int64_t unit, float* workspace) {
    const int64_t chunk = unit / kMinibatchRoles;
    const int64_t role = unit % kMinibatchRoles;
    const MinibatchModel& model = args.model[role];
    float* const row_numbers = workspace + args.workspace_size - mlp_padded(args.tile_rows);
    float* const gradients = args.gradients + chunk * args.gradients_size + model.gradients_begin;
    double* const sums = args.sums + unit * args.sums_size;
    memset(gradients, 0, static_cast<size_t>(mlp_gradient_size(model.mlp)) * sizeof(float));
    memset(sums, 0, static_cast<size_t>(args.sums_size) * sizeof(double));
    MlpTile tile(model.mlp, model.packed, workspace, args.tile_rows);
    const int64_t last = smaller((chunk + 1) * args.chunk_rows, args.rows);
    for (int64_t first = chunk * args.chunk_rows; first < last; first += args.tile_rows) {
        const int64_t rows = smaller(args.tile_rows, last - first);
        mlp_load(model.inputs, model.num_inputs, first, rows, tile.input(), tile.input_stride());
        tile.forward(rows);
        if (role == kMinibatchActor) {
            actor_loss(args, first, rows, tile, row_numbers, sums);
        } else {
            critic_loss(args, first, rows, tile, row_numbers, sums);
        }
        tile.backward(rows, gradients);
    }
}

void minibatch_reduce(const MinibatchArgs& args, const MinibatchPiece* pieces, int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
        const MinibatchModel& model = args.model[pieces[p].role];
        const int64_t layer = pieces[p].layer;
        const MlpGradient place = mlp_gradient(model.mlp, layer);
        const int64_t in = model.mlp.width[layer];
        const float* const gradients = args.gradients + model.gradients_begin;
        for (int64_t o = pieces[p].begin; o < pieces[p].end; ++o) {
            const float* const weight = gradients + place.weight + o * mlp_stride(in);
            float* __restrict to = model.weight_gradient[layer] + o * in;
            memcpy(to, weight, static_cast<size_t>(in) * sizeof(float));
            for (int64_t chunk = 1; chunk < args.chunks; ++chunk) {
                const float* __restrict part = weight + chunk * args.gradients_size;
                for (int64_t i = 0; i < in; ++i) {
                    to[i] += part[i];
                }
            }
            float bias = 0.0f;
            for (int64_t chunk = 0; chunk < args.chunks; ++chunk) {
                bias += gradients[chunk * args.gradients_size + place.bias + o];
            }
            model.bias_gradient[layer][o] = bias;
        }
    }
}

}  // namespace rslcore::RSLCORE_SIMD
