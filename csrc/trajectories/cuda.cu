// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/cuda.h"
#include "trajectories/launch.h"
#include "trajectories/trajectories.h"

namespace rslcore {
namespace {

constexpr int kBlock = 256;         // threads per block
constexpr int kUnitsPerThread = 4;  // copies in flight per thread

// One thread per environment: offsets[n + 1] = number of its trajectories.
__global__ void count_trajectories(SplitArgs args) {
    const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
    for (int64_t n = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; n < args.num_envs;
         n += stride) {
        int64_t count = 1;
        for (int64_t t = 0; t + 1 < args.num_steps; ++t) {
            count += args.dones[t * args.num_envs + n] != 0 ? 1 : 0;
        }
        args.offsets[n + 1] = count;
    }
}

// One block: the running sum of offsets[1..n], in place. Every thread has a piece of its own; the sums of the
// pieces are added up in log2(kBlock) rounds.
__global__ void sum_offsets(int64_t* offsets, int64_t n) {
    __shared__ int64_t sums[kBlock];
    const int64_t piece = (n + kBlock - 1) / kBlock;
    const int64_t begin = 1 + threadIdx.x * piece;
    const int64_t end = begin + piece < n + 1 ? begin + piece : n + 1;
    int64_t sum = 0;
    for (int64_t i = begin; i < end; ++i) {
        sum += offsets[i];
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (int distance = 1; distance < kBlock; distance *= 2) {
        const int64_t before = static_cast<int>(threadIdx.x) >= distance ? sums[threadIdx.x - distance] : 0;
        __syncthreads();
        sums[threadIdx.x] += before;
        __syncthreads();
    }
    int64_t running = sums[threadIdx.x] - sum;
    for (int64_t i = begin; i < end; ++i) {
        running += offsets[i];
        offsets[i] = running;
    }
    if (threadIdx.x == 0) {
        offsets[0] = 0;
    }
}

// One thread per environment walks over t; all threads together clear what is behind the last trajectory.
__global__ void write_trajectories(SplitArgs args) {
    const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
    const int64_t thread = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
    for (int64_t n = thread; n < args.num_envs; n += stride) {
        int64_t k = args.offsets[n];
        int64_t first = 0;
        for (int64_t t = 0; t < args.num_steps; ++t) {
            if (args.dones[t * args.num_envs + n] != 0 || t + 1 == args.num_steps) {
                write_trajectory(args, k++, n, first, t);
                first = t + 1;
            }
        }
    }
    for (int64_t k = args.offsets[args.num_envs] + thread; k < args.num_steps * args.num_envs; k += stride) {
        args.starts[k] = 0;
        args.lengths[k] = 0;
    }
}

struct alignas(16) Unit16 {
    uint64_t word[2];
};

// Moves the rows, cut into `units` units each. A block works on kBlock * kUnitsPerThread consecutive units of
// one step of the padded side, neighbouring threads at neighbouring units; `step_blocks` such blocks make a
// step.
template <typename Unit, bool kPad>
__global__ void move_rows(PadArgs args, int64_t units, int64_t step_blocks) {
    constexpr int64_t kUnits = kBlock * kUnitsPerThread;
    const Unit* const source = reinterpret_cast<const Unit*>(args.source);
    Unit* const target = reinterpret_cast<Unit*>(args.target);
    const int64_t rows = args.num_steps * args.num_envs;
    for (int64_t block = blockIdx.x; block < args.num_steps * step_blocks; block += gridDim.x) {
        const int64_t step = block / step_blocks;
        const int64_t first = (block - step * step_blocks) * kUnits;
        const int64_t first_k = first / units;
        const int64_t first_column = first - first_k * units;
        for (int i = 0; i < kUnitsPerThread; ++i) {
            // Unit relative to the start of trajectory first_k; 64-bit division is slow, and a wide row needs
            // none.
            const int64_t unit = first_column + i * kBlock + threadIdx.x;
            const int64_t passed = units >= kUnits
                                       ? (unit >= units ? 1 : 0)
                                       : static_cast<uint32_t>(unit) / static_cast<uint32_t>(units);
            const int64_t k = first_k + passed;
            if (k >= args.num_trajectories) {
                break;
            }
            const int64_t row = trajectory_row(args.starts[k], args.lengths[k], step, args.num_envs, rows);
            const int64_t column = unit - passed * units;
            const int64_t padded = (step * args.num_trajectories + k) * units + column;
            if constexpr (kPad) {
                target[padded] = row >= 0 ? source[row * units + column] : Unit{};
            } else if (row >= 0) {
                target[row * units + column] = source[padded];
            }
        }
    }
}

template <typename Unit>
__global__ void clear_units(Unit* target, int64_t n) {
    const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < n; i += stride) {
        target[i] = Unit{};
    }
}

template <typename Unit, bool kPad>
int launch_move(const PadArgs& args, cudaStream_t stream) {
    const int64_t units = args.row_bytes / static_cast<int64_t>(sizeof(Unit));
    const int64_t rows = args.num_steps * args.num_envs;
    if (!kPad && rows > 0) {
        RSLCORE_LAUNCH(clear_units<Unit>, grid_size(rows * units, kBlock), kBlock, stream)(
            reinterpret_cast<Unit*>(args.target), rows * units);
    }
    constexpr int64_t kUnits = kBlock * kUnitsPerThread;
    const int64_t step_blocks = (args.num_trajectories * units + kUnits - 1) / kUnits;
    if (args.num_steps * step_blocks > 0) {
        RSLCORE_LAUNCH((move_rows<Unit, kPad>), grid_size(args.num_steps * step_blocks, 1), kBlock, stream)(
            args, units, step_blocks);
    }
    return cudaGetLastError();
}

// With the widest load and store that the row size and the addresses allow.
template <bool kPad>
int launch_move(const PadArgs& args, void* stream_handle) {
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_handle);
    const uint64_t bits = reinterpret_cast<uintptr_t>(args.source) |
                          reinterpret_cast<uintptr_t>(args.target) | static_cast<uint64_t>(args.row_bytes);
    if (args.row_bytes == 0) {
        return cudaSuccess;
    }
    if (bits % 16 == 0) {
        return launch_move<Unit16, kPad>(args, stream);
    }
    if (bits % 8 == 0) {
        return launch_move<uint64_t, kPad>(args, stream);
    }
    if (bits % 4 == 0) {
        return launch_move<uint32_t, kPad>(args, stream);
    }
    if (bits % 2 == 0) {
        return launch_move<uint16_t, kPad>(args, stream);
    }
    return launch_move<uint8_t, kPad>(args, stream);
}

}  // namespace

int split_trajectories_cuda(const SplitArgs& args, void* stream_handle) {
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_handle);
    const unsigned int blocks = grid_size(args.num_envs, kBlock);
    if (args.num_steps == 0 || args.num_envs == 0) {
        RSLCORE_LAUNCH(clear_units<int64_t>, 1, kBlock, stream)(args.offsets, args.num_envs + 1);
        return cudaGetLastError();
    }
    RSLCORE_LAUNCH(count_trajectories, blocks, kBlock, stream)(args);
    RSLCORE_LAUNCH(sum_offsets, 1, kBlock, stream)(args.offsets, args.num_envs);
    RSLCORE_LAUNCH(write_trajectories, blocks, kBlock, stream)(args);
    return cudaGetLastError();
}

int pad_trajectories_cuda(const PadArgs& args, void* stream_handle) {
    return launch_move<true>(args, stream_handle);
}

int unpad_trajectories_cuda(const PadArgs& args, void* stream_handle) {
    return launch_move<false>(args, stream_handle);
}

}  // namespace rslcore
