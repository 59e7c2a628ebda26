// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/cuda.h"
#include "ppo_loss/launch.h"
#include "ppo_loss/ppo_loss.h"

namespace rslcore {
namespace {

constexpr int kBlock = 256;
constexpr int kTileRows = 64;        // rows that a block has at a time
constexpr int64_t kMaxBlocks = 512;  // bounds the partial sums; a block takes several tiles
constexpr unsigned int kWarpMask = 0xffffffffu;

template <typename T>
int64_t num_blocks(const PpoLossArgs<T>& args) {
    const int64_t tiles = (args.rows + kTileRows - 1) / kTileRows;
    return tiles < 1 ? 1 : tiles < kMaxBlocks ? tiles : kMaxBlocks;
}

// Sum over the kRowThreads neighbouring threads of a row, in a fixed tree; every one of them has it.
template <int kRowThreads, typename T>
__device__ inline T row_sum(T value) {
#pragma unroll
    for (int distance = kRowThreads / 2; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(kWarpMask, value, distance);
    }
    return value;
}

// The losses of one row, added to `sums`; returns d loss / d log_prob. Threads without a row go along, so
// that every shuffle has a full warp.
template <int kRowThreads, typename T>
__device__ inline T row_terms(const PpoLossArgs<T>& args, int64_t row, double* sums) {
    const int64_t lane = threadIdx.x % kRowThreads;
    T surprise = T(0);
    T log_stds = T(0);
    T kl = T(0);
    if (row < args.rows) {
        for (int64_t a = lane; a < args.columns; a += kRowThreads) {
            const int64_t e = row * args.columns + a;
            const T mean = args.mean[row * args.mean_stride + a];
            const T std = args.std[row * args.std_stride + a];
            const T log = log_std(std);
            surprise += gaussian_surprise(args.actions[e], mean, T(1) / std, log);
            log_stds += log;
            if (args.old_mean != nullptr && row < args.samples) {
                kl += gaussian_twice_kl(args.old_mean[e], args.old_std[row * args.old_std_stride + a], mean,
                                        std);
            }
        }
    }
    surprise = row_sum<kRowThreads>(surprise);
    log_stds = row_sum<kRowThreads>(log_stds);
    kl = row_sum<kRowThreads>(kl);
    if (row >= args.rows) {
        return T(0);
    }
    const PpoSurrogate<T> policy = ppo_surrogate(gaussian_log_prob(surprise, args.columns),
                                                 args.old_log_prob[row], args.advantages[row], args.settings);
    if (lane == 0) {
        const T ret = args.returns[row];
        const T old_value = args.settings.clip_value ? args.old_values[row] : ret;
        const PpoValue<T> critic =
            ppo_value(args.values[row * args.value_stride], old_value, ret, args.settings);
        args.value_gradient[row * args.value_gradient_stride] = critic.gradient * args.settings.value_weight;
        sums[kPpoSurrogate] += static_cast<double>(policy.loss);
        sums[kPpoValue] += static_cast<double>(critic.loss);
        sums[kPpoClipped] += policy.clipped ? 1.0 : 0.0;
        if (row < args.samples) {
            sums[kPpoEntropy] += static_cast<double>(gaussian_entropy(log_stds, args.columns));
            sums[kPpoKl] += static_cast<double>(args.old_mean == nullptr ? policy.kl : T(0.5) * kl);
        }
    }
    return policy.gradient * args.settings.row_weight;
}

// The gradients of the rows first, first + 1, ... of a tile from their d loss / d log_prob, neighbouring
// threads on neighbouring columns. Where all rows share one std, its gradient is added to partials [A,
// blocks] column by column.
template <typename T>
__device__ inline void tile_gradients(const PpoLossArgs<T>& args, int64_t first, const T* row_gradients,
                                      T* slots, double* partials) {
    const int64_t rows = args.rows - first < kTileRows ? args.rows - first : kTileRows;
    const int64_t width = args.columns < 1 ? 1 : args.columns < kBlock ? args.columns : kBlock;
    const int64_t fold = kBlock / width;  // rows at a time
    const int64_t slot = threadIdx.x / width;
    for (int64_t column = 0; column < args.columns; column += width) {
        const int64_t a = column + threadIdx.x % width;
        T sum = T(0);
        if (slot < fold && a < args.columns) {
            for (int64_t r = slot; r < rows; r += fold) {
                const int64_t row = first + r;
                const T inverse = T(1) / args.std[row * args.std_stride + a];
                const PpoAction<T> action = ppo_action(args.actions[row * args.columns + a],
                                                       args.mean[row * args.mean_stride + a], inverse);
                const T entropy_weight = row < args.samples ? args.settings.entropy_weight : T(0);
                const T std_gradient = row_gradients[r] * action.std - entropy_weight * inverse;
                args.mean_gradient[row * args.mean_gradient_stride + a] = row_gradients[r] * action.mean;
                if (args.std_stride == 0) {
                    sum += std_gradient;
                } else {
                    args.std_gradient[row * args.std_gradient_stride + a] = std_gradient;
                }
            }
        }
        if (args.std_stride == 0) {
            slots[threadIdx.x] = sum;
            __syncthreads();
            if (slot == 0 && a < args.columns) {
                for (int64_t i = 1; i < fold; ++i) {
                    sum += slots[i * width + threadIdx.x];
                }
                partials[a * gridDim.x + blockIdx.x] += static_cast<double>(sum);
            }
            __syncthreads();
        }
    }
}

// partials [kPpoLossTerms + A, blocks]: the block's sums.
template <int kRowThreads, typename T>
__global__ void ppo_rows(PpoLossArgs<T> args, double* partials) {
    __shared__ T row_gradients[kTileRows];
    __shared__ T slots[kBlock];
    constexpr int kRows = kBlock / kRowThreads;  // rows of a block at a time
    double sums[kPpoLossTerms] = {};
    double* const std_partials = partials + kPpoLossTerms * gridDim.x;
    for (int64_t a = threadIdx.x; args.std_stride == 0 && a < args.columns; a += kBlock) {
        std_partials[a * gridDim.x + blockIdx.x] = 0.0;  // by the thread that adds to it
    }
    const int64_t step = static_cast<int64_t>(gridDim.x) * kTileRows;
    const int64_t start = static_cast<int64_t>(blockIdx.x) * kTileRows;
    for (int64_t first = start; first < args.rows; first += step) {
        for (int r = threadIdx.x / kRowThreads; r < kTileRows; r += kRows) {
            const T gradient = row_terms<kRowThreads>(args, first + r, sums);
            if (threadIdx.x % kRowThreads == 0) {
                row_gradients[r] = gradient;
            }
        }
        __syncthreads();
        tile_gradients(args, first, row_gradients, slots, std_partials);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < kPpoLossTerms; ++i) {
        const double sum = block_sum<kBlock>(sums[i]);
        if (threadIdx.x == 0) {
            partials[i * gridDim.x + blockIdx.x] = sum;
        }
    }
}

// Sum of `count` partial sums in a fixed order; valid in thread 0 only.
__device__ inline double merged(const double* partials, int64_t count) {
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < count; i += kBlock) {
        sum += partials[i];
    }
    return block_sum<kBlock>(sum);
}

// Block 0: loss and statistics; block 1 + a: the gradient of std[a].
template <typename T>
__global__ void ppo_merge(PpoLossArgs<T> args, const double* partials, int64_t blocks, T* loss, T* stats,
                          T* std_gradient) {
    if (blockIdx.x > 0) {
        const int64_t a = static_cast<int64_t>(blockIdx.x) - 1;
        const double sum = merged(partials + (kPpoLossTerms + a) * blocks, blocks);
        if (threadIdx.x == 0) {
            std_gradient[a] = static_cast<T>(sum);
        }
        return;
    }
    double sums[kPpoLossTerms];
    for (int i = 0; i < kPpoLossTerms; ++i) {
        sums[i] = merged(partials + i * blocks, blocks);
    }
    if (threadIdx.x == 0) {
        *loss = ppo_loss_from_sums(sums, static_cast<double>(args.rows), static_cast<double>(args.samples),
                                   args.settings, stats);
    }
}

template <int kRowThreads, typename T>
void launch_rows(const PpoLossArgs<T>& args, double* partials, void* stream) {
    RSLCORE_LAUNCH((ppo_rows<kRowThreads, T>), static_cast<unsigned int>(num_blocks(args)), kBlock,
                   static_cast<cudaStream_t>(stream))(args, partials);
}

}  // namespace

