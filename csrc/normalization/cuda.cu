// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/cuda.h"
#include "common/cuda_columns.h"
#include "normalization/launch.h"
#include "normalization/normalization.h"

namespace rslcore {
namespace {

constexpr int kBlock = kColumnBlock;
constexpr int kMergeColumns = 32;  // columns of a merging block; its other threads share the chunks
constexpr int kBatch = 4;          // samples that a thread has in flight
constexpr int kMergeSlices = kBlock / kMergeColumns;

// partials [chunks, 2, F]: the chunk's sums about the first row. The count before the update goes to
// `old_count`, -1 if `until` is reached or it is negative, and the new one into place: no later kernel reads
// the count itself.
template <typename T>
__global__ void moments_sums(MomentsArgs<T> args, ColumnCut cut, double* partials, double* old_count) {
    __shared__ double sums[kBlock];
    __shared__ double squares[kBlock];
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        const int64_t count = *args.count;
        const bool frozen = count >= args.until || count < 0;
        *old_count = frozen ? -1.0 : static_cast<double>(count);
        *args.count = frozen ? count : count + args.rows;
    }
    const ColumnSlot slot = column_slot(cut, args.rows, args.columns);
    double sum = 0.0;
    double square = 0.0;
    if (slot.used) {
        const double shift = static_cast<double>(args.x[slot.column]);
#pragma unroll 4
        for (int64_t row = slot.row; row < slot.end; row += cut.fold) {
            add_sample(static_cast<double>(args.x[row * args.columns + slot.column]), shift, sum, square);
        }
    }
    sums[threadIdx.x] = sum;
    squares[threadIdx.x] = square;
    __syncthreads();
    if (slot.used && static_cast<int64_t>(threadIdx.x) < cut.tile) {
        for (int64_t i = 1; i < cut.fold; ++i) {
            sum += sums[i * cut.tile + threadIdx.x];
            square += squares[i * cut.tile + threadIdx.x];
        }
        double* const partial = partials + 2 * slot.chunk * args.columns + slot.column;
        partial[0] = sum;
        partial[args.columns] = square;
    }
}

// Mean and variance of kMergeColumns columns a block from all chunks' sums, added in a fixed order.
template <typename T>
__global__ void moments_merge(MomentsArgs<T> args, int64_t chunks, const double* partials,
                              const double* old_count) {
    __shared__ double sums[kBlock];
    __shared__ double squares[kBlock];
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kMergeColumns + threadIdx.x % kMergeColumns;
    double sum = 0.0;
    double square = 0.0;
    if (column < args.columns) {
#pragma unroll 4
        for (int64_t chunk = threadIdx.x / kMergeColumns; chunk < chunks; chunk += kMergeSlices) {
            const double* const partial = partials + 2 * chunk * args.columns + column;
            sum += partial[0];
            square += partial[args.columns];
        }
    }
    sums[threadIdx.x] = sum;
    squares[threadIdx.x] = square;
    __syncthreads();
    if (threadIdx.x < kMergeColumns && column < args.columns && *old_count >= 0.0) {
        for (int i = 1; i < kMergeSlices; ++i) {
            sum += sums[i * kMergeColumns + threadIdx.x];
            square += squares[i * kMergeColumns + threadIdx.x];
        }
        merge_moments(static_cast<double>(args.rows), static_cast<double>(args.x[column]), sum, square,
                      *old_count, args.mean[column], args.var[column]);
    }
}

template <typename T>
__global__ void normalize(NormalizeArgs<T> args, ColumnCut cut) {
    const ColumnSlot slot = column_slot(cut, args.rows, args.columns);
    if (slot.used) {
        const T mean = args.mean[slot.column];
        const T scale = normalizer_scale(args.var[slot.column], args.eps);
        const int64_t step = cut.fold * args.columns;
        int64_t i = slot.row * args.columns + slot.column;
        const int64_t end = slot.end * args.columns;
        // out may be x, so the compiler does not move loads across stores: keep several in flight by hand.
        for (; i + (kBatch - 1) * step < end; i += kBatch * step) {
            T x[kBatch];
#pragma unroll
            for (int k = 0; k < kBatch; ++k) {
                x[k] = args.x[i + k * step];
            }
#pragma unroll
            for (int k = 0; k < kBatch; ++k) {
                args.out[i + k * step] = normalized(x[k], mean, scale);
            }
        }
        for (; i < end; i += step) {
            args.out[i] = normalized(args.x[i], mean, scale);
        }
    }
}

template <typename T>
__global__ void discount(const T* rewards, T* running, T gamma, int64_t numel) {
    const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < numel; i += stride) {
        running[i] = discounted(running[i], rewards[i], gamma);
    }
}

}  // namespace

int64_t moments_scratch_doubles(int64_t rows, int64_t columns) {
    return rows * columns == 0 ? 1 : 2 * column_cut(rows, columns).chunks * columns + 1;
}

template <typename T>
int update_moments_cuda(const MomentsArgs<T>& args, double* scratch, void* stream_handle) {
    if (args.rows * args.columns == 0) {
        return cudaSuccess;
    }
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_handle);
    const ColumnCut cut = column_cut(args.rows, args.columns);
    double* const old_count = scratch;
    double* const partials = scratch + 1;
    const unsigned int blocks = cut.blocks();
    RSLCORE_LAUNCH(moments_sums<T>, blocks, kBlock, stream)(args, cut, partials, old_count);
    RSLCORE_LAUNCH(moments_merge<T>, grid_size(args.columns, kMergeColumns), kBlock, stream)(
        args, cut.chunks, partials, old_count);
    return cudaGetLastError();
}

template <typename T>
int normalize_cuda(const NormalizeArgs<T>& args, void* stream_handle) {
    if (args.rows * args.columns == 0) {
        return cudaSuccess;
    }
    const ColumnCut cut = column_cut(args.rows, args.columns);
    const unsigned int blocks = cut.blocks();
    RSLCORE_LAUNCH(normalize<T>, blocks, kBlock, static_cast<cudaStream_t>(stream_handle))(args, cut);
    return cudaGetLastError();
}

template <typename T>
int discounted_return_cuda(const T* rewards, T* running, T gamma, int64_t numel, void* stream_handle) {
    if (numel == 0) {
        return cudaSuccess;
    }
    RSLCORE_LAUNCH(discount<T>, grid_size(numel, kBlock), kBlock, static_cast<cudaStream_t>(stream_handle))(
        rewards, running, gamma, numel);
    return cudaGetLastError();
}

template int update_moments_cuda<float>(const MomentsArgs<float>&, double*, void*);
template int update_moments_cuda<double>(const MomentsArgs<double>&, double*, void*);
template int normalize_cuda<float>(const NormalizeArgs<float>&, void*);
template int normalize_cuda<double>(const NormalizeArgs<double>&, void*);
template int discounted_return_cuda<float>(const float*, float*, float, int64_t, void*);
template int discounted_return_cuda<double>(const double*, double*, double, int64_t, void*);

}  // namespace rslcore
