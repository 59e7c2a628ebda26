// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/thread_choice.h"

#include "bindings/arrays.h"

namespace rslcore {

// For work that is handed out in Python, and for the tests.
void bind_thread_choice(py::module_& m) {
    py::class_<ThreadChoice>(m, "ThreadChoice",
                             "With how many threads repeated work is done: csrc/common/thread_choice.h.")
        .def(py::init<double>(), py::arg("trial_share"))
        .def("next", &ThreadChoice::next, py::arg("most"), py::arg("now"))
        .def("took", &ThreadChoice::took, py::arg("threads"), py::arg("work"), py::arg("begin"),
             py::arg("end"));
}

}  // namespace rslcore
