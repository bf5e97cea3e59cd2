# An installed upstream libblake3. Defines BLAKE3::blake3.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(PC_BLAKE3 QUIET libblake3)
endif()
find_path(BLAKE3_INCLUDE_DIR blake3.h HINTS ${PC_BLAKE3_INCLUDE_DIRS})
find_library(BLAKE3_LIBRARY blake3 HINTS ${PC_BLAKE3_LIBRARY_DIRS})
mark_as_advanced(BLAKE3_INCLUDE_DIR BLAKE3_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BLAKE3 REQUIRED_VARS BLAKE3_LIBRARY BLAKE3_INCLUDE_DIR)
if(BLAKE3_FOUND AND NOT TARGET BLAKE3::blake3)
  add_library(BLAKE3::blake3 UNKNOWN IMPORTED)
  set_target_properties(BLAKE3::blake3 PROPERTIES IMPORTED_LOCATION ${BLAKE3_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${BLAKE3_INCLUDE_DIR})
endif()
