// Errors of compression and decompression.
#pragma once

#include "cleave/base/error.h"

namespace cleave {

enum class CompressionError : std::uint16_t {
  compression_failed,
  decompression_failed,        // not what its codec writes, or cut short
  decompressed_size_mismatch,  // decodes to another size than announced
  unknown_codec,
  invalid_level,
};
ErrorInfo describe(CompressionError code);

}  // namespace cleave
