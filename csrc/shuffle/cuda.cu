// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/cuda.h"
#include "shuffle/launch.h"
#include "shuffle/permutation.h"

namespace rslcore {
namespace {

constexpr int kBlock = 256;           // threads per block
constexpr int kUnitsPerThread = 4;    // copies in flight per thread
constexpr int kFieldsPerLaunch = 32;  // of shuffle_rows; more fields take more launches

// One thread per index.
template <typename U>
__device__ void write_images(const Permutation& p, int64_t* out) {
    const uint64_t stride = static_cast<uint64_t>(gridDim.x) * kBlock;
    for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * kBlock + threadIdx.x; i <= p.last; i += stride) {
        U image = permutation_image<U>(p, static_cast<U>(i));
        while (image > p.last) {
            image = permutation_image<U>(p, image);
        }
        out[i] = static_cast<int64_t>(image);
    }
}

template <typename U>
__global__ void permutation_images(Permutation p, int64_t* out) {
    write_images<U>(p, out);
}

// The number of the permutation is read on the device, so that a captured graph draws another one every time.
template <typename U>
__global__ void counted_permutation_images(uint64_t n, uint64_t seed, uint64_t offset, const int64_t* counter,
                                           int64_t* out) {
    __shared__ Permutation p;
    if (threadIdx.x == 0) {
        p = make_permutation(n, seed, offset + static_cast<uint64_t>(*counter));
    }
    __syncthreads();
    write_images<U>(p, out);
}

struct alignas(16) Unit16 {
    uint64_t word[2];
};

// A field cut into units of the widest load and store that its row size and addresses allow.
struct UnitField {
    const unsigned char* source;  // [B, units * unit_bytes]
    unsigned char* target;        // [n, units * unit_bytes]
    int64_t units;                // per row
    int64_t last_block;           // one past the last of the blocks that copy this field
    int unit_bytes;               // 16, 8, 4, 2 or 1
};

struct UnitFields {
    UnitField field[kFieldsPerLaunch];
};

// The field's block `block`: kBlock * kUnitsPerThread consecutive units of the target, neighbouring threads
// at neighbouring units.
template <typename Unit>
__device__ void copy_units(const UnitField& field, const int64_t* index, int64_t n, int64_t rows,
                           int64_t block) {
    constexpr int64_t kUnits = kBlock * kUnitsPerThread;
    const Unit* const source = reinterpret_cast<const Unit*>(field.source);
    Unit* const target = reinterpret_cast<Unit*>(field.target);
    const int64_t first = block * kUnits;
    const int64_t first_row = first / field.units;
    const int64_t first_column = first - first_row * field.units;
    for (int k = 0; k < kUnitsPerThread; ++k) {
        // Unit and row relative to the start of the block's first row; 64-bit division is slow, and a wide
        // row needs none.
        const int64_t unit = first_column + k * kBlock + threadIdx.x;
        const int64_t row = field.units >= kUnits
                                ? (unit >= field.units ? 1 : 0)
                                : static_cast<uint32_t>(unit) / static_cast<uint32_t>(field.units);
        const int64_t i = first_row + row;
        if (i >= n) {
            return;
        }
        const int64_t wanted = index[i];
        if (wanted >= 0 && wanted < rows) {
            target[first + k * kBlock + threadIdx.x] =
                source[wanted * field.units + (unit - row * field.units)];
        }
    }
}

// Blocks are dealt to the fields in order, each as many as its bytes need.
__global__ void shuffle_units(UnitFields fields, int64_t num_blocks, const int64_t* index, int64_t n,
                              int64_t rows) {
    for (int64_t block = blockIdx.x; block < num_blocks; block += gridDim.x) {
        int f = 0;
        while (block >= fields.field[f].last_block) {
            ++f;
        }
        const UnitField& field = fields.field[f];
        const int64_t own = f == 0 ? block : block - fields.field[f - 1].last_block;
        switch (field.unit_bytes) {
            case 16:
                copy_units<Unit16>(field, index, n, rows, own);
                break;
            case 8:
                copy_units<uint64_t>(field, index, n, rows, own);
                break;
            case 4:
                copy_units<uint32_t>(field, index, n, rows, own);
                break;
            case 2:
                copy_units<uint16_t>(field, index, n, rows, own);
                break;
            default:
                copy_units<uint8_t>(field, index, n, rows, own);
        }
    }
}

int unit_bytes(const ShuffleField& field) {
    const uint64_t bits = reinterpret_cast<uintptr_t>(field.source) |
                          reinterpret_cast<uintptr_t>(field.target) | static_cast<uint64_t>(field.row_bytes);
    int bytes = 16;
    while (bits % bytes != 0) {
        bytes /= 2;
    }
    return bytes;
}

}  // namespace

int permutation_cuda(int64_t n, uint64_t seed, uint64_t offset, const int64_t* counter, int64_t* out,
                     void* stream_handle) {
    if (n == 0) {
        return cudaSuccess;
    }
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_handle);
    const uint64_t length = static_cast<uint64_t>(n);
    const bool narrow = length - 1 <= 0xffffffffu;
    const auto blocks = grid_size(n, kBlock);
    if (counter == nullptr) {
        const Permutation p = make_permutation(length, seed, offset);
        if (narrow) {
            RSLCORE_LAUNCH(permutation_images<uint32_t>, blocks, kBlock, stream)(p, out);
        } else {
            RSLCORE_LAUNCH(permutation_images<uint64_t>, blocks, kBlock, stream)(p, out);
        }
    } else if (narrow) {
        RSLCORE_LAUNCH(counted_permutation_images<uint32_t>, blocks, kBlock, stream)
        (length, seed, offset, counter, out);
    } else {
        RSLCORE_LAUNCH(counted_permutation_images<uint64_t>, blocks, kBlock, stream)
        (length, seed, offset, counter, out);
    }
    return cudaGetLastError();
}

int shuffle_rows_cuda(const ShuffleField* fields, int64_t num_fields, const int64_t* index, int64_t n,
                      int64_t rows, void* stream_handle) {
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_handle);
    UnitFields table{};
    int used = 0;
    int64_t blocks = 0;
    for (int64_t i = 0; i < num_fields; ++i) {
        const int64_t bytes = n * fields[i].row_bytes;
        if (bytes > 0) {
            const int unit = unit_bytes(fields[i]);
            constexpr int64_t kUnits = kBlock * kUnitsPerThread;
            blocks += (bytes / unit + kUnits - 1) / kUnits;
            table.field[used++] = {
                fields[i].source, fields[i].target, fields[i].row_bytes / unit, blocks, unit,
            };
        }
        if (used == kFieldsPerLaunch || (i + 1 == num_fields && used > 0)) {
            RSLCORE_LAUNCH(shuffle_units, grid_size(blocks, 1), kBlock, stream)(table, blocks, index, n,
                                                                                rows);
            used = 0;
            blocks = 0;
        }
    }
    return cudaGetLastError();
}

}  // namespace rslcore
