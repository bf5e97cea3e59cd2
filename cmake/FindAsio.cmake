# Standalone Asio, header-only: target Asio::asio.
find_path(Asio_INCLUDE_DIR asio.hpp)
mark_as_advanced(Asio_INCLUDE_DIR)
if(Asio_INCLUDE_DIR)
  # #define ASIO_VERSION 102201 // 1.22.1
  file(STRINGS ${Asio_INCLUDE_DIR}/asio/version.hpp version REGEX "define ASIO_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" Asio_VERSION "${version}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Asio REQUIRED_VARS Asio_INCLUDE_DIR VERSION_VAR Asio_VERSION)

if(Asio_FOUND AND NOT TARGET Asio::asio)
  find_package(Threads REQUIRED)
  add_library(Asio::asio INTERFACE IMPORTED)
  target_include_directories(Asio::asio INTERFACE ${Asio_INCLUDE_DIR})
  target_link_libraries(Asio::asio INTERFACE Threads::Threads)
  target_compile_definitions(Asio::asio INTERFACE ASIO_STANDALONE
    $<$<CXX_COMPILER_ID:Clang>:ASIO_HAS_CO_AWAIT>)  # which old versions do not see for themselves
endif()
