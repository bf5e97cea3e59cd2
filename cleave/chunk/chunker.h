// Chunks of bytes that are in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/executor.h"
#include "cleave/chunk/fastcdc.h"
#include "cleave/hash/hash.h"

namespace cleave {

struct ChunkDescriptor {
  Digest hash;
  std::uint64_t offset;
  std::uint64_t length;
  std::uint64_t gear_hash;
};

// The ends of all chunks of `data`, in order; none for no data. O(n), one pass.
std::vector<Cut> cut_all(const FastCdc& fastcdc, ByteSpan data);

// The chunks of `data` with their digests; hashing is spread over `executor`.
std::vector<ChunkDescriptor> describe_chunks(Executor& executor, const FastCdc& fastcdc,
                                             HashAlgorithm algorithm, ByteSpan data);

}  // namespace cleave
