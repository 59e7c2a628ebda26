// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "shuffle/launch.h"
#include "shuffle/permutation.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

// Indices that go through the permutation network together.
constexpr int64_t kBlock = 512;

// Images of begin..begin+width-1; those outside 0..last are collected and sent through the network again.
template <typename U>
void permutation_block(const Permutation& p, int64_t begin, int64_t width, int64_t* __restrict out) {
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

template <int kBytes>
inline __attribute__((always_inline)) void copy_bytes(unsigned char* target, const unsigned char* source) {
    __builtin_memcpy(target, source, kBytes);
}

// kChunk is the largest power of two, up to 64, that fits a row: a row is copied in chunks, the last of which
// may overlap the one before.
template <int kChunk>
void copy_rows(const ShuffleField& field, const int64_t* __restrict index, int64_t begin, int64_t end) {
    const int64_t bytes = field.row_bytes;
    const int64_t tail = bytes % kChunk == 0 ? 0 : bytes - kChunk;
    for (int64_t i = begin; i < end; ++i) {
        const unsigned char* const source = field.source + index[i] * bytes;
        unsigned char* const target = field.target + i * bytes;
        for (int64_t at = 0; at + kChunk <= bytes; at += kChunk) {
            copy_bytes<kChunk>(target + at, source + at);
        }
        if (tail != 0) {
            copy_bytes<kChunk>(target + tail, source + tail);
        }
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
        if (field->row_bytes >= 64) {
            copy_rows<64>(*field, index, begin, end);
        } else if (field->row_bytes >= 32) {
            copy_rows<32>(*field, index, begin, end);
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
