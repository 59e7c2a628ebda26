// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bindings/arrays.h"
#include "common/simd.h"

namespace rslcore {

void bind_episode_stats(py::module_& m);
void bind_gae(py::module_& m);
void bind_gaussian(py::module_& m);
void bind_normalization(py::module_& m);
void bind_shuffle(py::module_& m);
void bind_thread_choice(py::module_& m);
void bind_trajectories(py::module_& m);

}  // namespace rslcore

PYBIND11_MODULE(_numpy, m) {
    m.doc() = "Compiled operators on NumPy arrays; call them through rslcore.numpy.";
    m.def("simd_level", [] { return rslcore::simd_level_name(rslcore::simd_level()); });
    rslcore::bind_thread_choice(m);
    rslcore::bind_episode_stats(m);
    rslcore::bind_gae(m);
    rslcore::bind_gaussian(m);
    rslcore::bind_normalization(m);
    rslcore::bind_shuffle(m);
    rslcore::bind_trajectories(m);
}
