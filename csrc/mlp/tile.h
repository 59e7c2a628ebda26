// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// A multilayer perceptron on one tile of rows that stays in cache through all layers, forward and backward.
//
//   mlp_pack_layer(mlp, layer, packed);          all layers, once per call, as parameters change
//   MlpTile tile(mlp, packed, workspace, tile_rows);
//   per tile: fill tile.input(); tile.forward(rows); read tile.output();
//             write dL/d(output) over tile.output(); tile.backward(rows, gradient);
//
// Buffers are the caller's, 64-byte aligned for speed, of the sizes in mlp/layout.h.

#include <cstdint>

#include "mlp/activation.h"
#include "mlp/gemm.h"
#include "mlp/layout.h"
#include "mlp/vector.h"

namespace rslcore::RSLCORE_SIMD {

// Packs the parameters of one layer into `packed` (mlp_packed_size(mlp) floats in all).
inline void mlp_pack_layer(const Mlp& mlp, int64_t layer, float* packed) {
    const MlpPacked place = mlp_packed(mlp, layer);
    const int64_t in = mlp.width[layer];
    const int64_t out = mlp.width[layer + 1];
    const float* bias = mlp.bias[layer];
    for (int64_t n = 0; n < mlp_padded(out); ++n) {
        packed[place.bias + n] = bias != nullptr && n < out ? bias[n] : 0.0f;
    }
    pack_b_transposed(in, out, mlp.weight[layer], in, packed + place.weight);
    if (place.end > place.back) {
        pack_b(out, in, mlp.weight[layer], in, packed + place.back);
    }
}

// Rows [first, first + rows) of the groups, concatenated and normalized, zeros up to the row's padded end.
inline void mlp_load(const MlpInput* inputs, int64_t count, int64_t first, int64_t rows, float* to,
                     int64_t stride) {
    int64_t column = 0;
    for (int64_t i = 0; i < count; ++i) {
        const MlpInput& input = inputs[i];
        for (int64_t r = 0; r < rows; ++r) {
            const float* __restrict from = input.data + (first + r) * input.stride;
            float* __restrict row = to + r * stride + column;
            if (input.mean == nullptr) {
                for (int64_t k = 0; k < input.columns; ++k) {
                    row[k] = from[k];
                }
            } else {
                for (int64_t k = 0; k < input.columns; ++k) {
                    row[k] = (from[k] - input.mean[k]) / input.divisor[k];
                }
            }
        }
        column += input.columns;
    }
    for (int64_t r = 0; r < rows; ++r) {
        for (int64_t k = column; k < mlp_padded(column); ++k) {
            to[r * stride + k] = 0.0f;
        }
    }
}

namespace tile_detail {

template <typename F>
struct Activate {
    Vector operator()(int64_t, int64_t, Vector z) const { return F::apply(z).value; }
};

// The value is stored as the result, the derivative beside it.
template <typename F>
struct ActivateAndKeep {
    float* derivative;
    int64_t stride;

    Vector operator()(int64_t row, int64_t column, Vector z) const {
        const Activated result = F::apply(z);
        vector_store(derivative + row * stride + column, result.derivative);
        return result.value;
    }
};

struct MultiplyBy {
    const float* factor;
    int64_t stride;

    Vector operator()(int64_t row, int64_t column, Vector x) const {
        return x * vector_load(factor + row * stride + column);
    }
};

// to[n] += sum over the rows of x[row][n].
inline void add_rows(int64_t rows, int64_t columns, const float* x, int64_t stride, float* to) {
    for (int64_t n = 0; n < columns; n += kVectorLanes) {
        Vector even = vector_load(to + n);
        Vector odd{};
        for (int64_t r = 0; r + 1 < rows; r += 2) {
            even += vector_load(x + r * stride + n);
            odd += vector_load(x + (r + 1) * stride + n);
        }
        if (rows % 2 != 0) {
            even += vector_load(x + (rows - 1) * stride + n);
        }
        vector_store(to + n, even + odd);
    }
}

}  // namespace tile_detail

class MlpTile {
  public:
    // `workspace` has mlp_workspace_size(mlp, tile_rows) floats.
    MlpTile(const Mlp& mlp, const float* packed, float* workspace, int64_t tile_rows)
        : mlp_(mlp), packed_(packed) {
        value_[0] = workspace;
        workspace += tile_rows * mlp_stride(mlp.width[0]);
        if (!mlp.backward) {
            int64_t widest = 0;
            for (int64_t l = 0; l < mlp.layers; ++l) {
                const int64_t stride = mlp_stride(mlp.width[l + 1]);
                widest = widest > stride ? widest : stride;
            }
            for (int64_t l = 0; l < mlp.layers; ++l) {
                value_[l + 1] = workspace + (l % 2) * tile_rows * widest;
            }
            return;
        }
        for (int64_t l = 0; l < mlp.layers; ++l) {
            const int64_t size = tile_rows * mlp_stride(mlp.width[l + 1]);
            value_[l + 1] = workspace;
            workspace += size;
            if (mlp.keeps_derivative(l)) {
                derivative_[l] = workspace;
                workspace += size;
            }
        }
    }

