// Chunks of a stream, one at a time, without holding more of it than the chunk at hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/io.h"
#include "cleave/chunk/fastcdc.h"

namespace cleave {

struct Chunk {
  std::uint64_t offset = 0;  // in the stream
  std::uint64_t gear_hash = 0;
  Bytes payload;
};

// Pulls from a source and yields the chunks that one pass over the whole input would give, however
// the source slices it. Payloads are views of large blocks; a block is used again once no payload
// refers to it. Every byte is hashed once; only a chunk that straddles two blocks is copied.
class ChunkStream {
 public:
  // `source` and `fastcdc` must outlive the stream.
  ChunkStream(ByteSource& source, const FastCdc& fastcdc);
  ~ChunkStream();
  ChunkStream(ChunkStream&&) noexcept;
  ChunkStream& operator=(ChunkStream&&) noexcept;

  // The next chunk, nothing at the end. After an error every further call gives that error.
  Result<std::optional<Chunk>> next();

 private:
  struct Block;
  class Pool;

  Result<> fill();
  std::optional<Cut> find_cut();
  void take_new_block();

  ByteSource* source_;
  const FastCdc* fastcdc_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<const Block> block_;
  MutableByteSpan memory_;  // of block_
  std::size_t begin_ = 0;   // of the chunk at hand, in memory_
  std::size_t end_ = 0;     // of what was read, in memory_
  std::uint64_t offset_ = 0;
  FastCdc::Scan scan_;
  bool at_end_ = false;
  std::optional<Error> failure_;
};

}  // namespace cleave
