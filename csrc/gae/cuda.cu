// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/cuda.h"
#include "gae/gae.h"
#include "gae/launch.h"

namespace rslcore {
namespace {

constexpr int kBlock = 128;  // threads per block of the scan: one thread per environment
constexpr int kScaleBlock =
    256;  // threads of the block that merges the partial sums, and of the scaling kernel
constexpr int64_t kMaxScanBlocks = 2048;

int64_t scan_blocks(int64_t num_envs) {
    const int64_t blocks = (num_envs + kBlock - 1) / kBlock;
    return blocks < kMaxScanBlocks ? blocks : kMaxScanBlocks;
}

// One thread per environment walks backwards over t: neighbouring threads read neighbouring addresses.
// partials [2, gridDim.x]: the block's sums of advantages and of their squares, in float64; null if not
// wanted.
template <typename T>
__global__ void gae_scan(GaeArgs<T> args, double* partials) {
    double sum = 0.0;
    double square = 0.0;
    const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
    for (int64_t n = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; n < args.num_envs;
         n += stride) {
        T advantage = T(0);
        T next_value = args.last_values[n];
        for (int64_t t = args.num_steps - 1; t >= 0; --t) {
            const int64_t i = t * args.num_envs + n;
            T reward = args.rewards[i];
            if (args.time_outs != nullptr) {
                reward = bootstrapped_reward(reward, args.bootstrap[i], args.time_outs[i] != 0, args.gamma);
            }
            const T value = args.values[i];
            const T alive = args.dones[i] == 0 ? T(1) : T(0);
            advantage = gae_advantage(reward, value, next_value, advantage, alive, args.gamma, args.lam);
            args.advantages[i] = advantage;
            args.returns[i] = advantage + value;
            next_value = value;
            sum += static_cast<double>(advantage);
            square += static_cast<double>(advantage) * static_cast<double>(advantage);
        }
    }
    if (partials != nullptr) {
        sum = block_sum<kBlock>(sum);
        square = block_sum<kBlock>(square);
        if (threadIdx.x == 0) {
            partials[blockIdx.x] = sum;
            partials[gridDim.x + blockIdx.x] = square;
        }
    }
}

// One block: mean and scale of all advantages from the blocks' sums, into scale[0] and scale[1].
__global__ void gae_scale(const double* partials, int64_t blocks, double count, double* scale) {
    double sum = 0.0;
    double square = 0.0;
    for (int64_t i = threadIdx.x; i < blocks; i += kScaleBlock) {
        sum += partials[i];
        square += partials[blocks + i];
    }
    sum = block_sum<kScaleBlock>(sum);
    square = block_sum<kScaleBlock>(square);
    if (threadIdx.x == 0) {
        const double mean = sum / count;
        const double squares = square - sum * mean;
        scale[0] = mean;
        scale[1] = advantage_scale(sqrt((squares > 0.0 ? squares : 0.0) / (count - 1.0)));
    }
}

template <typename T>
__global__ void gae_normalize(T* advantages, int64_t numel, const double* scale) {
    const double mean = scale[0];
    const double factor = scale[1];
    const int64_t stride = static_cast<int64_t>(gridDim.x) * kScaleBlock;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * kScaleBlock + threadIdx.x; i < numel; i += stride) {
        advantages[i] = normalized_advantage(advantages[i], mean, factor);
    }
}

}  // namespace

int64_t gae_scratch_doubles(int64_t num_envs) {
    return 2 * scan_blocks(num_envs) + 2;
}

template <typename T>
int gae_cuda(const GaeArgs<T>& args, bool normalize, double* scratch, void* stream_handle) {
    const int64_t numel = args.num_steps * args.num_envs;
    if (numel == 0) {
        return cudaSuccess;
    }
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_handle);
    const int64_t blocks = scan_blocks(args.num_envs);
    double* const partials = normalize ? scratch : nullptr;
    RSLCORE_LAUNCH(gae_scan<T>, static_cast<unsigned int>(blocks), kBlock, stream)(args, partials);
    if (normalize) {
        double* const scale = scratch + 2 * blocks;
        RSLCORE_LAUNCH(gae_scale, 1, kScaleBlock, stream)(partials, blocks, static_cast<double>(numel),
                                                          scale);
        RSLCORE_LAUNCH(gae_normalize<T>, grid_size(numel, kScaleBlock), kScaleBlock, stream)(args.advantages,
                                                                                             numel, scale);
    }
    return cudaGetLastError();
}

template int gae_cuda<float>(const GaeArgs<float>&, bool, double*, void*);
template int gae_cuda<double>(const GaeArgs<double>&, bool, double*, void*);

}  // namespace rslcore
