// Chunks of a stream, one at a time, without holding more of it than the chunk at hand.
#pragma once

#include <optional>

#include "cleave/base/error.h"
#include "cleave/base/io.h"
#include "cleave/chunk/push_chunker.h"

namespace cleave {

// Pulls from a source and yields the chunks that one pass over the whole input would give, however
// the source slices it. See PushChunker for what is copied and what memory it takes.
class ChunkStream {
 public:
  // `source` and `fastcdc` must outlive the stream.
  ChunkStream(ByteSource& source, const FastCdc& fastcdc, const BufferOptions& options = {});
  // From the memory that the source's blocks are in (see open_blocks()): only chunks that straddle
  // two blocks are copied, and no buffer is needed where there are none. Ask a payload of a mapped
  // file for its check() after its bytes were used.
  ChunkStream(BlockSource& source, const FastCdc& fastcdc, const BufferOptions& options = {});

  // The next chunk, nothing at the end. After an error every further call gives that error.
  Result<std::optional<Chunk>> next();

 private:
  Result<std::optional<Chunk>> pull();
  Result<> read();
  Result<> push_block();

  // One of the two.
  ByteSource* source_ = nullptr;
  BlockSource* blocks_ = nullptr;
  PushChunker chunker_;
  std::optional<Error> failure_;
};

}  // namespace cleave
