// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "shuffle/launch.h"
#include "shuffle/permutation.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

// Indices that go through the permutation network together.
constexpr int64_t kBlock = 512;

constexpr int64_t kCacheLine = 64;
constexpr int64_t kPrefetchBytes = 4096;

// Images of begin..begin+width-1; those outside 0..last are collected and sent through the network again.
template <typename U>
void permutation_block(const Permutation& network, int64_t begin, int64_t width, int64_t* __restrict out) {
    const Permutation p = network;
    U image[kBlock];
    int32_t position[kBlock];
    for (int64_t i = 0; i < kBlock; ++i) {
        image[i] = permutation_image<U>(p, static_cast<U>(begin + i));
    }
    for (int64_t i = 0; i < width; ++i) {
        out[i] = static_cast<int64_t>(image[i]);
    }
    for (int64_t i = 0; i < width; ++i) {
        position[i] = static_cast<int32_t>(i);
    }
    int64_t walking = width;
    while (true) {
        int64_t outside = 0;
        for (int64_t i = 0; i < walking; ++i) {
            const U value = image[i];
            const int32_t where = position[i];
            image[outside] = value;
            position[outside] = where;
            outside += value > p.last ? 1 : 0;
        }
        if (outside == 0) {
            return;
        }
        walking = outside;
        for (int64_t i = 0; i < walking; ++i) {
            image[i] = permutation_image<U>(p, image[i]);
        }
        for (int64_t i = 0; i < walking; ++i) {
            out[position[i]] = static_cast<int64_t>(image[i]);
        }
    }
}

// A row is copied in chunks, the last of which may overlap the one before. kOneChunk: row_bytes is kChunk.
template <int kChunk, bool kOneChunk>
void copy_rows(const ShuffleField& field, const int64_t* index, int64_t begin, int64_t end) {
    const int64_t bytes = kOneChunk ? kChunk : field.row_bytes;
    const int64_t last = bytes - kChunk;
    // Rows of several cache lines are fetched ahead; the processor does it by itself for shorter and much
    // longer ones.
    const int64_t ahead = kChunk == kCacheLine ? kPrefetchBytes / bytes : 0;
    const unsigned char* const rows = field.source;
    unsigned char* target = field.target + begin * bytes;
    for (int64_t i = begin; i < end; ++i) {
        if (ahead > 0 && i + ahead < end) {
            const unsigned char* const next = rows + index[i + ahead] * bytes;
            for (int64_t at = 0; at < bytes; at += kCacheLine) {
                __builtin_prefetch(next + at);
            }
        }
        const unsigned char* const row = rows + index[i] * bytes;
        for (int64_t at = 0; at < last; at += kChunk) {
            __builtin_memcpy(target + at, row + at, kChunk);
        }
        __builtin_memcpy(target + last, row + last, kChunk);
        target += bytes;
    }
}

template <int kChunk>
void copy_rows(const ShuffleField& field, const int64_t* index, int64_t begin, int64_t end) {
    if (field.row_bytes == kChunk) {
        copy_rows<kChunk, true>(field, index, begin, end);
    } else {
        copy_rows<kChunk, false>(field, index, begin, end);
    }
}

}  // namespace

void permutation_range(int64_t n, uint64_t seed, uint64_t offset, int64_t* out, int64_t begin, int64_t end) {
    const Permutation p = make_permutation(static_cast<uint64_t>(n), seed, offset);
    for (int64_t i = begin; i < end; i += kBlock) {
        const int64_t width = end - i < kBlock ? end - i : kBlock;
        if (p.last <= 0xffffffffu) {
            permutation_block<uint32_t>(p, i, width, out + i);
        } else {
            permutation_block<uint64_t>(p, i, width, out + i);
        }
    }
}

void shuffle_find_outside(const int64_t* index, int64_t rows, int64_t begin, int64_t end, bool& outside) {
    // The sign bit is set where index[i] < 0 or index[i] >= rows.
    uint64_t signs = 0;
    const uint64_t last = static_cast<uint64_t>(rows) - 1;
    for (int64_t i = begin; i < end; ++i) {
        const uint64_t row = static_cast<uint64_t>(index[i]);
        signs |= row | (last - row);
    }
    outside = outside || (signs >> 63) != 0;
}

void shuffle_rows_range(const ShuffleField* fields, int64_t num_fields, const int64_t* index, int64_t begin,
                        int64_t end) {
    // Field by field, not row by row: a narrow field stays in cache while all of its rows are taken.
    for (const ShuffleField* field = fields; field != fields + num_fields; ++field) {
        if (field->row_bytes >= kCacheLine) {
            copy_rows<kCacheLine>(*field, index, begin, end);
        } else if (field->row_bytes >= 16) {
            copy_rows<16>(*field, index, begin, end);
        } else if (field->row_bytes >= 8) {
            copy_rows<8>(*field, index, begin, end);
        } else if (field->row_bytes >= 4) {
            copy_rows<4>(*field, index, begin, end);
        } else if (field->row_bytes >= 2) {
            copy_rows<2>(*field, index, begin, end);
        } else if (field->row_bytes == 1) {
            copy_rows<1>(*field, index, begin, end);
        }
    }
}

}  // namespace rslcore::RSLCORE_SIMD
