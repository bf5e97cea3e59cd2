// System calls from .cpp files: tried again when a signal interrupts them, and errors that name the
// call and the path.
#pragma once

#include <cerrno>
#include <filesystem>
#include <string_view>

#include "cleave/base/internal/fail.h"

namespace cleave {

// Calls f() until it is not interrupted by a signal.
template <class F>
auto retry(F f) {
  decltype(f()) result;
  do {
    result = f();
  } while (result < 0 && errno == EINTR);
  return result;
}

inline Error system_error(std::string_view call, const std::filesystem::path& path,
                          int number = errno) {
  return error(IoError::io_error, "{}", call)
      .with_subject("path", path.native())
      .with_os_error(number);
}

}  // namespace cleave
