# Writes rslcore/_build.json: what rslcore.build_info() tells about the build.

function(rslcore_write_build_info)
    set(RSLCORE_GIT_REVISION "unknown")
    find_package(Git QUIET)
    if(Git_FOUND AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/.git)
        execute_process(
            COMMAND ${GIT_EXECUTABLE} describe --always --dirty --abbrev=12
            WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
            OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
        if(revision)
            set(RSLCORE_GIT_REVISION ${revision})
        endif()
        # Configure again after a commit, so that the revision told is the one built.
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/.git/logs/HEAD)
    endif()

    string(REPLACE ";" "\", \"" simd_levels "${RSLCORE_SIMD_LEVELS}")
    set(architectures)
    set(nvcc "")
    if(RSLCORE_WITH_CUDA)
        string(REPLACE ";" "\", \"" architectures "${CMAKE_CUDA_ARCHITECTURES}")
        set(architectures "\"${architectures}\"")
        set(nvcc "${CMAKE_CUDA_COMPILER_VERSION}")
    endif()
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/_build.json @ONLY CONTENT [[{
  "git_revision": "@RSLCORE_GIT_REVISION@",
  "compiler": "@CMAKE_CXX_COMPILER_ID@ @CMAKE_CXX_COMPILER_VERSION@",
  "torch_at_build": "@RSLCORE_TORCH_VERSION@",
  "simd_compiled": ["@simd_levels@"],
  "cuda_compiler": "@nvcc@",
  "cuda_architectures": [@architectures@]
}
]])
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/_build.json DESTINATION rslcore COMPONENT rslcore)
endfunction()
