# The project's own helpers: how C is compiled here, and what a library, a server and a test are.
#
#   bt_library(name SOURCES a.c ... LINK x ...)      static library; includes are from the top: "core/base.h"
#   bt_program(name [INTERNAL] SOURCES main.c LINK x ...)  executable: <build>/bin/name, installed to bin; INTERNAL, bench/ and tests/: not, the build alone runs them
#   bt_embed(name symbol file)                    a text file built into library name as: extern const char symbol[]
#   bt_test(name LABEL unit SOURCES t.c LINK x ...)  one ctest entry of cmocka tests; the label is the folder under tests/

include(GNUInstallDirs)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
set(BERTH_SANITIZE "" CACHE STRING "address,undefined or thread; empty for none")

# Hidden symbols: a global function of ours named like one of libc (accept) must not take its place in the libraries that we load.
add_library(berth_flags INTERFACE)
target_include_directories(berth_flags INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
target_compile_definitions(berth_flags INTERFACE _GNU_SOURCE)
target_compile_options(berth_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wswitch -Werror=implicit-function-declaration
    -fvisibility=hidden -fno-strict-aliasing -fstack-protector-strong -g)
if(BERTH_WERROR)
    target_compile_options(berth_flags INTERFACE -Werror)
endif()
if(BERTH_SANITIZE)
    target_compile_options(berth_flags INTERFACE -fsanitize=${BERTH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(berth_flags INTERFACE -fsanitize=${BERTH_SANITIZE})
endif()
if(BERTH_FUZZ) # what the fuzzer steers by must be in all of our code, not in the target alone (tests/fuzz)
    target_compile_options(berth_flags INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(berth_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_package(PkgConfig REQUIRED)

# What git says of this tree is looked up at every build; the header changes only when that does, and only its includers follow.
add_custom_target(berth_version BYPRODUCTS "${CMAKE_BINARY_DIR}/generated/berth_version.h"
    COMMAND "${CMAKE_COMMAND}" -DVERSION=${PROJECT_VERSION} -DSOURCE=${CMAKE_SOURCE_DIR}
        -DHEADER=${CMAKE_BINARY_DIR}/generated/berth_version.h -P "${CMAKE_SOURCE_DIR}/cmake/version.cmake"
    COMMENT "" VERBATIM)
add_dependencies(berth_flags berth_version)

# `cmake --build build/release --target programs` builds what runs and leaves the tests out.
add_custom_target(programs)

function(bt_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC berth_flags ${ARG_LINK})
endfunction()

function(bt_program name)
    cmake_parse_arguments(ARG "INTERNAL" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE berth_flags ${ARG_LINK})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
    add_dependencies(programs ${name})
    if(NOT ARG_INTERNAL AND NOT CMAKE_CURRENT_SOURCE_DIR MATCHES "^${CMAKE_SOURCE_DIR}/(bench|tests)(/|$)")
        install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
endfunction()

# Zero-terminated. Made again when the file changes.
function(bt_embed name symbol file)
    cmake_path(ABSOLUTE_PATH file)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    set(text "extern const char ${symbol}[];\nconst char ${symbol}[] = {\n${bytes}0};\n")
    file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c" CONTENT "${text}" @ONLY)
    target_sources(${name} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c")
endfunction()

function(bt_test name)
    cmake_parse_arguments(ARG "" "LABEL" "SOURCES;LINK;ARGS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE berth_flags ${ARG_LINK} cmocka)
    target_compile_options(${name} PRIVATE -Wno-unused-parameter -Wno-missing-prototypes)
    add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
    set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 300
        ENVIRONMENT "ASAN_OPTIONS=detect_leaks=1:abort_on_error=1;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()
