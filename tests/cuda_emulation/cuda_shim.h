// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// The part of CUDA that kernels of this project use, as C++ on the CPU; common/cuda.h includes it under
// RSLCORE_CUDA_EMULATION. What is not here, a kernel that uses it does not compile: add it, with a check in
// shim.cpp. `__shared__ T name[n];` is C++ only after the test has rewritten it as
// `static Shared<T[n]> name_memory; auto& name = name_memory.get();`.

#include <math.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "block_runner.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline

using cudaStream_t = void*;

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9 };

namespace cuda_shim {

// The stream that every launch must name; a test sets it.
inline cudaStream_t expected_stream = nullptr;
inline cudaError_t last_error = cudaSuccess;

template <typename Kernel>
struct Launch {
    const char* name;
    Kernel kernel;
    dim3 grid;
    dim3 block;
    cudaStream_t stream;

    template <typename... Arguments>
    void operator()(const Arguments&... arguments) const {
        if (stream != expected_stream) {
            current_kernel = name;
            fail("launched on another stream than the caller's");
        }
        if (grid.count() == 0 || grid.x > 0x7fffffffu || grid.y > 0xffffu || grid.z > 0xffffu ||
            block.count() == 0 || block.count() > kMaxThreads) {
            last_error = cudaErrorInvalidConfiguration;
            return;
        }
        Runner::instance().run(name, grid, block, [&] { kernel(arguments...); });
    }
};

// Every lane of the warp gives `value`; `read(warp, lane)` then sees what all gave. Orders no memory, as on a
// GPU.
template <typename T, typename Read>
auto exchange(unsigned int mask, T value, const Site& site, const Read& read) {
    static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable_v<T>);
    const HiddenFromThreadSanitizer hidden;
    Warp& warp = Runner::instance().warp();
    if (mask != warp.mask) {
        fail("the mask at " + text(site) + " must name the lanes that exist, and all of them");
    }
    std::memcpy(&warp.lanes[Runner::lane()], &value, sizeof(T));
    warp.barrier.wait(site);
    const auto result = read(warp, Runner::lane());
    warp.barrier.wait(site);
    return result;
}

// Lane i receives the value of lane source(i), its own one where that is beyond the warp.
template <typename T, typename Source>
T shuffle(unsigned int mask, T value, const Site& site, const Source& source) {
    return exchange(mask, value, site, [&](const Warp& warp, unsigned int lane) {
        const unsigned int from = source(lane) < kWarp ? source(lane) : lane;
        if ((warp.mask >> from & 1) == 0) {
            fail("the shuffle at " + text(site) + " reads a lane that does not exist");
        }
        T result;
        std::memcpy(&result, &warp.lanes[from], sizeof(T));
        return result;
    });
}

}  // namespace cuda_shim

#define RSLCORE_LAUNCH(kernel, grid, block, stream)                                                       \
    ::cuda_shim::Launch {                                                                                 \
        #kernel, [](const auto&... arguments) { kernel(arguments...); }, dim3(grid), dim3(block), stream, \
    }

inline cudaError_t cudaGetLastError() {
    return std::exchange(cuda_shim::last_error, cudaSuccess);
}

inline void __syncthreads(const cuda_shim::Site& site = cuda_shim::Site::current()) {
    cuda_shim::Runner::instance().barrier().wait(site);
}

inline void __syncwarp(unsigned int mask = ~0u, const cuda_shim::Site& site = cuda_shim::Site::current()) {
    cuda_shim::Warp& warp = cuda_shim::Runner::instance().warp();
    if ((mask & warp.mask) != warp.mask) {
        cuda_shim::fail("the mask at " + cuda_shim::text(site) + " must name all lanes that exist");
    }
    warp.barrier.wait(site);
}

inline unsigned long long atomicAdd(unsigned long long* address, unsigned long long value) {
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}

template <typename T>
T __shfl_sync(unsigned int mask, T value, int source,
              const cuda_shim::Site& site = cuda_shim::Site::current()) {
    return cuda_shim::shuffle(mask, value, site, [&](unsigned int) { return source % cuda_shim::kWarp; });
}

template <typename T>
T __shfl_xor_sync(unsigned int mask, T value, int bits,
                  const cuda_shim::Site& site = cuda_shim::Site::current()) {
    return cuda_shim::shuffle(mask, value, site, [&](unsigned int lane) { return lane ^ bits; });
}

template <typename T>
T __shfl_down_sync(unsigned int mask, T value, unsigned int delta,
                   const cuda_shim::Site& site = cuda_shim::Site::current()) {
    return cuda_shim::shuffle(mask, value, site, [&](unsigned int lane) { return lane + delta; });
}

template <typename T>
T __shfl_up_sync(unsigned int mask, T value, unsigned int delta,
                 const cuda_shim::Site& site = cuda_shim::Site::current()) {
    return cuda_shim::shuffle(mask, value, site, [&](unsigned int lane) { return lane - delta; });
}

inline unsigned int __ballot_sync(unsigned int mask, int predicate,
                                  const cuda_shim::Site& site = cuda_shim::Site::current()) {
    return cuda_shim::exchange(mask, predicate != 0, site, [](const cuda_shim::Warp& warp, unsigned int) {
        unsigned int ballot = 0;
        for (unsigned int lane = 0; lane < cuda_shim::kWarp; ++lane) {
            bool vote = false;
            std::memcpy(&vote, &warp.lanes[lane], sizeof(vote));
            ballot |= ((warp.mask >> lane & 1) != 0 && vote ? 1u : 0u) << lane;
        }
        return ballot;
    });
}

namespace rslcore {

// As common/cuda.h has it from cub. Threads other than 0 receive garbage.
template <int kThreads, typename T>
T block_sum(T value, const cuda_shim::Site& site = cuda_shim::Site::current()) {
    static_assert(std::is_floating_point_v<T>);
    if (blockDim.count() != kThreads) {
        cuda_shim::fail("block_sum at " + cuda_shim::text(site) + " is for blocks of another size");
    }
    static cuda_shim::Shared<T[kThreads]> memory;
    T(&values)[kThreads] = memory.get();
    values[threadIdx.x] = value;
    __syncthreads(site);
    T sum = std::numeric_limits<T>::quiet_NaN();
    if (threadIdx.x == 0) {
        sum = T(0);
        for (const T& x : values) {
            sum += x;
        }
    }
    __syncthreads(site);
    return sum;
}

}  // namespace rslcore
