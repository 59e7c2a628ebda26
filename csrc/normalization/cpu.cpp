// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/macros.h"
#include "normalization/launch.h"
#include "normalization/normalization.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

constexpr int64_t kWidth = kNormalizationWidth;

// Instead of templates of the standard library: an out-of-line copy of one would be compiled for one SIMD
// level and linked into all.
template <typename T>
void copy(const T* __restrict from, int64_t n, T* __restrict to) {
    for (int64_t i = 0; i < n; ++i) {
        to[i] = from[i];
    }
}

// Where a unit lies: `rows` full rows of `width` elements, and one of `tail` (the rows that were too few to
// fill a fold).
struct Span {
    int64_t chunk;
    int64_t column;  // first column
    int64_t offset;  // of the first element
    int64_t stride;  // between rows
    int64_t width;
    int64_t rows;
    int64_t tail;
};

Span unit_span(const NormalizationCut& cut, int64_t rows, int64_t columns, int64_t unit) {
    const int64_t chunk = unit / cut.tiles;
    const int64_t column = unit % cut.tiles * cut.tile;
    const int64_t first = chunk * cut.chunk;
    const int64_t height = smaller(cut.chunk, rows - first);
    return {
        .chunk = chunk,
        .column = column,
        .offset = first * columns + column,
        .stride = cut.fold * columns,
        .width = cut.tiles > 1 ? smaller(cut.tile, columns - column) : cut.fold * columns,
        .rows = height / cut.fold,
        .tail = height % cut.fold * columns,
    };
}

// Repeats the first `columns` of `width` elements over the rest, doubling what is filled.
template <typename T>
void repeat(T* values, int64_t columns, int64_t width) {
    for (int64_t filled = columns; filled < width; filled *= 2) {
        copy(values, smaller(filled, width - filled), values + filled);
    }
}

// Adds `parts` runs of `columns` elements into the first one, in a tree whose shape depends on `parts` alone.
void fold_sums(double* sums, int64_t columns, int64_t parts) {
    while (parts > 1) {
        const int64_t kept = (parts + 1) / 2;
        double* const upper = sums + kept * columns;
#pragma GCC ivdep
        for (int64_t i = 0; i < (parts - kept) * columns; ++i) {
            sums[i] += upper[i];
        }
        parts = kept;
    }
}

template <int kRows, typename T>
void add_rows(const T* __restrict x, int64_t stride, int64_t width, const T* __restrict shift,
              double* __restrict sums, double* __restrict squares) {
#pragma GCC ivdep
    for (int64_t c = 0; c < width; ++c) {
        double sum = 0.0;
        double square = 0.0;
#pragma GCC unroll 8
        for (int k = 0; k < kRows; ++k) {
            add_sample(static_cast<double>(x[k * stride + c]), static_cast<double>(shift[c]), sum, square);
        }
        sums[c] += sum;
        squares[c] += square;
    }
}

// No __restrict: out may be x.
template <typename T>
void normalize_row(const T* x, const T* __restrict mean, const T* __restrict scale, int64_t width, T* out) {
#pragma GCC ivdep
    for (int64_t c = 0; c < width; ++c) {
        out[c] = normalized(x[c], mean[c], scale[c]);
    }
}

}  // namespace

template <typename T>
void moments_sums(const MomentsArgs<T>& args, const NormalizationCut& cut, double* partials, int64_t begin,
                  int64_t end) {
    constexpr int64_t kGroup = kNormalizationGroup;
    for (int64_t unit = begin; unit < end; ++unit) {
        const Span span = unit_span(cut, args.rows, args.columns, unit);
        const int64_t columns = span.width / cut.fold;
        T shift[kWidth];
        double sums[kWidth] = {};
        double squares[kWidth] = {};
        copy(args.x + span.column, columns, shift);
        repeat(shift, columns, span.width);

        const T* x = args.x + span.offset;
        int64_t row = 0;
        for (; row + kGroup <= span.rows; row += kGroup, x += kGroup * span.stride) {
            add_rows<kGroup>(x, span.stride, span.width, shift, sums, squares);
        }
        for (; row < span.rows; ++row, x += span.stride) {
            add_rows<1>(x, span.stride, span.width, shift, sums, squares);
        }
        add_rows<1>(x, span.stride, span.tail, shift, sums, squares);

        fold_sums(sums, columns, cut.fold);
        fold_sums(squares, columns, cut.fold);
        double* const partial = partials + 2 * span.chunk * args.columns + span.column;
        copy(sums, columns, partial);
        copy(squares, columns, partial + args.columns);
    }
}

template <typename T>
void moments_merge(const MomentsArgs<T>& args, const NormalizationCut& cut, const double* partials,
                   int64_t begin, int64_t end) {
    const double n = static_cast<double>(args.rows);
    const double count = static_cast<double>(*args.count);
    for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t column = tile * cut.tile;
        const int64_t width = smaller(cut.tile, args.columns - column);
        double sums[kWidth] = {};
        double squares[kWidth] = {};
        for (int64_t chunk = 0; chunk < cut.chunks; ++chunk) {
            const double* partial = partials + 2 * chunk * args.columns + column;
            for (int64_t c = 0; c < width; ++c) {
                sums[c] += partial[c];
                squares[c] += partial[args.columns + c];
            }
        }
        const T* shift = args.x + column;
        T* mean = args.mean + column;
        T* var = args.var + column;
#pragma GCC ivdep
        for (int64_t c = 0; c < width; ++c) {
            merge_moments(n, static_cast<double>(shift[c]), sums[c], squares[c], count, mean[c], var[c]);
        }
    }
}

template <typename T>
void normalize_units(const NormalizeArgs<T>& args, const NormalizationCut& cut, int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
        const Span span = unit_span(cut, args.rows, args.columns, unit);
        const int64_t columns = span.width / cut.fold;
        T mean[kWidth];
        T scale[kWidth];
        copy(args.mean + span.column, columns, mean);
        for (int64_t c = 0; c < columns; ++c) {
            scale[c] = normalizer_scale(args.var[span.column + c], args.eps);
        }
        repeat(mean, columns, span.width);
        repeat(scale, columns, span.width);

        const T* x = args.x + span.offset;
        T* out = args.out + span.offset;
        for (int64_t row = 0; row < span.rows; ++row, x += span.stride, out += span.stride) {
            normalize_row(x, mean, scale, span.width, out);
        }
        normalize_row(x, mean, scale, span.tail, out);
    }
}

template <typename T>
void discounted_return(const T* rewards, T* running, T gamma, int64_t begin, int64_t end) {
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) {
        running[i] = discounted(running[i], rewards[i], gamma);
    }
}

template void moments_sums<float>(const MomentsArgs<float>&, const NormalizationCut&, double*, int64_t,
                                  int64_t);
template void moments_sums<double>(const MomentsArgs<double>&, const NormalizationCut&, double*, int64_t,
                                   int64_t);
template void moments_merge<float>(const MomentsArgs<float>&, const NormalizationCut&, const double*, int64_t,
                                   int64_t);
template void moments_merge<double>(const MomentsArgs<double>&, const NormalizationCut&, const double*,
                                    int64_t, int64_t);
template void normalize_units<float>(const NormalizeArgs<float>&, const NormalizationCut&, int64_t, int64_t);
template void normalize_units<double>(const NormalizeArgs<double>&, const NormalizationCut&, int64_t,
                                      int64_t);
template void discounted_return<float>(const float*, float*, float, int64_t, int64_t);
template void discounted_return<double>(const double*, double*, double, int64_t, int64_t);

}  // namespace rslcore::RSLCORE_SIMD
