// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/cuda.h"
#include "gaussian/gaussian.h"
#include "gaussian/launch.h"

namespace rslcore {
namespace {

constexpr int kBlock = 256;
constexpr unsigned int kWarpMask = 0xffffffffu;

// Element e of a draw.
template <typename T>
__device__ inline T draw(uint64_t seed, uint64_t offset, int64_t e) {
    const int64_t block = e / kGaussianGroup * kGaussianLanes + e % kGaussianLanes;
    const int64_t word = e % kGaussianGroup / kGaussianLanes;
    const Philox random = philox(seed, kGaussianStream, offset, static_cast<uint32_t>(block));
    const NormalPair<T> pair = word < 2 ? normal_pair(random.word[0], random.word[1], T{})
                                        : normal_pair(random.word[2], random.word[3], T{});
    return word % 2 == 0 ? pair.first : pair.second;
}

// kRowThreads neighbouring threads share a row; they add up their parts in a fixed tree. Threads without a
// row go along, so that every shuffle has a full warp.
template <int kRowThreads, typename T>
__global__ void gaussian_rows(GaussianArgs<T> args) {
    constexpr int64_t kBlockRows = kBlock / kRowThreads;
    const uint64_t offset =
        args.offset + (args.counter == nullptr ? 0 : static_cast<uint64_t>(*args.counter));
    const int64_t lane = threadIdx.x % kRowThreads;
    for (int64_t first = blockIdx.x * kBlockRows; first < args.rows; first += gridDim.x * kBlockRows) {
        const int64_t row = first + threadIdx.x / kRowThreads;
        T sum = T(0);
        if (row < args.rows) {
            for (int64_t a = lane; a < args.columns; a += kRowThreads) {
                const int64_t e = row * args.columns + a;
                const T mean = args.mean[e];
                const T std = args.std[args.std_rows ? e : a];
                const T noise = args.noise == nullptr ? draw<T>(args.seed, offset, e) : args.noise[e];
                const T action = gaussian_action(mean, std, noise);
                args.actions[e] = action;
                sum += gaussian_surprise(action, mean, T(1) / std, log_std(std));
            }
        }
#pragma unroll
        for (int distance = kRowThreads / 2; distance > 0; distance /= 2) {
            sum += __shfl_xor_sync(kWarpMask, sum, distance);
        }
        if (row < args.rows && lane == 0) {
            args.log_prob[row] = gaussian_log_prob(sum, args.columns);
        }
    }
}

template <int kRowThreads, typename T>
void launch(const GaussianArgs<T>& args, void* stream) {
    RSLCORE_LAUNCH((gaussian_rows<kRowThreads, T>), grid_size(args.rows, kBlock / kRowThreads), kBlock,
                   static_cast<cudaStream_t>(stream))(args);
}

}  // namespace

template <typename T>
int gaussian_cuda(const GaussianArgs<T>& args, void* stream) {
    if (args.rows == 0) {
        return cudaSuccess;
    }
    if (args.columns <= 1) {
        launch<1>(args, stream);
    } else if (args.columns <= 4) {
        launch<4>(args, stream);
    } else if (args.columns <= 8) {
        launch<8>(args, stream);
    } else if (args.columns <= 16) {
        launch<16>(args, stream);
    } else {
        launch<32>(args, stream);
    }
    return cudaGetLastError();
}

template int gaussian_cuda<float>(const GaussianArgs<float>&, void*);
template int gaussian_cuda<double>(const GaussianArgs<double>&, void*);

}  // namespace rslcore
