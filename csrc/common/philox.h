// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/macros.h"

namespace rslcore {

struct Philox {
    uint32_t word[4];
};

// Philox 4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"): four random 32-bit
// words from a counter and a 64-bit key. The counter is (counter, stream, offset low, offset high), the key
// is the seed; each use of random numbers has its own stream.
RSLCORE_HD Philox philox(uint64_t seed, uint32_t stream, uint64_t offset, uint32_t counter) {
    uint32_t x0 = counter;
    uint32_t x1 = stream;
    uint32_t x2 = static_cast<uint32_t>(offset);
    uint32_t x3 = static_cast<uint32_t>(offset >> 32);
    uint32_t key0 = static_cast<uint32_t>(seed);
    uint32_t key1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t product0 = uint64_t{0xD2511F53} * x0;
        const uint64_t product1 = uint64_t{0xCD9E8D57} * x2;
        x0 = static_cast<uint32_t>(product1 >> 32) ^ x1 ^ key0;
        x1 = static_cast<uint32_t>(product1);
        x2 = static_cast<uint32_t>(product0 >> 32) ^ x3 ^ key1;
        x3 = static_cast<uint32_t>(product0);
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    return {{x0, x1, x2, x3}};
}

}  // namespace rslcore
