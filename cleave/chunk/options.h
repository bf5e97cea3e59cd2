// Where chunks may end: the parameters of FastCDC.
#pragma once

#include <cstdint>

#include "cleave/base/error.h"

namespace cleave {

enum class ChunkingError : std::uint16_t {
  invalid_chunking_options,
  bounds_check_failed,
  buffer_limit_exceeded,
};
ErrorInfo describe(ChunkingError code);

// Sizes in bytes. Two inputs share chunks only when cut with the same options.
struct ChunkingOptions {
  std::uint64_t min_size = 256 * 1024;
  std::uint64_t avg_size = 1024 * 1024;
  std::uint64_t max_size = 4 * 1024 * 1024;
  // Normalisation, 0 … 3: how strongly sizes are drawn to the average.
  std::uint32_t level = 1;
  // Changes the gear table, and so every cut point; 0 is the published table.
  std::uint64_t seed = 0;

  // Legal: min in 64..=1 MiB, avg in 256..=4 MiB, max in 1024..=16 MiB, min <= avg <= max, level
  // <= 3.
  Result<> validate() const;
};

}  // namespace cleave