    // [rows, width[0]], to be filled up to mlp_padded(width[0]). After backward: dL/d(input), if asked for.
    float* input() { return value_[0]; }
    int64_t input_stride() const { return mlp_stride(mlp_.width[0]); }

    // [rows, width[layers]]. Before backward the caller writes dL/d(output) over it.
    float* output() { return value_[mlp_.layers]; }
    int64_t output_stride() const { return mlp_stride(mlp_.width[mlp_.layers]); }

    void forward(int64_t rows) { forward(rows, input(), input_stride()); }

    // The same of rows that lie elsewhere, as they are. Not before backward, which reads input().
    void forward(int64_t rows, const float* x, int64_t x_stride) {
        for (int64_t l = 0; l < mlp_.layers; ++l) {
            const MlpPacked place = mlp_packed(mlp_, l);
            const int64_t out = mlp_.width[l + 1];
            const int64_t stride = mlp_stride(out);
            const float* from = l == 0 ? x : value_[l];
            const int64_t from_stride = l == 0 ? x_stride : mlp_stride(mlp_.width[l]);
            const auto layer = [&](const auto& epilogue) {
                gemm(rows, out, mlp_.width[l], from, from_stride, packed_ + place.weight,
                     {packed_ + place.bias, 0}, value_[l + 1], stride, epilogue);
            };
            if (mlp_.activation_of(l) == Activation::identity) {
                layer(GemmStore{});
                continue;
            }
            with_activation(mlp_.activation_of(l), [&]<typename F>(F) {
                if (mlp_.backward) {
                    layer(tile_detail::ActivateAndKeep<F>{derivative_[l], stride});
                } else {
                    layer(tile_detail::Activate<F>{});
                }
            });
        }
    }

    // Adds the gradients of the parameters to `gradient` (mlp_gradient_size(mlp) floats). Values of the
    // layers are overwritten: one backward per forward.
    void backward(int64_t rows, float* gradient) {
        const int64_t last = mlp_.layers - 1;
        if (mlp_.keeps_derivative(last)) {
            const int64_t stride = output_stride();
            for (int64_t r = 0; r < rows; ++r) {
                for (int64_t n = 0; n < mlp_.width[last + 1]; ++n) {
                    value_[last + 1][r * stride + n] *= derivative_[last][r * stride + n];
                }
            }
        }
        for (int64_t l = last; l >= 0; --l) {
            const MlpGradient to = mlp_gradient(mlp_, l);
            const int64_t in = mlp_.width[l];
            const int64_t out = mlp_.width[l + 1];
            const int64_t in_stride = mlp_stride(in);
            const int64_t out_stride = mlp_stride(out);
            float* below = value_[l];
            const float* above = value_[l + 1];  // dL/dz of this layer
            gemm_outer(out, in, rows, above, out_stride, below, in_stride, gradient + to.weight, in_stride);
            tile_detail::add_rows(rows, out, above, out_stride, gradient + to.bias);
            if (l == 0 && !mlp_.input_gradient) {
                return;
            }
            const float* weight = packed_ + mlp_packed(mlp_, l).back;
            const auto layer = [&](const auto& epilogue) {
                gemm(rows, in, out, above, out_stride, weight, {}, below, in_stride, epilogue);
            };
            if (l > 0 && mlp_.keeps_derivative(l - 1)) {
                layer(tile_detail::MultiplyBy{derivative_[l - 1], in_stride});
            } else {
                layer(GemmStore{});
            }
        }
    }

  private:
    const Mlp& mlp_;
    const float* packed_;
    float* value_[kMaxMlpLayers + 1];
    float* derivative_[kMaxMlpLayers];
};

}  // namespace rslcore::RSLCORE_SIMD
