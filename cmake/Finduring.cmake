# liburing has no CMake package of its own. Defines uring::uring.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(PC_URING QUIET liburing)
endif()
find_path(URING_INCLUDE_DIR liburing.h HINTS ${PC_URING_INCLUDE_DIRS})
find_library(URING_LIBRARY uring HINTS ${PC_URING_LIBRARY_DIRS})
mark_as_advanced(URING_INCLUDE_DIR URING_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(uring REQUIRED_VARS URING_LIBRARY URING_INCLUDE_DIR)
if(uring_FOUND AND NOT TARGET uring::uring)
  add_library(uring::uring UNKNOWN IMPORTED)
  set_target_properties(uring::uring PROPERTIES IMPORTED_LOCATION ${URING_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${URING_INCLUDE_DIR})
endif()
