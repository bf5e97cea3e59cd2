#include "cleave/chunk/options.h"

#include <string_view>
#include <utility>

#include "cleave/base/internal/fail.h"

namespace cleave {

namespace {

Result<> check_range(std::string_view name, std::uint64_t value, std::uint64_t min,
                     std::uint64_t max) {
  if (value >= min && value <= max) return {};
  return fail(ChunkingError::invalid_chunking_options, "{} must be in {}..={}, got {}", name, min,
              max, value);
}

}  // namespace

ErrorInfo describe(ChunkingError code) {
  switch (code) {
    case ChunkingError::invalid_chunking_options:
      return {"chunking", "invalid_chunking_options", ErrorClass::usage};
    case ChunkingError::bounds_check_failed:
      return {"chunking", "bounds_check_failed", ErrorClass::malformed};
    case ChunkingError::buffer_limit_exceeded:
      return {"chunking", "buffer_limit_exceeded", ErrorClass::io};
  }
  std::unreachable();
}

Result<> ChunkingOptions::validate() const {
  CLEAVE_TRY(check_range("min_size", min_size, 64, 1048576));
  CLEAVE_TRY(check_range("avg_size", avg_size, 256, 4194304));
  CLEAVE_TRY(check_range("max_size", max_size, 1024, 16777216));
  CLEAVE_TRY(check_range("level", level, 0, 3));
  if (min_size > avg_size) {
    return fail(ChunkingError::invalid_chunking_options, "min_size must be <= avg_size");
  }
  if (avg_size > max_size) {
    return fail(ChunkingError::invalid_chunking_options, "avg_size must be <= max_size");
  }
  return {};
}

}  // namespace cleave
