// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "common/parallel.h"
#include "common/scratch.h"
#include "rnn/launch.h"

namespace rslcore {

// Asks the system for large pages of fresh memory: paging in the small ones of what a layer saves takes as
// long as a tenth of its arithmetic.
inline void use_large_pages(float* data, int64_t n) {
#if defined(__linux__)
    constexpr uintptr_t kPage = uintptr_t{1} << 21;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kPage - 1) / kPage * kPage;
    const uintptr_t end = reinterpret_cast<uintptr_t>(data + n) / kPage * kPage;
    if (begin < end) {
        madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // a wish: failing is no error
    }
#endif
    static_cast<void>(data);
    static_cast<void>(n);
}

// Floats from the start of a cache line on: a register that crosses a line is loaded twice.
class RnnRoom {
  public:
    explicit RnnRoom(int64_t n)
        : data_(static_cast<float*>(::operator new(sizeof(float) * static_cast<size_t>(n), kLine))) {
        use_large_pages(data_.get(), n);
    }
    float* get() const { return data_.get(); }

  private:
    static constexpr std::align_val_t kLine{64};
    struct Free {
        void operator()(float* data) const { ::operator delete(data, kLine); }
    };
    std::unique_ptr<float, Free> data_;
};

// The layer on the CPU; `args.packed` is set here. `parallel(units, grain, body)` hands ranges of [0, units)
// to threads.
template <typename Parallel>
void rnn_cpu(RnnArgs args, const RnnWeights<const float>& weights, const Parallel& parallel) {
    const RnnShape& shape = args.shape;
    int64_t packed_size = 0;
    int64_t scratch_size = 0;
    int64_t unused = 0;
    RSLCORE_SIMD_CALL(rnn_packed_sizes, shape, &packed_size, &unused);
    RSLCORE_SIMD_CALL(rnn_scratch_sizes, shape, &scratch_size, &unused);
    const RnnRoom packed(packed_size);
    {
        const RnnRoom matrix(shape.gradient_size());
        RSLCORE_SIMD_CALL(rnn_pack, shape, weights, matrix.get(), packed.get());
    }
    args.packed = packed.get();
    parallel(shape.chunks(), 1, [&](int64_t begin, int64_t end) {
        float* scratch = args.saved == nullptr ? thread_scratch(scratch_size) : nullptr;
        RSLCORE_SIMD_CALL(rnn_chunks, args, scratch, begin, end);
    });
}

// Its gradient; `args.packed` and `args.sums` are set here.
template <typename Parallel>
void rnn_gradient_cpu(RnnGradientArgs args, const RnnWeights<const float>& weights,
                      const RnnWeights<float>& gradients, const Parallel& parallel) {
    const RnnShape& shape = args.shape;
    int64_t packed_size = 0;
    int64_t scratch_size = 0;
    int64_t unused = 0;
    RSLCORE_SIMD_CALL(rnn_packed_sizes, shape, &unused, &packed_size);
    RSLCORE_SIMD_CALL(rnn_scratch_sizes, shape, &unused, &scratch_size);
    const RnnRoom packed(packed_size);
    const RnnRoom sums(std::max<int64_t>(shape.chunks(), 1) * shape.gradient_size());
    RSLCORE_SIMD_CALL(rnn_pack_backward, shape, weights, args.grad_x != nullptr, sums.get(), packed.get());
    args.packed = packed.get();
    args.sums = sums.get();
    parallel(shape.chunks(), 1, [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(rnn_gradient_chunks, args, thread_scratch(scratch_size), begin, end);
    });
    if (shape.chunks() == 0) {
        std::fill_n(sums.get(), shape.gradient_size(), 0.0f);
    }
    parallel(shape.gate_width(), grain_units(shape.chunks() * shape.row_width()),
             [&](int64_t begin, int64_t end) {
                 RSLCORE_SIMD_CALL(rnn_sum_gradients, shape, sums.get(), gradients, begin, end);
             });
}

}  // namespace rslcore
