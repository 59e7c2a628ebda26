// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <vector>

#include "common/abi.h"
#include "common/overlap.h"
#include "shuffle/launch.h"
#include "shuffle/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

void permutation(int64_t n, int64_t seed, int64_t offset, const Tensor& out,
                 const std::optional<Tensor>& counter) {
    constexpr const char* kOp = "permutation";
    RSLCORE_CHECK(n >= 0, kOp, ": `n` must be >= 0, got ", n);
    int64_t* const data = abi::output<int64_t>(out, kOp, "out", n, out);
    RSLCORE_CHECK(!counter.has_value() || counter->dim() == 0, kOp, ": `offset` must be [], got dimensions");
    const int64_t* const counted = abi::input<int64_t>(counter, kOp, "offset", 1, out);
    std::vector<MemoryRange> memory{memory_range(data, n * 8, 0),
                                    memory_range(counted, counted == nullptr ? 0 : 8, -1)};
    RSLCORE_CHECK(overlapping_target(memory) < 0, kOp,
                  ": `out` must share no memory with `offset`, got one that does");
    const uint64_t key = static_cast<uint64_t>(seed);
    const uint64_t number = static_cast<uint64_t>(offset);
#if defined(RSLCORE_CUDA_LIBRARY)
    const abi::DeviceScope device(out);
    abi::check_cuda(permutation_cuda(n, key, number, counted, data, device.stream()), kOp);
#else
    const uint64_t count = counted == nullptr ? 0 : static_cast<uint64_t>(*counted);
    permutation_cpu(n, key, number + count, data, abi::parallel);
#endif
}

void shuffle_rows(const std::vector<Tensor>& fields, const Tensor& index, const std::vector<Tensor>& out) {
    constexpr const char* kOp = "shuffle_rows";
    RSLCORE_CHECK(index.dim() == 1, kOp, ": `index` must be [n], got ", index.dim(), " dimensions");
    RSLCORE_CHECK(fields.size() == out.size(), kOp, ": `out` must hold ", fields.size(),
                  " tensors like `fields`, got ", out.size());
    if (fields.empty()) {
        return;
    }
    const int64_t n = index.numel();
    const int64_t* const rows_wanted = abi::input<int64_t>(index, kOp, "index", n, index);
    const int64_t num_fields = static_cast<int64_t>(fields.size());
    std::vector<ShuffleField> table(fields.size());
    std::vector<MemoryRange> memory{memory_range(rows_wanted, n * 8, -1)};
    int64_t rows = 0;
    for (int64_t i = 0; i < num_fields; ++i) {
        const Tensor& field = fields[i];
        RSLCORE_CHECK(field.dim() > 0 && (i == 0 || field.size(0) == rows), kOp,
                      ": `fields` must be [B, ...] with one B");
        rows = field.size(0);
        int64_t row_numel = 1;
        for (int64_t d = 1; d < field.dim(); ++d) {
            row_numel *= field.size(d);
        }
        abi::check_buffer(field, kOp, "fields", field.scalar_type(), field.numel(), index);
        abi::check_buffer(out[i], kOp, "out", field.scalar_type(), n * row_numel, index);
        table[i] = {
            .source = static_cast<const unsigned char*>(field.const_data_ptr()),
            .target = static_cast<unsigned char*>(out[i].mutable_data_ptr()),
            .row_bytes = row_numel * static_cast<int64_t>(field.element_size()),
        };
        memory.push_back(memory_range(table[i].source, rows * table[i].row_bytes, -1));
        memory.push_back(memory_range(table[i].target, n * table[i].row_bytes, i));
    }
    const int64_t shared = overlapping_target(memory);
    RSLCORE_CHECK(shared < 0, kOp, ": `out` must share no memory with `fields`, `index` or itself, got out[",
                  shared, "] that does");
#if defined(RSLCORE_CUDA_LIBRARY)
    const abi::DeviceScope device(index);
    abi::check_cuda(shuffle_rows_cuda(table.data(), num_fields, rows_wanted, n, rows, device.stream()), kOp);
#else
    const int64_t bad = shuffle_rows_cpu(table.data(), num_fields, rows_wanted, n, rows, abi::parallel);
    RSLCORE_CHECK(bad < 0 || rows > 0, kOp, ": `fields` have no rows to take, got index[", bad,
                  "] = ", rows_wanted[bad]);
    RSLCORE_CHECK(bad < 0, kOp, ": `index` must be in 0..", rows - 1, ", got index[", bad,
                  "] = ", rows_wanted[bad]);
#endif
}

RSLCORE_SCHEMAS(m) {
    m.def("permutation(SymInt n, SymInt seed, SymInt offset, Tensor(a!) out, Tensor? counter=None) -> ()");
    m.def("shuffle_rows(Tensor[] fields, Tensor index, Tensor(a!)[] out) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("permutation", TORCH_BOX(&permutation));
    m.impl("shuffle_rows", TORCH_BOX(&shuffle_rows));
}

}  // namespace
}  // namespace rslcore