template <typename T>
int64_t ppo_loss_scratch_doubles(const PpoLossArgs<T>& args) {
    return num_blocks(args) * ppo_loss_sums(args);
}

template <typename T>
int ppo_loss_cuda(const PpoLossArgs<T>& args, double* scratch, T* loss, T* stats, T* std_gradient,
                  void* stream) {
    if (args.columns <= 4) {
        launch_rows<4>(args, scratch, stream);
    } else if (args.columns <= 8) {
        launch_rows<8>(args, scratch, stream);
    } else if (args.columns <= 16) {
        launch_rows<16>(args, scratch, stream);
    } else {
        launch_rows<32>(args, scratch, stream);
    }
    const int64_t outputs = 1 + ppo_loss_sums(args) - kPpoLossTerms;
    RSLCORE_LAUNCH(ppo_merge<T>, static_cast<unsigned int>(outputs), kBlock,
                   static_cast<cudaStream_t>(stream))(args, scratch, num_blocks(args), loss, stats,
                                                      std_gradient);
    return cudaGetLastError();
}

template int64_t ppo_loss_scratch_doubles<float>(const PpoLossArgs<float>&);
template int64_t ppo_loss_scratch_doubles<double>(const PpoLossArgs<double>&);
template int ppo_loss_cuda<float>(const PpoLossArgs<float>&, double*, float*, float*, float*, void*);
template int ppo_loss_cuda<double>(const PpoLossArgs<double>&, double*, double*, double*, double*, void*);

}  // namespace rslcore
