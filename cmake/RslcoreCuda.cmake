# Decides RSLCORE_WITH_CUDA and enables the language. No GPU is needed to compile.

# Real code for the cards that robot learning runs on (A100, RTX 30/40/50, L40, H100/H200, B200), PTX of the newest for
# what comes after.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90-real 100-real 120)
endif()

set(RSLCORE_WITH_CUDA OFF)
if(NOT RSLCORE_CUDA STREQUAL "OFF")
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
        enable_language(CUDA)
        set(CMAKE_CUDA_STANDARD 20)
        set(CMAKE_CUDA_STANDARD_REQUIRED ON)
        set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
        set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
        set(RSLCORE_WITH_CUDA ON)
    elseif(RSLCORE_CUDA STREQUAL "ON")
        message(FATAL_ERROR "RSLCORE_CUDA=ON, but no nvcc was found. Put it on PATH, set CUDACXX, or use RSLCORE_CUDA=OFF.")
    endif()
endif()
