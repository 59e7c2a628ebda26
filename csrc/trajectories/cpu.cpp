// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "trajectories/launch.h"
#include "trajectories/trajectories.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

// Environments that go through the steps together, so that `dones` are read row by row.
constexpr int64_t kTile = 512;

// Copies `bytes` >= kChunk bytes in chunks, the last of which may overlap the one before.
template <int kChunk>
void copy_row(const unsigned char* source, unsigned char* target, int64_t bytes) {
    const int64_t last = bytes - kChunk;
    for (int64_t at = 0; at < last; at += kChunk) {
        __builtin_memcpy(target + at, source + at, kChunk);
    }
    __builtin_memcpy(target + last, source + last, kChunk);
}

template <int kChunk, bool kPad>
void move_rows(const PadArgs& args, int64_t begin, int64_t end) {
    const int64_t bytes = args.row_bytes;
    const int64_t rows = args.num_steps * args.num_envs;
    int64_t step = begin / args.num_trajectories;
    int64_t k = begin % args.num_trajectories;
    for (int64_t padded = begin; padded < end; ++padded) {
        const int64_t row = trajectory_row(args.starts[k], args.lengths[k], step, args.num_envs, rows);
        if constexpr (kPad) {
            unsigned char* const target = args.target + padded * bytes;
            if (row >= 0) {
                copy_row<kChunk>(args.source + row * bytes, target, bytes);
            } else {
                __builtin_memset(target, 0, bytes);
            }
        } else if (row >= 0) {
            copy_row<kChunk>(args.source + padded * bytes, args.target + row * bytes, bytes);
        }
        if (++k == args.num_trajectories) {
            k = 0;
            ++step;
        }
    }
}

template <bool kPad>
void move_rows(const PadArgs& args, int64_t begin, int64_t end) {
    if (args.row_bytes >= 64) {
        move_rows<64, kPad>(args, begin, end);
    } else if (args.row_bytes >= 16) {
        move_rows<16, kPad>(args, begin, end);
    } else if (args.row_bytes >= 8) {
        move_rows<8, kPad>(args, begin, end);
    } else if (args.row_bytes >= 4) {
        move_rows<4, kPad>(args, begin, end);
    } else if (args.row_bytes >= 1) {
        move_rows<1, kPad>(args, begin, end);
    }
}

}  // namespace

void count_trajectories(const SplitArgs& args, int64_t begin, int64_t end) {
    int64_t* const counts = args.offsets + 1;
    for (int64_t n = begin; n < end; ++n) {
        counts[n] = 1;
    }
    for (int64_t t = 0; t + 1 < args.num_steps; ++t) {
        const uint8_t* const dones = args.dones + t * args.num_envs;
        for (int64_t n = begin; n < end; ++n) {
            counts[n] += dones[n] != 0 ? 1 : 0;
        }
    }
}

void write_trajectories(const SplitArgs& args, int64_t begin, int64_t end) {
    int64_t first[kTile];
    int64_t next[kTile];
    for (int64_t tile = begin; tile < end; tile += kTile) {
        const int64_t width = end - tile < kTile ? end - tile : kTile;
        for (int64_t i = 0; i < width; ++i) {
            first[i] = 0;
            next[i] = args.offsets[tile + i];
        }
        for (int64_t t = 0; t < args.num_steps; ++t) {
            const bool last = t + 1 == args.num_steps;
            const uint8_t* const dones = args.dones + t * args.num_envs + tile;
            for (int64_t i = 0; i < width; ++i) {
                if (dones[i] != 0 || last) {
                    write_trajectory(args, next[i]++, tile + i, first[i], t);
                    first[i] = t + 1;
                }
            }
        }
    }
}

void pad_rows(const PadArgs& args, int64_t begin, int64_t end) {
    move_rows<true>(args, begin, end);
}

void unpad_rows(const PadArgs& args, int64_t begin, int64_t end) {
    move_rows<false>(args, begin, end);
}

}  // namespace rslcore::RSLCORE_SIMD
