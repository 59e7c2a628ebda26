// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <cmath>
#include <cstring>

#include "mlp/activation.h"
#include "mlp/gemm.h"
#include "ppo_loss/rows.h"
#include "ppo_minibatch/launch.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// The buffers of one tile. Of layer l: value[l] its input, slope[l] the derivative of the activation that
// made it, both [tile_rows][mlp_stride(in)]; the output is value[layers], its gradient slope[layers].
struct Tile {
    float* value[kMinibatchMostLayers + 1];
    float* slope[kMinibatchMostLayers + 1];
    float* spare;  // [tile_rows]

    Tile(const MinibatchModel& model, int64_t rows, float* memory) {
        value[0] = memory;
        slope[0] = nullptr;
        memory += rows * mlp_stride(model.layer[0].in);
        for (int64_t l = 0; l < model.layers; ++l) {
            const int64_t size = rows * mlp_stride(model.layer[l].out);
            value[l + 1] = memory;
            slope[l + 1] = memory + size;
            memory += 2 * size;
        }
        spare = memory;
    }
};

void load(const MinibatchModel& model, int64_t first, int64_t rows, float* tile) {
    const int64_t stride = mlp_stride(model.layer[0].in);
    int64_t column = 0;
    for (int64_t g = 0; g < model.groups; ++g) {
        const int64_t width = model.group[g].width;
        const float* __restrict from = model.group[g].data + first * width;
        for (int64_t r = 0; r < rows; ++r) {
            float* __restrict to = tile + r * stride + column;
            if (model.mean == nullptr) {
                memcpy(to, from, static_cast<size_t>(width) * sizeof(float));
            } else {
                const float* __restrict mean = model.mean + column;
                const float* __restrict inverse = model.inverse_std + column;
                for (int64_t i = 0; i < width; ++i) {
                    to[i] = (from[i] - mean[i]) * inverse[i];
                }
            }
            from += width;
        }
        column += width;
    }
}

template <typename Function>
void forward(const MinibatchModel& model, int64_t rows, const Tile& tile) {
    for (int64_t l = 0; l < model.layers; ++l) {
        const MinibatchLayer& layer = model.layer[l];
        const int64_t stride = mlp_stride(layer.out);
        const GemmStart bias{layer.padded_bias, 0};
        if (l + 1 == model.layers) {
            gemm(rows, layer.out, layer.in, tile.value[l], mlp_stride(layer.in), layer.packed, bias,
                 tile.value[l + 1], stride);
        } else {
            float* const slope = tile.slope[l + 1];
            gemm(rows, layer.out, layer.in, tile.value[l], mlp_stride(layer.in), layer.packed, bias,
                 tile.value[l + 1], stride,
                 [=](int64_t m, int64_t n, Vector z) __attribute__((always_inline)) {
                     const Activated y = Function::apply(z);
                     vector_store(slope + m * stride + n, y.derivative);
                     return y.value;
                 });
        }
    }
}

void add_columns(const float* __restrict rows_of, int64_t rows, int64_t stride, int64_t columns,
                 float* __restrict to) {
    for (int64_t n = 0; n < columns; n += kVectorLanes) {
        Vector sum = vector_load(to + n);
        for (int64_t r = 0; r < rows; ++r) {
            sum += vector_load(rows_of + r * stride + n);
        }
        vector_store(to + n, sum);
    }
}

// From the gradient of the output, slope[layers], to those of all parameters, which are added to `gradients`.
void backward(const MinibatchModel& model, int64_t rows, const Tile& tile, float* gradients) {
    const float* gradient = tile.slope[model.layers];
    for (int64_t l = model.layers - 1; l >= 0; --l) {
        const MinibatchLayer& layer = model.layer[l];
        const int64_t stride = mlp_stride(layer.out);
        const int64_t in_stride = mlp_stride(layer.in);
        float* const weight = gradients + layer.gradient_offset;
        gemm_outer(layer.out, layer.in, rows, gradient, stride, tile.value[l], in_stride, weight,
                   mlp_padded(layer.in));
        add_columns(gradient, rows, stride, layer.out, weight + layer.out * mlp_padded(layer.in));
        if (l > 0) {
            const float* const slope = tile.slope[l];
            gemm(rows, layer.in, layer.out, gradient, stride, layer.packed_back, {}, tile.value[l], in_stride,
                 [=](int64_t m, int64_t n, Vector sum)
                     __attribute__((always_inline)) { return sum * vector_load(slope + m * in_stride + n); });
            gradient = tile.value[l];
        }
    }
}

