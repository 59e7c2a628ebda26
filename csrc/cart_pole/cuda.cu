// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "cart_pole/cart_pole.h"
#include "cart_pole/launch.h"
#include "common/cuda.h"

namespace rslcore {
namespace {

constexpr int kBlock = 128;
constexpr int64_t kMaxBlocks = 4096;  // each adds to the same two counts

unsigned int blocks_for(int64_t num_envs) {
    const unsigned int blocks = grid_size(num_envs, kBlock);
    return blocks < kMaxBlocks ? blocks : static_cast<unsigned int>(kMaxBlocks);
}

__device__ inline void add_count(int64_t* count, double more) {
    if (more > 0.0) {
        // Integers: the order of the blocks does not matter.
        atomicAdd(reinterpret_cast<unsigned long long*>(count), static_cast<unsigned long long>(more));
    }
}

// One thread per environment.
template <typename T>
__global__ void step_envs(CartPoleArgs<T> args) {
    const int64_t num_envs = args.num_envs;
    const int64_t columns = kPoleStates * args.num_poles;
    const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
    double falls = 0.0;
    double outs = 0.0;
    for (int64_t n = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; n < num_envs; n += stride) {
        T* const observation = args.observations + n * columns;
        bool fell = false;
        for (int64_t p = 0; p < args.num_poles; ++p) {
            T* const row = args.state + p * kPoleStates * num_envs + n;
            const PoleState<T> pole =
                cart_pole_step(PoleState<T>{row[0], row[num_envs], row[2 * num_envs], row[3 * num_envs]},
                               args.actions[n * args.num_poles + p]);
            const T next[kPoleStates] = {pole.position, pole.velocity, pole.angle, pole.angular_velocity};
#pragma unroll
            for (int64_t k = 0; k < kPoleStates; ++k) {
                row[k * num_envs] = next[k];
                observation[p * kPoleStates + k] = next[k];
            }
            fell = fell || !cart_pole_stands(pole);
        }
        int64_t length = args.episode_lengths[n] + 1;
        const bool late = length >= args.max_episode_length && !fell;
        args.rewards[n] = T(1);
        args.dones[n] = fell || late ? 1 : 0;
        args.time_outs[n] = late ? 1 : 0;
        if (fell || late) {
            if (args.final_observations != nullptr) {
                for (int64_t k = 0; k < columns; ++k) {
                    args.final_observations[n * columns + k] = observation[k];
                }
            }
            cart_pole_start(args.seed, args.episodes[n]++, n, num_envs, args.num_poles, args.state,
                            observation);
            length = 0;
        }
        args.episode_lengths[n] = length;
        falls += fell ? 1.0 : 0.0;
        outs += late ? 1.0 : 0.0;
    }
    falls = block_sum<kBlock>(falls);
    outs = block_sum<kBlock>(outs);
    if (threadIdx.x == 0) {
        add_count(args.ended, falls);
        add_count(args.ended + 1, outs);
    }
}

template <typename T>
__global__ void reset_envs(CartPoleResetArgs<T> args) {
    const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
    for (int64_t n = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; n < args.num_envs;
         n += stride) {
        cart_pole_start(args.seed, args.episodes[n]++, n, args.num_envs, args.num_poles, args.state,
                        args.observations + n * kPoleStates * args.num_poles);
        args.episode_lengths[n] = 0;
    }
}

}  // namespace

template <typename T>
int cart_pole_step_cuda(const CartPoleArgs<T>& args, void* stream) {
    if (args.num_envs == 0) {
        return cudaSuccess;
    }
    RSLCORE_LAUNCH(step_envs<T>, blocks_for(args.num_envs), kBlock, static_cast<cudaStream_t>(stream))(args);
    return cudaGetLastError();
}

template <typename T>
int cart_pole_reset_cuda(const CartPoleResetArgs<T>& args, void* stream) {
    if (args.num_envs == 0) {
        return cudaSuccess;
    }
    RSLCORE_LAUNCH(reset_envs<T>, blocks_for(args.num_envs), kBlock, static_cast<cudaStream_t>(stream))(args);
    return cudaGetLastError();
}

template int cart_pole_step_cuda<float>(const CartPoleArgs<float>&, void*);
template int cart_pole_step_cuda<double>(const CartPoleArgs<double>&, void*);
template int cart_pole_reset_cuda<float>(const CartPoleResetArgs<float>&, void*);
template int cart_pole_reset_cuda<double>(const CartPoleResetArgs<double>&, void*);

}  // namespace rslcore
