// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <string>
#include <vector>

#include "bindings/arrays.h"
#include "common/overlap.h"
#include "shuffle/run_cpu.h"

namespace rslcore {
namespace {

void permutation(int64_t n, int64_t seed, int64_t offset, arrays::In<int64_t> out) {
    if (n < 0 || out.size() != n) {
        throw py::value_error("permutation: `out` must be [" + std::to_string(n) + "], got " +
                              std::to_string(out.size()) + " elements");
    }
    int64_t* const data = out.mutable_data();
    const py::gil_scoped_release release;
    permutation_cpu(n, static_cast<uint64_t>(seed), static_cast<uint64_t>(offset), data, parallel_for);
}

// Rows of `array` as bytes: shape and memory layout, whatever the dtype.
int64_t row_bytes(const py::array& array, int64_t rows, const char* name) {
    if (array.ndim() == 0 || array.shape(0) != rows || (array.flags() & py::array::c_style) == 0) {
        throw py::value_error(std::string("shuffle_rows: `") + name + "` must be C-contiguous arrays of " +
                              std::to_string(rows) + " rows");
    }
    int64_t bytes = array.itemsize();
    for (py::ssize_t d = 1; d < array.ndim(); ++d) {
        bytes *= array.shape(d);
    }
    return bytes;
}

void shuffle_rows(const std::vector<py::array>& fields, arrays::In<int64_t> index,
                  std::vector<py::array> out) {
    if (fields.size() != out.size()) {
        throw py::value_error("shuffle_rows: `out` must hold " + std::to_string(fields.size()) +
                              " arrays like `fields`, got " + std::to_string(out.size()));
    }
    if (fields.empty()) {
        return;
    }
    const int64_t n = index.size();
    const int64_t rows = fields[0].ndim() > 0 ? fields[0].shape(0) : 0;
    const int64_t* const rows_wanted = index.data();
    const int64_t num_fields = static_cast<int64_t>(fields.size());
    std::vector<ShuffleField> table(fields.size());
    std::vector<MemoryRange> memory{memory_range(rows_wanted, n * 8, -1)};
    for (int64_t i = 0; i < num_fields; ++i) {
        const int64_t bytes = row_bytes(fields[i], rows, "fields");
        if (row_bytes(out[i], n, "out") != bytes) {
            throw py::value_error("shuffle_rows: `out` must have rows like `fields`");
        }
        table[i] = {
            .source = static_cast<const unsigned char*>(fields[i].data()),
            .target = static_cast<unsigned char*>(out[i].mutable_data()),
            .row_bytes = bytes,
        };
        memory.push_back(memory_range(table[i].source, rows * bytes, -1));
        memory.push_back(memory_range(table[i].target, n * bytes, i));
    }
    const int64_t shared = overlapping_target(memory);
    if (shared >= 0) {
        throw py::value_error(
            "shuffle_rows: `out` must share no memory with `fields`, `index` or itself, got out[" +
            std::to_string(shared) + "] that does");
    }
    int64_t bad = -1;
    {
        const py::gil_scoped_release release;
        bad = shuffle_rows_cpu(table.data(), num_fields, rows_wanted, n, rows, parallel_for);
    }
    if (bad >= 0 && rows == 0) {
        throw py::value_error("shuffle_rows: `fields` have no rows to take, got index[" +
                              std::to_string(bad) + "] = " + std::to_string(rows_wanted[bad]));
    }
    if (bad >= 0) {
        throw py::value_error("shuffle_rows: `index` must be in 0.." + std::to_string(rows - 1) +
                              ", got index[" + std::to_string(bad) +
                              "] = " + std::to_string(rows_wanted[bad]));
    }
}

}  // namespace

void bind_shuffle(py::module_& m) {
    m.def("permutation", &permutation, py::arg("n"), py::arg("seed"), py::arg("offset"),
          py::arg("out").noconvert());
    m.def("shuffle_rows", &shuffle_rows, py::arg("fields").noconvert(), py::arg("index").noconvert(),
          py::arg("out").noconvert());
}

}  // namespace rslcore
