// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

// The shim itself: without an argument, that its warps, blocks and shared memory do what CUDA's do; with one,
// a kernel with the fault of that name, which must be reported.

#include "common/cuda.h"

#include <functional>
#include <map>

#include "check.h"

namespace {

constexpr unsigned int kAll = 0xffffffffu;

// out [blocks, threads]: sum over the warp in every lane, number of the warp's odd values in the first.
__global__ void warp_sums(const int* x, int* out, int* odd) {
    const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned int first = threadIdx.x / 32 * 32;
    const unsigned int lanes = blockDim.x - first < 32 ? blockDim.x - first : 32;
    const unsigned int mask = lanes == 32 ? kAll : (1u << lanes) - 1;
    odd[i] = static_cast<int>(__ballot_sync(mask, x[i] % 2));
    if (lanes < 32) {
        out[i] = __shfl_sync(mask, x[i], 0);
        return;
    }
    int sum = x[i];
    for (int bits = 16; bits > 0; bits /= 2) {
        sum += __shfl_xor_sync(mask, sum, bits);
    }
    int down = x[i];
    for (unsigned int delta = 16; delta > 0; delta /= 2) {
        down += __shfl_down_sync(mask, down, delta);
    }
    const int up = __shfl_up_sync(mask, x[i], 1);
    const bool lane_zero = threadIdx.x % 32 == 0;
    out[i] = sum == __shfl_sync(mask, down, 0) && up == x[lane_zero ? i : i - 1] ? sum : -1;
}

void warps() {
    check::begin("shim: warps of 32 and of 5 lanes");
    constexpr int kThreads = 69;
    constexpr int kBlocks = 3;
    check::Random random(1);
    std::vector<int> x(kBlocks * kThreads);
    std::vector<int> sums(x.size());
    std::vector<int> odds(x.size());
    for (int& value : x) {
        value = static_cast<int>(random() % 1000);
    }
    for (int block = 0; block < kBlocks; ++block) {
        for (int first = 0; first < kThreads; first += 32) {
            const int lanes = std::min(32, kThreads - first);
            const int start = block * kThreads + first;
            int sum = 0;
            unsigned int odd = 0;
            for (int lane = 0; lane < lanes; ++lane) {
                sum += x[start + lane];
                odd |= static_cast<unsigned int>(x[start + lane] % 2) << lane;
            }
            for (int lane = 0; lane < lanes; ++lane) {
                sums[start + lane] = lanes == 32 ? sum : x[start];
                odds[start + lane] = static_cast<int>(odd);
            }
        }
    }
    const auto [out, ballots] = check::emulate([&](void* stream) {
        std::vector<int> result(x.size());
        std::vector<int> votes(x.size());
        RSLCORE_LAUNCH(warp_sums, kBlocks, kThreads, stream)(x.data(), result.data(), votes.data());
        return std::tuple(result, votes);
    });
    check::equal("sum", out, sums);
    check::equal("ballot", ballots, odds);
}

// out [grid, block] in linear order: position, as one number.
__global__ void positions(int* out) {
    const unsigned int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] =
        static_cast<int>(blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z + 1000 * threadIdx.x +
                         10000 * threadIdx.y + 100000 * threadIdx.z);
}

void three_dimensions() {
    check::begin("shim: grids and blocks of three dimensions");
    const dim3 grid(2, 3, 2);
    const dim3 block(3, 2, 5);
    std::vector<int> expected;
    for (uint64_t b = 0; b < grid.count(); ++b) {
        for (uint64_t t = 0; t < block.count(); ++t) {
            expected.push_back(static_cast<int>(b % 2 + b / 2 % 3 * 10 + b / 6 * 100 + t % 3 * 1000 +
                                                t / 3 % 2 * 10000 + t / 6 * 100000));
        }
    }
    const auto [out] = check::emulate([&](void* stream) {
        std::vector<int> result(expected.size());
        RSLCORE_LAUNCH(positions, grid, block, stream)(result.data());
        return std::tuple(result);
    });
    check::equal("position", out, expected);
}

