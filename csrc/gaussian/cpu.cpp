// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/macros.h"
#include "gaussian/gaussian.h"
#include "gaussian/launch.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

constexpr int64_t kLanes = kGaussianLanes;
constexpr int64_t kGroup = kGaussianGroup;
constexpr int64_t kTile = kGaussianTile;

// Instead of templates of the standard library: an out-of-line copy of one would be compiled for one SIMD
// level and linked into all.
template <typename T>
void copy(const T* __restrict from, int64_t n, T* __restrict to) {
    for (int64_t i = 0; i < n; ++i) {
        to[i] = from[i];
    }
}

// Element e of a draw, `first` <= e < first + kGroup, first a multiple of kGroup.
template <typename T>
void draw_group(uint64_t seed, uint64_t offset, int64_t first, T* __restrict noise) {
    const uint32_t block = static_cast<uint32_t>(first / 4);
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
        const Philox random = philox(seed, kGaussianStream, offset, block + lane);
        const NormalPair<T> low = normal_pair(random.word[0], random.word[1], T{});
        const NormalPair<T> high = normal_pair(random.word[2], random.word[3], T{});
        noise[lane] = low.first;
        noise[lane + kLanes] = low.second;
        noise[lane + 2 * kLanes] = high.first;
        noise[lane + 3 * kLanes] = high.second;
    }
}

// What the tile's elements need of the standard deviation.
template <typename T>
void prepare_std(const T* __restrict std, int64_t n, T* __restrict inverse, T* __restrict log) {
    for (int64_t i = 0; i < n; ++i) {
        inverse[i] = T(1) / std[i];
        log[i] = log_std(std[i]);
    }
}

// Repeats the first `columns` of `width` elements over the rest, doubling what is filled.
template <typename T>
void repeat(T* values, int64_t columns, int64_t width) {
    for (int64_t filled = columns; filled < width; filled *= 2) {
        copy(values, smaller(filled, width - filled), values + filled);
    }
}

template <typename T>
void sample(const T* __restrict mean, const T* __restrict std, const T* __restrict inverse,
            const T* __restrict log, int64_t n, T* __restrict noise, T* __restrict actions) {
    for (int64_t i = 0; i < n; ++i) {
        const T action = gaussian_action(mean[i], std[i], noise[i]);
        actions[i] = action;
        noise[i] = gaussian_surprise(action, mean[i], inverse[i], log[i]);
    }
}

// Sums of kRows rows of `columns` elements, several at a time: one addition waits for the one before.
template <int kRows, typename T>
void add_rows(const T* __restrict values, int64_t columns, T* __restrict sums) {
    T row[kRows] = {};
    for (int64_t a = 0; a < columns; ++a) {
        for (int r = 0; r < kRows; ++r) {
            row[r] += values[r * columns + a];
        }
    }
    for (int r = 0; r < kRows; ++r) {
        sums[r] += row[r];
    }
}

}  // namespace

template <typename T>
void gaussian_units(const GaussianArgs<T>& args, uint64_t offset, int64_t begin, int64_t end) {
    const int64_t columns = args.columns;
    const int64_t unit_rows = gaussian_unit_rows(columns);
    T std_tile[kTile];
    T inverse_tile[kTile];
    T log_tile[kTile];
    T drawn[kTile + 2 * kGroup];
    T sums[kTile];
    const bool repeated = !args.std_rows && columns <= kTile;
    if (repeated) {
        const int64_t width = smaller(unit_rows, args.rows) * columns;
        copy(args.std, columns, std_tile);
        prepare_std(std_tile, columns, inverse_tile, log_tile);
        repeat(std_tile, columns, width);
        repeat(inverse_tile, columns, width);
        repeat(log_tile, columns, width);
    }
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t row = unit * unit_rows;
        const int64_t rows = smaller(unit_rows, args.rows - row);
        for (int64_t r = 0; r < rows; ++r) {
            sums[r] = T(0);
        }
        // All of the unit's rows together, or one wide row piece by piece.
        for (int64_t column = 0; column < columns; column += kTile) {
            const int64_t width = smaller(kTile, columns - column);
            const int64_t first = row * columns + column;
            const int64_t n = rows * width;
            const T* std = std_tile;
            if (!repeated) {
                std = args.std + (args.std_rows ? first : column);
                prepare_std(std, n, inverse_tile, log_tile);
            }
            T* noise = drawn;
            if (args.noise != nullptr) {
                copy(args.noise + first, n, noise);
            } else {
                const int64_t start = first / kGroup * kGroup;
                for (int64_t e = start; e < first + n; e += kGroup) {
                    draw_group(args.seed, offset, e, drawn + (e - start));
                }
                noise += first - start;
            }
            sample(args.mean + first, std, inverse_tile, log_tile, n, noise, args.actions + first);
            int64_t r = 0;
            for (; r + 8 <= rows; r += 8) {
                add_rows<8>(noise + r * width, width, sums + r);
            }
            for (; r < rows; ++r) {
                add_rows<1>(noise + r * width, width, sums + r);
            }
        }
        for (int64_t r = 0; r < rows; ++r) {
            args.log_prob[row + r] = gaussian_log_prob(sums[r], columns);
        }
    }
}

template void gaussian_units<float>(const GaussianArgs<float>&, uint64_t, int64_t, int64_t);
template void gaussian_units<double>(const GaussianArgs<double>&, uint64_t, int64_t, int64_t);

}  // namespace rslcore::RSLCORE_SIMD
