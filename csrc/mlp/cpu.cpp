// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "mlp/launch.h"
#include "mlp/tile.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

void copy_rows(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* to,
               int64_t to_stride) {
    for (int64_t r = 0; r < rows; ++r) {
        memcpy(to + r * to_stride, from + r * from_stride, columns * sizeof(float));
    }
}

// Calls body(chunk, first row, rows) for every tile of the chunks [begin, end).
template <typename Body>
void for_each_tile(const MlpArgs& args, int64_t begin, int64_t end, const Body& body) {
    const int64_t tile_rows = mlp_tile_rows(args.mlp);
    const int64_t chunk_rows = mlp_chunk_rows(args.mlp, args.rows);
    for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t last = smaller((chunk + 1) * chunk_rows, args.rows);
        for (int64_t row = chunk * chunk_rows; row < last; row += tile_rows) {
            body(chunk, row, smaller(tile_rows, last - row));
        }
    }
}

}  // namespace

void mlp_pack_layers(const MlpArgs& args, int64_t begin, int64_t end) {
    for (int64_t layer = begin; layer < end; ++layer) {
        mlp_pack_layer(args.mlp, layer, args.packed);
    }
}

void mlp_forward_chunks(const MlpArgs& args, float* workspace, int64_t begin, int64_t end) {
    const int64_t in = args.mlp.width[0];
    const int64_t out = args.mlp.width[args.mlp.layers];
    MlpTile tile(args.mlp, args.packed, workspace, mlp_tile_rows(args.mlp));
    for_each_tile(args, begin, end, [&](int64_t, int64_t row, int64_t rows) {
        tile.forward(rows, args.x + row * in, in);
        copy_rows(rows, out, tile.output(), tile.output_stride(), args.y + row * out, out);
    });
}

void mlp_backward_chunks(const MlpArgs& args, float* workspace, int64_t begin, int64_t end) {
    const int64_t in = args.mlp.width[0];
    const int64_t out = args.mlp.width[args.mlp.layers];
    const int64_t size = mlp_gradient_size(args.mlp);
    const MlpInput input{args.x, in, in, nullptr, nullptr};
    MlpTile tile(args.mlp, args.packed, workspace, mlp_tile_rows(args.mlp));
    for (int64_t i = begin * size; i < end * size; ++i) {
        args.chunk_gradients[i] = 0.0f;
    }
    for_each_tile(args, begin, end, [&](int64_t chunk, int64_t row, int64_t rows) {
        mlp_load(&input, 1, row, rows, tile.input(), tile.input_stride());
        tile.forward(rows);
        copy_rows(rows, out, args.y_gradient + row * out, out, tile.output(), tile.output_stride());
        tile.backward(rows, args.chunk_gradients + chunk * size);
        if (args.mlp.input_gradient) {
            copy_rows(rows, in, tile.input(), tile.input_stride(), args.x_gradient + row * in, in);
        }
    });
}

void mlp_sum_gradients(const MlpArgs& args, int64_t chunks, int64_t begin, int64_t end) {
    const int64_t size = mlp_gradient_size(args.mlp);
    int64_t first = 0;  // of the layer's outputs
    for (int64_t layer = 0; layer < args.mlp.layers; ++layer) {
        const MlpGradient place = mlp_gradient(args.mlp, layer);
        const int64_t in = args.mlp.width[layer];
        const int64_t out = args.mlp.width[layer + 1];
        const int64_t stride = mlp_stride(in);
        for (int64_t n = begin > first ? begin - first : 0; n < smaller(end - first, out); ++n) {
            float* __restrict weight = args.weight_gradient[layer] + n * in;
            float bias = 0.0f;
            for (int64_t k = 0; k < in; ++k) {
                weight[k] = 0.0f;
            }
            for (int64_t chunk = 0; chunk < chunks; ++chunk) {
                const float* __restrict gradient = args.chunk_gradients + chunk * size;
                const float* __restrict row = gradient + place.weight + n * stride;
                for (int64_t k = 0; k < in; ++k) {
                    weight[k] += row[k];
                }
                bias += gradient[place.bias + n];
            }
            args.bias_gradient[layer][n] = bias;
        }
        first += out;
    }
}

}  // namespace rslcore::RSLCORE_SIMD
