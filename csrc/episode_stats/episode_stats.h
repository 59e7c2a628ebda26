// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/macros.h"

namespace rslcore {

// Rows of `running` and columns of `finished`, as rsl_rl 5.5.1 sums them per episode.
enum EpisodeRow : int64_t {
    kEpisodeLength = 0,
    kEpisodeReturn = 1,           // intrinsic rewards included
    kEpisodeExtrinsicReturn = 2,  // with intrinsic rewards only
    kEpisodeIntrinsicReturn = 3,
};

RSLCORE_HD int64_t episode_rows(bool intrinsic) {
    return intrinsic ? 4 : 2;
}

// Row of the ring that the episode with this number (0 for the first one ever) is kept in. Always a row: on a
// GPU nobody has looked whether the count is negative.
RSLCORE_HD int64_t episode_slot(int64_t number, int64_t window) {
    return static_cast<int64_t>(static_cast<uint64_t>(number) % static_cast<uint64_t>(window));
}

// Whether the `rank`-th of `ended` episodes that end on one step is among the last `window` of them. Earlier
// ones are not written: each row of the ring is written by one episode only.
RSLCORE_HD bool episode_kept(int64_t rank, int64_t ended, int64_t window) {
    return rank >= ended - window;
}

}  // namespace rslcore
