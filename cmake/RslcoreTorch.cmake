# Headers and libtorch_cpu of the torch that the building interpreter has, as target rslcore_torch.
# find_package(Torch) is avoided on purpose: beside a CUDA torch it insists on a matching CUDA toolkit and rewrites
# architecture flags, while the stable ABI needs an include folder and one library.

find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)

execute_process(
    COMMAND ${Python_EXECUTABLE} -c "import torch, os; print(); print(os.path.dirname(torch.__file__)); print(torch.__version__)"
    OUTPUT_VARIABLE RSLCORE_TORCH_ANSWER
    OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_VARIABLE RSLCORE_TORCH_ERROR
    RESULT_VARIABLE RSLCORE_TORCH_STATUS)
if(NOT RSLCORE_TORCH_STATUS EQUAL 0)
    message(FATAL_ERROR
        "rslcore builds against the torch that is installed, and ${Python_EXECUTABLE} cannot import it.\n"
        "Run:  pip install torch cmake ninja pybind11 scikit-build-core && pip install --no-build-isolation .\n"
        "${RSLCORE_TORCH_ERROR}")
endif()
string(REPLACE "\n" ";" RSLCORE_TORCH_ANSWER "${RSLCORE_TORCH_ANSWER}")
list(GET RSLCORE_TORCH_ANSWER -2 RSLCORE_TORCH_DIR)
list(GET RSLCORE_TORCH_ANSWER -1 RSLCORE_TORCH_VERSION)
if(RSLCORE_TORCH_VERSION VERSION_LESS 2.10)
    message(FATAL_ERROR "rslcore needs torch >= 2.10 (libtorch stable ABI), found ${RSLCORE_TORCH_VERSION}.")
endif()

add_library(rslcore_torch INTERFACE)
target_include_directories(rslcore_torch SYSTEM INTERFACE ${RSLCORE_TORCH_DIR}/include)
# The oldest torch that the built library runs beside: anything newer in the headers becomes a compile error.
target_compile_definitions(rslcore_torch INTERFACE TORCH_TARGET_VERSION=0x020a000000000000)
target_link_libraries(rslcore_torch INTERFACE ${RSLCORE_TORCH_DIR}/lib/libtorch_cpu.so)
