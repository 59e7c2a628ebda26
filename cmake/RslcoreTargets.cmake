# The functions that make every library, each taking the names of the operator folders under csrc/.

set(RSLCORE_CSRC ${CMAKE_CURRENT_SOURCE_DIR}/csrc)

function(rslcore_configure target)
    target_include_directories(${target} PRIVATE ${RSLCORE_CSRC})
    # Messages name source files by their path in the project, wherever it was built.
    target_compile_options(${target} PRIVATE
        "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=>")
    if(RSLCORE_WERROR)
        target_compile_options(${target} PRIVATE
            $<$<COMPILE_LANGUAGE:CXX>:-Werror>
            "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings -Xcompiler=-Wall,-Wextra,-Werror>")
    endif()
endfunction()

# The files csrc/<op>/<name> of the operators that have one: not every operator has a form for arrays or for CUDA.
function(rslcore_sources variable name)
    set(sources)
    foreach(op IN LISTS ARGN)
        if(EXISTS ${RSLCORE_CSRC}/${op}/${name})
            list(APPEND sources ${RSLCORE_CSRC}/${op}/${name})
        endif()
    endforeach()
    set(${variable} ${sources} PARENT_SCOPE)
endfunction()

# <op>/cpu.cpp once per SIMD level, and what runs at every level (common/, <op>/*.cpp named below) once.
function(rslcore_add_cpu_kernels target)
    set(levels baseline)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        list(APPEND levels avx2 avx512)
        set(flags_baseline -march=x86-64-v2)
        set(flags_avx2 -march=x86-64-v3)
        set(flags_avx512 -march=x86-64-v4 -mprefer-vector-width=512)
    endif()
    set(RSLCORE_SIMD_LEVELS ${levels} PARENT_SCOPE)

    rslcore_sources(kernels cpu.cpp ${ARGN})
    set(objects)
    foreach(level IN LISTS levels)
        add_library(${target}_${level} OBJECT ${kernels})
        rslcore_configure(${target}_${level})
        target_compile_definitions(${target}_${level} PRIVATE RSLCORE_SIMD=${level})
        # No errno and no traps: sqrt and selects stay vector instructions. Results keep IEEE semantics otherwise.
        target_compile_options(${target}_${level} PRIVATE -O3 -fno-math-errno -fno-trapping-math ${flags_${level}})
        list(APPEND objects $<TARGET_OBJECTS:${target}_${level}>)
    endforeach()

    rslcore_sources(merges merge.cpp ${ARGN})
    add_library(${target} STATIC
        ${RSLCORE_CSRC}/common/simd.cpp ${RSLCORE_CSRC}/common/parallel.cpp ${RSLCORE_CSRC}/common/thread_choice.cpp
        ${merges} ${objects})
    rslcore_configure(${target})
endfunction()

function(rslcore_install_library target)
    set_target_properties(${target} PROPERTIES BUILD_RPATH "" INSTALL_RPATH "" SKIP_BUILD_RPATH ON)
    install(TARGETS ${target} LIBRARY DESTINATION rslcore/lib COMPONENT rslcore)
endfunction()

function(rslcore_add_torch_library target)
    rslcore_sources(sources torch.cpp ${ARGN})
    add_library(${target} SHARED ${sources})
    rslcore_configure(${target})
    target_link_libraries(${target} PRIVATE rslcore_torch)
    rslcore_install_library(${target})
endfunction()

function(rslcore_add_cuda_library target)
    rslcore_sources(kernels cuda.cu ${ARGN})
    list(TRANSFORM kernels REPLACE "cuda.cu$" "torch.cpp" OUTPUT_VARIABLE sources)
    add_library(${target} SHARED ${sources} ${kernels} ${RSLCORE_CSRC}/common/cuda_status.cu)
    rslcore_configure(${target})
    # USE_CUDA shows the CUDA part of torch's C shim.
    target_compile_definitions(${target} PRIVATE RSLCORE_CUDA_LIBRARY $<$<COMPILE_LANGUAGE:CXX>:USE_CUDA>)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--threads=2>)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
        # A quarter of the size; the driver unpacks a kernel when it is first used.
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--compress-mode=size>)
    endif()

    # The current CUDA stream is a function of libtorch_cuda, which a CPU build of torch does not have to link against.
    # An empty library of that name records the dependency; beside a CUDA torch the real one is already loaded.
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/torch_cuda_stub.cpp
        "extern \"C\" __attribute__((visibility(\"default\"))) int aoti_torch_get_current_cuda_stream(int, void**);\n"
        "int aoti_torch_get_current_cuda_stream(int, void**) { return 1; }\n")
    add_library(rslcore_torch_cuda_stub SHARED ${CMAKE_CURRENT_BINARY_DIR}/torch_cuda_stub.cpp)
    set_target_properties(rslcore_torch_cuda_stub PROPERTIES
        OUTPUT_NAME torch_cuda LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/stub)
    target_link_libraries(${target} PRIVATE rslcore_torch rslcore_torch_cuda_stub)
    rslcore_install_library(${target})
endfunction()

function(rslcore_add_numpy_module target)
    find_package(pybind11 CONFIG REQUIRED)
    rslcore_sources(sources numpy.cpp ${ARGN})
    pybind11_add_module(${target}
        ${RSLCORE_CSRC}/bindings/numpy_module.cpp ${RSLCORE_CSRC}/bindings/thread_choice.cpp ${sources})
    rslcore_configure(${target})
    install(TARGETS ${target} LIBRARY DESTINATION rslcore COMPONENT rslcore)
endfunction()
