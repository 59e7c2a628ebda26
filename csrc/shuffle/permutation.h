// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/macros.h"
#include "common/philox.h"

namespace rslcore {

// Chosen by chi-squared tests over millions of seeds: with 6 rounds or 4 bits, permutations of few elements
// and their fixed points are visibly not uniform; with 8 and 6 nothing is seen.
inline constexpr int kPermutationRounds = 8;
inline constexpr int kPermutationMinBits = 6;
inline constexpr uint32_t kPermutationStream = 1;

// A random bijection of 0..2^bits-1, 2^bits >= n: an alternating Feistel network (Luby and Rackoff 1988) on a
// high and a low half of the bits. Images outside 0..n-1 are sent through it again until they fall inside
// (cycle walking, Black and Rogaway 2002), which makes a bijection of 0..n-1 of it.
struct Permutation {
    uint64_t last;       // n - 1
    int low_bits;        //
    uint32_t low_mask;   //
    uint32_t high_mask;  //
    uint32_t swap;  // 1: the images 0 and 1 are exchanged; a Feistel network alone is an even permutation
    uint32_t keys[kPermutationRounds];
};

// n >= 1.
RSLCORE_HD Permutation make_permutation(uint64_t n, uint64_t seed, uint64_t offset) {
    Permutation p;
    p.last = n - 1;
    int bits = kPermutationMinBits;
    while (bits < 64 && (p.last >> bits) != 0) {
        ++bits;
    }
    p.low_bits = bits / 2;
    p.low_mask = static_cast<uint32_t>((uint64_t{1} << p.low_bits) - 1);
    p.high_mask = static_cast<uint32_t>((uint64_t{1} << (bits - p.low_bits)) - 1);
    Philox random{};
    for (int i = 0; i <= kPermutationRounds; ++i) {
        if (i % 4 == 0) {
            random = philox(seed, kPermutationStream, offset, static_cast<uint32_t>(i / 4));
        }
        if (i < kPermutationRounds) {
            p.keys[i] = random.word[i % 4];
        } else {
            p.swap = random.word[i % 4] & 1;
        }
    }
    return p;
}

// Round function: 32-bit multiply and xor-shift hash of x under a key.
RSLCORE_HD uint32_t permutation_mix(uint32_t x, uint32_t key) {
    x = (x ^ key) * 0x9E3779B1u;
    x = (x ^ (x >> 15)) * 0x85EBCA77u;
    return x ^ (x >> 16);
}

// One pass of index i through the network; the image may be beyond `last`. U is uint32_t where `last` fits
// it, which fills vector registers twice as well, else uint64_t.
template <typename U>
RSLCORE_HD U permutation_image(const Permutation& p, U i) {
    uint32_t low = static_cast<uint32_t>(i) & p.low_mask;
    uint32_t high = static_cast<uint32_t>(i >> p.low_bits);
    for (int round = 0; round < kPermutationRounds; round += 2) {
        high ^= permutation_mix(low, p.keys[round]) & p.high_mask;
        low ^= permutation_mix(high, p.keys[round + 1]) & p.low_mask;
    }
    const U image = (static_cast<U>(high) << p.low_bits) | low;
    return image ^ (static_cast<U>(image <= 1) & static_cast<U>(p.swap));
}

}  // namespace rslcore
