// Chunks of a stream, compared with those of one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cleave/chunk/chunker.h"
#include "cleave/chunk/push_chunker.h"
#include "tests/support/bytes.h"

namespace cleave::test {

inline bool are_chunks_of(std::span<const Chunk> chunks, const FastCdc& fastcdc, ByteSpan data) {
  std::uint64_t offset = 0;
  std::size_t i = 0;
  for (const Cut& cut : cut_all(fastcdc, data)) {
    if (i == chunks.size() || chunks[i].offset != offset || chunks[i].gear_hash != cut.gear_hash ||
        !equal(chunks[i].payload, data.subspan(offset, cut.length))) {
      return false;
    }
    offset += cut.length;
    ++i;
  }
  return i == chunks.size();
}

}  // namespace cleave::test
