// Chunks with their digests, one at a time, hashed by many threads while they wait to be taken.
#pragma once

#include <memory>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/io.h"
#include "cleave/chunk/chunk_pipeline.h"

namespace cleave {

struct HashedChunk {
  Digest hash;
  Chunk chunk;
};

// Runs a ChunkPipeline behind the caller's back; with one thread, does the work in next(). Of the
// options, zstd_level is not used, and of an executor only how many threads it has: threads that
// wait for the caller are the stream's own. Chunks come in groups of about 1 MiB.
class HashedStream {
 public:
  // `source` is read by other threads, and must outlive the stream.
  static Result<HashedStream> create(ByteSource& source, const PipelineOptions& options);
  static Result<HashedStream> create(BlockSource& source, const PipelineOptions& options);
  // Ends the work in progress; waits for the source to have given what makes a group.
  ~HashedStream();
  HashedStream(HashedStream&&) noexcept;
  HashedStream& operator=(HashedStream&&) noexcept;

  // The next chunk of the input, in order; nothing at the end. After an error every further call
  // gives that error; chunks before it come first.
  Result<std::optional<HashedChunk>> next();

 private:
  class Implementation;
  explicit HashedStream(std::unique_ptr<Implementation> implementation);
  template <class Source>
  static Result<HashedStream> make(Source& source, const PipelineOptions& options);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace cleave