// out [blocks]: what the block's shared memory held before its first write.
__global__ void first_read(int* out) {
    __shared__ int memory[7];
    if (threadIdx.x == 0) {
        out[blockIdx.x] = memory[6];
    }
    __syncthreads();
    memory[threadIdx.x] = 1;
}

void shared_memory_is_garbage() {
    check::begin("shim: shared memory is garbage at the start of every block");
    const auto [out] = check::emulate([&](void* stream) {
        std::vector<int> result(5);
        RSLCORE_LAUNCH(first_read, 5, 7, stream)(result.data());
        return std::tuple(result);
    });
    check::equal("read", out, check::garbage<int>(5));
}

void launch_limits() {
    check::begin("shim: an empty grid and a block of 1025 threads are refused");
    int result = 0;
    const auto refused = [&](unsigned int blocks, unsigned int threads) {
        RSLCORE_LAUNCH(positions, blocks, threads, cuda_shim::expected_stream)(&result);
        return cudaGetLastError() == cudaErrorInvalidConfiguration;
    };
    check::that(refused(0, 1) && refused(1, 0) && refused(1, 1025), "launched");
    check::that(cudaGetLastError() == cudaSuccess && result == 0, "the error stays");
}

// The faults. out [1, 64].
__global__ void early_exit(int*) {
    if (threadIdx.x == 5) {
        return;
    }
    __syncthreads();
}

__global__ void two_barriers(int*) {
    if (threadIdx.x % 2 == 0) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}

__global__ void wrong_mask(int* out) {
    out[threadIdx.x] = __shfl_sync(0xffffu, 1, 0);
}

__global__ void block_order(int* out) {
    if (threadIdx.x == 0) {
        out[0] = static_cast<int>(blockIdx.x);
    }
}

__global__ void shared_off_by_one(int* out) {
    __shared__ int memory[64];
    memory[threadIdx.x + 1] = 1;
    __syncthreads();
    out[threadIdx.x] = memory[threadIdx.x];
}

// A shuffle orders no memory: the barrier is missing.
__global__ void shuffle_as_barrier(int* out) {
    __shared__ int memory[64];
    memory[threadIdx.x] = 1;
    __shfl_sync(kAll, 1, 0);
    out[threadIdx.x] = memory[threadIdx.x ^ 1];
}

// The same with the barrier of a warp is right.
__global__ void warp_barrier(int* out) {
    __shared__ int memory[64];
    memory[threadIdx.x] = 1;
    __syncwarp();
    out[threadIdx.x] = memory[threadIdx.x ^ 1];
}

template <void (*kKernel)(int*)>
std::vector<int> launch() {
    return std::get<0>(check::emulate([&](void* stream) {
        std::vector<int> out(64);
        RSLCORE_LAUNCH(kKernel, 3, 64, stream)(out.data());
        return std::tuple(out);
    }));
}

void other_stream() {
    check::emulate([](void*) {
        std::vector<int> out(64);
        RSLCORE_LAUNCH(block_order, 1, 64, nullptr)(out.data());
        return std::tuple(out);
    });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1) {
        warps();
        three_dimensions();
        shared_memory_is_garbage();
        launch_limits();
        check::begin("shim: __syncwarp is a barrier");
        check::equal("out", launch<warp_barrier>(), std::vector<int>(64, 1));
        return check::done();
    }
    const std::map<std::string, std::function<void()>> faults{
        {"early_exit", [] { launch<early_exit>(); }},
        {"two_barriers", [] { launch<two_barriers>(); }},
        {"wrong_mask", [] { launch<wrong_mask>(); }},
        {"block_order", [] { launch<block_order>(); }},
        {"shared_off_by_one", [] { launch<shared_off_by_one>(); }},
        {"shuffle_as_barrier", [] { launch<shuffle_as_barrier>(); }},
        {"other_stream", other_stream},
    };
    check::begin(argv[1]);
    faults.at(argv[1])();
    return check::done();
}
