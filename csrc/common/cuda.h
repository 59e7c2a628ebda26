// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// What every cuda.cu starts from. Under RSLCORE_CUDA_EMULATION the same source compiles as C++ against the
// test-only shim in tests/cuda_emulation, which provides the CUDA names used here.

#include <cstdint>

#if defined(RSLCORE_CUDA_EMULATION)
#include "cuda_shim.h"
#else
#include <cuda_runtime.h>

#include <cub/block/block_reduce.cuh>

// kernel<<<grid, block, 0, stream>>>(arguments), in a form that a C++ compiler can be given another meaning
// of.
#define RSLCORE_LAUNCH(kernel, grid, block, stream) kernel<<<(grid), (block), 0, (stream)>>>

namespace rslcore {

// Sum over the block in a fixed order; valid in thread 0 only. All threads of the block call it; the barrier
// behind it lets the caller use it again at once.
template <int kThreads, typename T>
__device__ __forceinline__ T block_sum(T value) {
    using Reduce = cub::BlockReduce<T, kThreads>;
    __shared__ typename Reduce::TempStorage storage;
    const T sum = Reduce(storage).Sum(value);
    __syncthreads();
    return sum;
}

}  // namespace rslcore
#endif

namespace rslcore {

// Blocks for `threads` threads of work; grid-stride loops take the rest, so 2^31 - 1 blocks always suffice.
inline unsigned int grid_size(int64_t threads, int block) {
    const int64_t blocks = (threads + block - 1) / block;
    constexpr int64_t kMaxBlocks = 0x7fffffff;
    return static_cast<unsigned int>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

}  // namespace rslcore
