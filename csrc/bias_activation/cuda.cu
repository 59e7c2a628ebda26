// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/cuda.h"

#include "bias_activation/bias_activation.h"
#include "bias_activation/launch.h"
#include "common/cuda_columns.h"

namespace rslcore {
namespace {

constexpr int kBlock = kColumnBlock;
constexpr int kMergeColumns = 32;  // columns of a merging block; its other threads share the chunks
constexpr int kMergeSlices = kBlock / kMergeColumns;

template <Activation kActivation, typename T>
__global__ void activate(BiasActivationArgs<T> args, ColumnCut cut) {
    const ColumnSlot slot = column_slot(cut, args.rows, args.columns);
    if (slot.used) {
        const T* __restrict__ const x = args.x;
        T* __restrict__ const y = args.y;
        const T bias = args.bias[slot.column];
#pragma unroll 4
        for (int64_t row = slot.row; row < slot.end; row += cut.fold) {
            const int64_t i = row * args.columns + slot.column;
            y[i] = activated<kActivation>(x[i] + bias).value;
        }
    }
}

// partials [chunks, F]: the sums of x_gradient over the chunk.
template <Activation kActivation, typename T>
__global__ void activate_backward(BiasActivationArgs<T> args, ColumnCut cut, double* partials) {
    __shared__ T sums[kBlock];
    const ColumnSlot slot = column_slot(cut, args.rows, args.columns);
    T sum = T(0);
    if (slot.used) {
        const T* __restrict__ const x = args.x;
        const T* __restrict__ const y_gradient = args.y_gradient;
        T* __restrict__ const x_gradient = args.x_gradient;
        const T bias = args.bias[slot.column];
#pragma unroll 4
        for (int64_t row = slot.row; row < slot.end; row += cut.fold) {
            const int64_t i = row * args.columns + slot.column;
            const T gradient = y_gradient[i] * activated<kActivation>(x[i] + bias).derivative;
            x_gradient[i] = gradient;
            sum += gradient;
        }
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (slot.used && static_cast<int64_t>(threadIdx.x) < cut.tile) {
        double total = static_cast<double>(sum);
        for (int64_t i = 1; i < cut.fold; ++i) {
            total += static_cast<double>(sums[i * cut.tile + threadIdx.x]);
        }
        partials[slot.chunk * args.columns + slot.column] = total;
    }
}

// The gradients of kMergeColumns biases a block from all chunks' sums, added in a fixed order.
template <typename T>
__global__ void merge_bias(BiasActivationArgs<T> args, int64_t chunks, const double* partials) {
    __shared__ double sums[kBlock];
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kMergeColumns + threadIdx.x % kMergeColumns;
    double sum = 0.0;
    if (column < args.columns) {
#pragma unroll 4
        for (int64_t chunk = threadIdx.x / kMergeColumns; chunk < chunks; chunk += kMergeSlices) {
            sum += partials[chunk * args.columns + column];
        }
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x < kMergeColumns && column < args.columns) {
        for (int i = 1; i < kMergeSlices; ++i) {
            sum += sums[i * kMergeColumns + threadIdx.x];
        }
        args.bias_gradient[column] = static_cast<T>(sum);
    }
}

}  // namespace

template <typename T>
int bias_activation_cuda(const BiasActivationArgs<T>& args, void* stream) {
    if (args.rows * args.columns == 0) {
        return cudaSuccess;
    }
    const ColumnCut cut = column_cut(args.rows, args.columns);
    dispatch_activation(args.activation, [&]<Activation kActivation>() {
        RSLCORE_LAUNCH((activate<kActivation, T>), cut.blocks(), kBlock, static_cast<cudaStream_t>(stream))
        (args, cut);
    });
    return cudaGetLastError();
}

int64_t bias_activation_scratch_doubles(int64_t rows, int64_t columns) {
    return rows * columns == 0 ? 1 : column_cut(rows, columns).chunks * columns;
}

template <typename T>
int bias_activation_backward_cuda(const BiasActivationArgs<T>& args, double* scratch, void* stream_handle) {
    if (args.columns == 0) {
        return cudaSuccess;
    }
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_handle);
    int64_t chunks = 0;
    if (args.rows > 0) {
        const ColumnCut cut = column_cut(args.rows, args.columns);
        chunks = cut.chunks;
        dispatch_activation(args.activation, [&]<Activation kActivation>() {
            RSLCORE_LAUNCH((activate_backward<kActivation, T>), cut.blocks(), kBlock, stream)(args, cut,
                                                                                              scratch);
        });
    }
    RSLCORE_LAUNCH(merge_bias<T>, grid_size(args.columns, kMergeColumns), kBlock, stream)(args, chunks,
                                                                                          scratch);
    return cudaGetLastError();
}

template int bias_activation_cuda<float>(const BiasActivationArgs<float>&, void*);
template int bias_activation_cuda<double>(const BiasActivationArgs<double>&, void*);
template int bias_activation_backward_cuda<float>(const BiasActivationArgs<float>&, double*, void*);
template int bias_activation_backward_cuda<double>(const BiasActivationArgs<double>&, double*, void*);

}  // namespace rslcore
