// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// The seam to NumPy. rslcore/numpy.py checks and lays out the arguments; arrays arrive here C-contiguous and
// of the right dtype, and anything else is refused by pybind11 because conversion is off.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>

namespace rslcore {

namespace py = pybind11;

namespace arrays {

template <typename T>
using In = py::array_t<T, py::array::c_style>;

}  // namespace arrays
}  // namespace rslcore
