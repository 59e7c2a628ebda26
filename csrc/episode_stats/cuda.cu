// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>

#include "common/cuda.h"
#include "episode_stats/episode_stats.h"
#include "episode_stats/launch.h"

namespace rslcore {
namespace {

constexpr int kBlock = 256;
constexpr int64_t kMaxBlocks = 1024;  // every block reads what all others have counted

// A block takes `tile` neighbouring environments, by their number alone.
struct Cut {
    int64_t tile;
    int64_t blocks;
};

Cut make_cut(int64_t num_envs) {
    const int64_t rounds = std::max<int64_t>((num_envs + kMaxBlocks * kBlock - 1) / (kMaxBlocks * kBlock), 1);
    const int64_t tile = rounds * kBlock;
    return {tile, (num_envs + tile - 1) / tile};
}

// scratch [1 + blocks]: the count before this step, then the number of episodes that end in each block.
template <typename T>
__global__ void episode_add(EpisodeArgs<T> args, Cut cut, int64_t* scratch) {
    const int64_t first = blockIdx.x * cut.tile;
    const int64_t last = first + cut.tile < args.num_envs ? first + cut.tile : args.num_envs;
    double ended = 0.0;
    for (int64_t n = first + threadIdx.x; n < last; n += kBlock) {
        const T reward = args.rewards[n];
        T* const sums = args.running + n;
        sums[kEpisodeLength * args.num_envs] += T(1);
        if (args.intrinsic == nullptr) {
            sums[kEpisodeReturn * args.num_envs] += reward;
        } else {
            const T intrinsic = args.intrinsic[n];
            sums[kEpisodeReturn * args.num_envs] += reward + intrinsic;
            sums[kEpisodeExtrinsicReturn * args.num_envs] += reward;
            sums[kEpisodeIntrinsicReturn * args.num_envs] += intrinsic;
        }
        ended += args.dones[n] != 0 ? 1.0 : 0.0;
    }
    ended = block_sum<kBlock>(ended);
    if (threadIdx.x == 0) {
        scratch[1 + blockIdx.x] = static_cast<int64_t>(ended);
        if (blockIdx.x == 0) {
            scratch[0] = *args.count;
        }
    }
}

// Keeps the episodes that ended, in the order of the environments, and starts new ones.
template <typename T>
__global__ void episode_finish(EpisodeArgs<T> args, Cut cut, const int64_t* scratch) {
    __shared__ int64_t before;
    __shared__ int64_t total;
    __shared__ int ranks[kBlock];
    const int64_t* const ended_in = scratch + 1;
    if (ended_in[blockIdx.x] == 0 && blockIdx.x != 0) {
        return;
    }
    double ended_before = 0.0;
    double ended = 0.0;
    for (int64_t block = threadIdx.x; block < cut.blocks; block += kBlock) {
        const double in_block = static_cast<double>(ended_in[block]);
        ended += in_block;
        ended_before += block < blockIdx.x ? in_block : 0.0;
    }
    ended_before = block_sum<kBlock>(ended_before);
    ended = block_sum<kBlock>(ended);
    if (threadIdx.x == 0) {
        before = static_cast<int64_t>(ended_before);
        total = static_cast<int64_t>(ended);
        if (blockIdx.x == 0) {
            *args.count = scratch[0] + total;
        }
    }
    __syncthreads();
    const int64_t rows = episode_rows(args.intrinsic != nullptr);
    const int64_t first = blockIdx.x * cut.tile;
    int64_t rank = before;  // of the first episode of a round
    for (int64_t round = 0; round < cut.tile; round += kBlock) {
        const int64_t n = first + round + threadIdx.x;
        const bool done = n < args.num_envs && args.dones[n] != 0;
        // Inclusive prefix sum over the block (Hillis and Steele 1986).
        int sum = done ? 1 : 0;
        for (int distance = 1; distance < kBlock; distance *= 2) {
            ranks[threadIdx.x] = sum;
            __syncthreads();
            if (static_cast<int>(threadIdx.x) >= distance) {
                sum += ranks[threadIdx.x - distance];
            }
            __syncthreads();
        }
        ranks[threadIdx.x] = sum;
        __syncthreads();
        const int in_round = ranks[kBlock - 1];
        __syncthreads();
        if (done) {
            const int64_t own = rank + sum - 1;
            T* const kept = args.finished + episode_slot(scratch[0] + own, args.window) * rows;
            for (int64_t r = 0; r < rows; ++r) {
                T& running = args.running[r * args.num_envs + n];
                if (episode_kept(own, total, args.window)) {
                    kept[r] = running;
                }
                running = T(0);
            }
        }
        rank += in_round;
    }
}

}  // namespace

int64_t episode_scratch(int64_t num_envs) {
    return 1 + make_cut(num_envs).blocks;
}

template <typename T>
int episode_stats_cuda(const EpisodeArgs<T>& args, int64_t* scratch, void* stream_handle) {
    if (args.num_envs == 0) {
        return cudaSuccess;
    }
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_handle);
    const Cut cut = make_cut(args.num_envs);
    const unsigned int blocks = static_cast<unsigned int>(cut.blocks);
    RSLCORE_LAUNCH(episode_add<T>, blocks, kBlock, stream)(args, cut, scratch);
    RSLCORE_LAUNCH(episode_finish<T>, blocks, kBlock, stream)(args, cut, scratch);
    return cudaGetLastError();
}

template int episode_stats_cuda<float>(const EpisodeArgs<float>&, int64_t*, void*);
template int episode_stats_cuda<double>(const EpisodeArgs<double>&, int64_t*, void*);

}  // namespace rslcore
