// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// How kernels that do the same to every row of [B, F], or sum over rows, share it out. Include common/cuda.h
// before.

#include <algorithm>
#include <cstdint>

namespace rslcore {

inline constexpr int kColumnBlock = 256;  // threads of a block

// [B, F] is cut by shape alone: a block takes `tile` columns of `chunk` rows, `fold` rows at a time, and each
// of its threads keeps to one column, so that neighbouring threads read neighbouring addresses.
struct ColumnCut {
    int64_t tile;    // columns of a block
    int64_t tiles;   //
    int64_t fold;    // rows read at a time
    int64_t chunk;   // rows of a block
    int64_t chunks;  //

    unsigned int blocks() const { return static_cast<unsigned int>(chunks * tiles); }
};

inline ColumnCut column_cut(int64_t rows, int64_t columns) {
    constexpr int64_t kMinRowsPerThread = 8;
    constexpr int64_t kMaxBlocks = 1024;  // bounds the partial sums, unless one chunk needs more
    constexpr int64_t kMaxChunks = 512;   // keeps the merge short
    ColumnCut cut{};
    cut.tile = std::min<int64_t>(columns, kColumnBlock);
    cut.tiles = (columns + cut.tile - 1) / cut.tile;
    cut.fold = kColumnBlock / cut.tile;
    const int64_t max_chunks = std::clamp<int64_t>(kMaxBlocks / cut.tiles, 1, kMaxChunks);
    cut.chunk = std::max(cut.fold * kMinRowsPerThread, (rows + max_chunks - 1) / max_chunks);
    cut.chunks = (rows + cut.chunk - 1) / cut.chunk;
    return cut;
}

// What one thread of a block works on: rows row, row + fold, ... below end of one column.
struct ColumnSlot {
    int64_t chunk;
    int64_t column;
    int64_t row;
    int64_t end;
    bool used;
};

__device__ inline ColumnSlot column_slot(const ColumnCut& cut, int64_t rows, int64_t columns) {
    const int64_t chunk = blockIdx.x / cut.tiles;
    const int64_t tile = blockIdx.x % cut.tiles;
    const int64_t first = chunk * cut.chunk;
    const int64_t last = first + cut.chunk;
    const int64_t thread = threadIdx.x;
    const int64_t column = tile * cut.tile + thread % cut.tile;
    return {
        chunk,
        column,
        first + thread / cut.tile,
        last < rows ? last : rows,
        thread < cut.fold * cut.tile && column < columns,
    };
}

}  // namespace rslcore
