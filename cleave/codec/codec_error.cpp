#include "cleave/codec/codec_error.h"

#include <utility>

namespace cleave {

ErrorInfo describe(CompressionError code) {
  constexpr std::string_view kDomain = "compression";
  constexpr auto kMalformed = ErrorClass::malformed;
  switch (code) {
    case CompressionError::compression_failed:
      return {kDomain, "compression_failed", ErrorClass::io};
    case CompressionError::decompression_failed:
      return {kDomain, "decompression_failed", kMalformed};
    case CompressionError::decompressed_size_mismatch:
      return {kDomain, "decompressed_size_mismatch", kMalformed};
    case CompressionError::unknown_codec: return {kDomain, "unknown_codec", kMalformed};
    case CompressionError::invalid_level: return {kDomain, "invalid_level", ErrorClass::usage};
  }
  std::unreachable();
}

}  // namespace cleave
