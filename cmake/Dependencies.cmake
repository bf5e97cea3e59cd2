# Finds what the enabled options need, and records for each third-party target how an installed Cleave finds it again.

# cleave_dependency(TARGET [PACKAGE args-for-find_dependency] [PKGCONFIG module] [LIBS flags] [HEADER_ONLY] [WHEN option])
# Only targets recorded here may stand in a component's LINKS. With WHEN, a component's LINKS may name the target although
# the option is off: it is then left out.
function(cleave_dependency target)
  cmake_parse_arguments(arg "HEADER_ONLY" "PKGCONFIG;LIBS;WHEN" "PACKAGE" ${ARGN})
  string(MAKE_C_IDENTIFIER ${target} id)
  set_property(GLOBAL PROPERTY CLEAVE_DEP_${id} ON)
  foreach(key HEADER_ONLY PACKAGE PKGCONFIG LIBS WHEN)
    set_property(GLOBAL PROPERTY CLEAVE_DEP_${id}_${key} "${arg_${key}}")
  endforeach()
endfunction()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
cleave_dependency(Threads::Threads PACKAGE Threads LIBS -pthread)

find_package(fmt REQUIRED)
cleave_dependency(fmt::fmt PACKAGE fmt PKGCONFIG fmt)

find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
cleave_dependency(OpenSSL::Crypto PACKAGE OpenSSL 3.0 COMPONENTS Crypto PKGCONFIG libcrypto)

find_package(LMDB REQUIRED)
cleave_dependency(LMDB::LMDB PACKAGE LMDB PKGCONFIG lmdb)

find_package(nlohmann_json 3.11 REQUIRED)
cleave_dependency(nlohmann_json::nlohmann_json HEADER_ONLY)

if(CLEAVE_WITH_TBB)
  find_package(TBB 2021 REQUIRED COMPONENTS tbb)
endif()
cleave_dependency(TBB::tbb WHEN CLEAVE_WITH_TBB PACKAGE TBB PKGCONFIG tbb)

if(CLEAVE_WITH_URING)
  find_package(uring REQUIRED)
endif()
cleave_dependency(uring::uring WHEN CLEAVE_WITH_URING PACKAGE uring PKGCONFIG liburing)

if(CLEAVE_WITH_ZSTD)
  find_package(ZSTD REQUIRED)
endif()
cleave_dependency(ZSTD::ZSTD WHEN CLEAVE_WITH_ZSTD PACKAGE ZSTD PKGCONFIG libzstd)

if(CLEAVE_WITH_BOOST)
  find_package(Boost 1.81 REQUIRED)
endif()
cleave_dependency(Boost::headers WHEN CLEAVE_WITH_BOOST HEADER_ONLY)

if(CLEAVE_WITH_CLI)
  find_package(CLI11 REQUIRED)
endif()
cleave_dependency(CLI11::CLI11 WHEN CLEAVE_WITH_CLI HEADER_ONLY)

# Only tests and benchmarks use it: whoever includes chunk/async_chunk_stream.h brings an Asio along.
if(CLEAVE_WITH_ASIO AND (CLEAVE_WITH_TESTS OR CLEAVE_WITH_BENCH))
  if(CLEAVE_WITH_BOOST)
    add_library(Asio::asio INTERFACE IMPORTED)
    target_link_libraries(Asio::asio INTERFACE Boost::headers)
    target_compile_definitions(Asio::asio INTERFACE CLEAVE_USE_BOOST_ASIO)
  else()
    find_package(Asio 1.22 REQUIRED)
  endif()
  # GCC 12 takes the frames of its coroutines to be allocated by the wrong operator new, depending on what it inlines.
  target_compile_options(Asio::asio INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
endif()

if(CLEAVE_WITH_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  find_package(rapidcheck REQUIRED)
endif()

if(CLEAVE_WITH_BENCH)
  find_package(benchmark REQUIRED)
endif()

# BLAKE3 is always linked as cleave_blake3, wherever it comes from.
include(Blake3)