// The policy's half of the loss: the critic's is given values that are right already.
void actor_loss(const MinibatchArgs& args, int64_t first, int64_t rows, const Tile& tile, double* sums) {
    const int64_t layers = args.model[kMinibatchActor].layers;
    const int64_t stride = mlp_stride(args.actions);
    PpoLossArgs<float> loss{};
    loss.rows = rows;
    loss.samples = rows;
    loss.columns = args.actions;
    loss.mean = tile.value[layers];
    loss.mean_stride = stride;
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
    loss.mean_gradient = tile.slope[layers];
    loss.mean_gradient_stride = stride;
    loss.value_gradient = tile.spare;
    loss.value_gradient_stride = 1;
    ppo_loss_rows(loss, sums);
}

void critic_loss(const MinibatchArgs& args, int64_t first, int64_t rows, const Tile& tile, double* sums) {
    const int64_t layers = args.model[kMinibatchCritic].layers;
    const int64_t stride = mlp_stride(1);
    for (int64_t r = 0; r < rows; ++r) {
        const PpoValue<float> value = ppo_value(tile.value[layers][r * stride], args.old_values[first + r],
                                                args.returns[first + r], args.settings);
        tile.slope[layers][r * stride] = value.gradient * args.settings.value_weight;
        tile.spare[r] = value.loss;
    }
    for (int64_t r = 0; r < rows; ++r) {
        sums[kPpoValue] += static_cast<double>(tile.spare[r]);
    }
}

}  // namespace

void minibatch_prepare(const MinibatchArgs& args, int64_t begin, int64_t end) {
    int64_t unit = 0;
    for (const MinibatchModel& model : args.model) {
        for (int64_t l = 0; l < model.layers; ++l, ++unit) {
            if (unit < begin || unit >= end) {
                continue;
            }
            const MinibatchLayer& layer = model.layer[l];
            pack_b_transposed(layer.in, layer.out, layer.weight, layer.in, layer.packed);
            if (l > 0) {
                pack_b(layer.out, layer.in, layer.weight, layer.in, layer.packed_back);
            } else if (model.mean != nullptr) {
                for (int64_t i = 0; i < layer.in; ++i) {
                    model.inverse_std[i] = 1.0f / (std::sqrt(model.var[i]) + model.eps);
                }
            }
            for (int64_t o = 0; o < mlp_padded(layer.out); ++o) {
                layer.padded_bias[o] = o < layer.out ? layer.bias[o] : 0.0f;
            }
        }
    }
}

void minibatch_units(const MinibatchArgs& args, int64_t begin, int64_t end) {
    float* const memory = args.tiles + begin * args.tile_size;
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t chunk = unit / kMinibatchRoles;
        const int64_t role = unit % kMinibatchRoles;
        const MinibatchModel& model = args.model[role];
        float* const gradients = args.gradients + chunk * args.gradients_size + model.gradient_offset;
        double* const sums = args.sums + unit * args.sums_size;
        memset(gradients, 0, static_cast<size_t>(model.gradient_size) * sizeof(float));
        for (int64_t i = 0; i < args.sums_size; ++i) {
            sums[i] = 0.0;
        }
        const Tile tile(model, args.tile_rows, memory);
        const int64_t last = smaller((chunk + 1) * args.chunk_rows, args.rows);
        for (int64_t first = chunk * args.chunk_rows; first < last; first += args.tile_rows) {
            const int64_t rows = smaller(args.tile_rows, last - first);
            load(model, first, rows, tile.value[0]);
            with_activation(model.activation,
                            [&](auto function) { forward<decltype(function)>(model, rows, tile); });
            if (role == kMinibatchActor) {
                actor_loss(args, first, rows, tile, sums);
            } else {
                critic_loss(args, first, rows, tile, sums);
            }
            backward(model, rows, tile, gradients);
        }
    }
}

void minibatch_reduce(const MinibatchArgs& args, const MinibatchPiece* pieces, int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
        const MinibatchLayer& layer = *pieces[p].layer;
        const int64_t stride = mlp_padded(layer.in);
        const float* const from = args.gradients + pieces[p].model->gradient_offset + layer.gradient_offset;
        for (int64_t o = pieces[p].begin; o < pieces[p].end; ++o) {
            float* __restrict to = layer.weight_gradient + o * layer.in;
            memcpy(to, from + o * stride, static_cast<size_t>(layer.in) * sizeof(float));
            for (int64_t chunk = 1; chunk < args.chunks; ++chunk) {
                const float* __restrict part = from + chunk * args.gradients_size + o * stride;
                for (int64_t i = 0; i < layer.in; ++i) {
                    to[i] += part[i];
                }
            }
            float bias = 0.0f;
            for (int64_t chunk = 0; chunk < args.chunks; ++chunk) {
                bias += from[chunk * args.gradients_size + layer.out * stride + o];
            }
            layer.bias_gradient[o] = bias;
        }
    }
}

}  // namespace rslcore::RSLCORE_SIMD
