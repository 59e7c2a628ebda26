// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// The seam to NumPy. rslcore/numpy.py checks and lays out the arguments. Array arguments are bound with
// py::arg(...).noconvert(): what is not C-contiguous or of another dtype is refused by pybind11 instead of
// being copied. The bound functions check the sizes, so that no call reads or writes out of bounds.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <string>

namespace rslcore {

namespace py = pybind11;

namespace arrays {

template <typename T>
using In = py::array_t<T, py::array::c_style>;

inline void check_dims(const py::array& x, const char* op, const char* name, int64_t dims) {
    if (x.ndim() != dims) {
        throw py::value_error(std::string(op) + ": `" + name + "` must have " + std::to_string(dims) +
                              " dimensions, got " + std::to_string(x.ndim()));
    }
}

inline void check_size(const py::array& x, const char* op, const char* name, int64_t size) {
    if (x.size() != size) {
        throw py::value_error(std::string(op) + ": `" + name + "` must have " + std::to_string(size) +
                              " elements, got " + std::to_string(x.size()));
    }
}

}  // namespace arrays
}  // namespace rslcore
