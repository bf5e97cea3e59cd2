// What a store holds and what it saves.
#pragma once

#include <cstdint>

#include "cleave/base/error.h"
#include "cleave/store/store.h"

namespace cleave {

struct StoreStats {
  std::uint64_t artifacts = 0;
  std::uint64_t artifact_bytes = 0;  // of all artifacts, as they are given back
  std::uint64_t chunks = 0;          // distinct ones that artifacts refer to
  std::uint64_t chunk_bytes = 0;     // of these, before compression
  std::uint64_t stored_bytes = 0;    // of these in the packs, record headers included
  std::uint64_t unused_chunks = 0;   // that no artifact refers to
  std::uint64_t unused_bytes = 0;    // of these in the packs: what collecting garbage may free
  std::uint64_t packs = 0;
  std::uint64_t pack_bytes = 0;   // of all packs, retired ones included
  std::uint64_t index_bytes = 0;  // of the index's file
};

// Walks the whole index; O(all chunks), 40 bytes of memory for each that is referred to.
Result<StoreStats> store_stats(const Store& store);

}  // namespace cleave
