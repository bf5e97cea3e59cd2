// How .cpp files make errors. Not a public header: it would bring fmt with it.
#pragma once

#include <expected>
#include <utility>

#include <fmt/format.h>

#include "cleave/base/error.h"

namespace cleave {

// return fail(NarError::unsorted, "entry \"{}\"", name);
// return fail(error(IoError::io_error, "open").with_os_error(errno));
template <ErrorCode Code>
Error error(Code code) {
  return Error(code);
}

template <ErrorCode Code, class... Args>
Error error(Code code, fmt::format_string<Args...> format, Args&&... args) {
  char text[Error::kMaxText];
  const auto end = fmt::format_to_n(text, sizeof text, format, std::forward<Args>(args)...).out;
  Error made(code);
  made.append_detail({text, static_cast<std::size_t>(end - text)});
  return made;
}

inline std::unexpected<Error> fail(Error made) { return std::unexpected(std::move(made)); }

template <ErrorCode Code, class... Args>
std::unexpected<Error> fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(error(code, format, std::forward<Args>(args)...));
}

template <ErrorCode Code>
std::unexpected<Error> fail(Code code) {
  return std::unexpected(Error(code));
}

}  // namespace cleave
