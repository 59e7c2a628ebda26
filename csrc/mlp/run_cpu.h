// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/parallel.h"
#include "common/scratch.h"
#include "mlp/launch.h"

namespace rslcore {

// The operator on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads.

// Elements of work, as grain_units counts them: a product of 16 numbers costs about what one number does that
// is read and written.
inline int64_t mlp_work(const Mlp& mlp, int64_t rows) {
    int64_t products = 0;
    for (int64_t l = 0; l < mlp.layers; ++l) {
        products += mlp.width[l] * mlp.width[l + 1];
    }
    return rows * (products / 16 + 1) * (mlp.backward ? 4 : 1);
}

inline int64_t mlp_chunks(const MlpArgs& args) {
    return args.rows == 0 ? 0 : ceil_div(args.rows, mlp_chunk_rows(args.mlp, args.rows));
}

template <typename Parallel>
void mlp_pack_cpu(const MlpArgs& args, const Parallel& parallel) {
    const int64_t per_layer = mlp_packed_size(args.mlp) / args.mlp.layers;
    parallel(args.mlp.layers, grain_units(per_layer),
             [&](int64_t begin, int64_t end) { RSLCORE_SIMD_CALL(mlp_pack_layers, args, begin, end); });
}

template <typename Parallel>
void mlp_forward_cpu(const MlpArgs& args, const Parallel& parallel) {
    if (args.rows == 0) {
        return;
    }
    mlp_pack_cpu(args, parallel);
    const int64_t workspace = mlp_workspace_size(args.mlp, mlp_tile_rows(args.mlp));
    const int64_t work = mlp_work(args.mlp, mlp_chunk_rows(args.mlp, args.rows));
    parallel(mlp_chunks(args), grain_units(work), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(mlp_forward_chunks, args, thread_scratch(workspace), begin, end);
    });
}

template <typename Parallel>
void mlp_backward_cpu(const MlpArgs& args, const Parallel& parallel) {
    if (args.rows > 0) {
        mlp_pack_cpu(args, parallel);
        const int64_t workspace = mlp_workspace_size(args.mlp, mlp_tile_rows(args.mlp));
        const int64_t work = mlp_work(args.mlp, mlp_chunk_rows(args.mlp, args.rows));
        parallel(mlp_chunks(args), grain_units(work), [&](int64_t begin, int64_t end) {
            RSLCORE_SIMD_CALL(mlp_backward_chunks, args, thread_scratch(workspace), begin, end);
        });
    }
    const int64_t chunks = mlp_chunks(args);
    int64_t outputs = 0;
    for (int64_t l = 0; l < args.mlp.layers; ++l) {
        outputs += args.mlp.width[l + 1];
    }
    const int64_t per_output = mlp_gradient_size(args.mlp) / (outputs + 1) * (chunks + 1);
    parallel(outputs, grain_units(per_output), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(mlp_sum_gradients, args, chunks, begin, end);
    });
}

}  // namespace rslcore
