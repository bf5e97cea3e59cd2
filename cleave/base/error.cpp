#include "cleave/base/error.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "cleave/base/text.h"

namespace cleave {

namespace {
// Long enough for most paths; what tells two paths apart is usually their end.
constexpr std::size_t kMaxSubject = 160;
}  // namespace

void Error::append(std::string_view text) {
  std::size_t n = std::min(text.size(), kMaxText - size_);
  // Not in the middle of a UTF-8 sequence.
  if (n < text.size()) {
    while (n > 0 && (static_cast<std::uint8_t>(text[n]) & 0xc0) == 0x80) --n;
  }
  std::memcpy(text_ + size_, text.data(), n);
  size_ = static_cast<std::uint16_t>(size_ + n);
}

void Error::separate() {
  append(has_fields_ ? ", " : ": ");
  has_fields_ = true;
}

Error& Error::append_detail(std::string_view text) {
  separate();
  append(text);
  return *this;
}

Error& Error::with_offset(std::uint64_t offset) {
  offset_ = offset;
  char buffer[40];
  return append_detail({buffer, fmt::format_to_n(buffer, sizeof buffer, "offset {}", offset).size});
}

Error& Error::with_limit(std::uint64_t limit) {
  limit_ = limit;
  char buffer[40];
  return append_detail({buffer, fmt::format_to_n(buffer, sizeof buffer, "limit {}", limit).size});
}

Error& Error::with_attempt(std::uint64_t attempted_bytes, std::uint64_t limit_bytes) {
  limit_ = limit_bytes;
  char buffer[80];
  const auto written = fmt::format_to_n(buffer, sizeof buffer, "attempted {} bytes, limit {} bytes",
                                        attempted_bytes, limit_bytes);
  return append_detail({buffer, written.size});
}

Error& Error::with_os_error(int os_error) {
  os_error_ = os_error;
  char buffer[128];
  // The GNU form: it may return a static string instead of filling the buffer.
  return append_detail(strerror_r(os_error, buffer, sizeof buffer));
}

Error& Error::with_subject(std::string_view key, std::string_view subject) {
  separate();
  append(key);
  append(" \"");
  char buffer[kMaxSubject];
  append(escape_tail(subject, buffer));
  append("\"");
  return *this;
}

ErrorInfo describe(IoError code) {
  switch (code) {
    case IoError::io_error: return {"io", "io_error", ErrorClass::io};
    case IoError::file_changed: return {"io", "file_changed", ErrorClass::io};
    case IoError::unsupported_file_type:
      return {"io", "unsupported_file_type", ErrorClass::malformed};
    case IoError::output_exists: return {"io", "output_exists", ErrorClass::io};
    case IoError::unexpected_end: return {"io", "unexpected_end", ErrorClass::malformed};
    case IoError::interrupted: return {"io", "interrupted", ErrorClass::io};
    case IoError::out_of_memory: return {"io", "out_of_memory", ErrorClass::io};
  }
  std::unreachable();
}

}  // namespace cleave
