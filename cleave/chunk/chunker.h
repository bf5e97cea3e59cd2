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

// The same, by all threads of `executor` where there is enough data. A few chunks are cut
// twice; where the data never let chunks end (zeros), all of them, and it takes longer than alone.
std::vector<Cut> cut_all(Executor& executor, const FastCdc& fastcdc, ByteSpan data);

// The chunks of `data` with their digests, cut and hashed on `executor`; on the calling thread
// alone where there is less than CLEAVE_PARALLEL_THRESHOLD.
std::vector<ChunkDescriptor> describe_chunks(Executor& executor, const FastCdc& fastcdc,
                                             HashAlgorithm algorithm, ByteSpan data);

}  // namespace cleave
