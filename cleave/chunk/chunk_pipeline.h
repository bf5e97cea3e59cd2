// Chunking, hashing and compressing at the same time: chunk n + 1 is cut while chunk n is hashed
// and chunk n - 1 compressed.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/executor.h"
#include "cleave/base/function_ref.h"
#include "cleave/base/io.h"
#include "cleave/chunk/chunker.h"
#include "cleave/chunk/push_chunker.h"
#include "cleave/hash/hash.h"
#include "cleave/observe/progress.h"

namespace cleave {

// A chunk that has passed through a pipeline.
struct ProcessedChunk {
  Chunk chunk;  // whoever reads the payload of a mapped file itself asks for its check() afterwards
  Digest hash;
  // One zstd frame; empty when the pipeline does not compress. Valid during the call only.
  ByteSpan compressed;
};

// The chunk without its payload.
inline ChunkDescriptor describe(const ProcessedChunk& item) {
  return {item.hash, item.chunk.offset, item.chunk.payload.size(), item.chunk.gear_hash};
}

struct PipelineOptions {
  ChunkingOptions chunking = {};
  HashAlgorithm algorithm = HashAlgorithm::sha256;
  std::optional<int> zstd_level = std::nullopt;  // nothing: chunks are not compressed
  // Chunks on their way at once: the source waits while there are more. In bytes, in steps of 1 MiB
  // and one chunk; at most some 64 MiB for each thread. 0: 3 MiB for each.
  std::size_t max_in_flight = 0;
  BufferOptions buffers = {};
  // Not owned, outlives the pipeline; nothing: an own one, of `threads` threads.
  Executor* executor = nullptr;
  std::size_t threads = 0;       // as for make_executor()
  Progress* progress = nullptr;  // not owned; counts bytes, and ends the run (IoError::interrupted)
};

// Runs any number of inputs, one after another.
class ChunkPipeline {
 public:
  using Sink = FunctionRef<Result<>(const ProcessedChunk&)>;

  ~ChunkPipeline();
  ChunkPipeline(ChunkPipeline&&) noexcept;
  ChunkPipeline& operator=(ChunkPipeline&&) noexcept;

  // Gives `sink` every chunk in the order of the input, one at a time, on any thread. An error of
  // the source, of the sink or of a stage ends the run, after the chunks that come before it. The
  // sink must not throw, nor wait for work on the same executor.
  Result<> run(ByteSource& source, Sink sink);
  // The same, without copying from the source's blocks (see ChunkStream). A mapped file that
  // shrinks is file_changed.
  Result<> run(BlockSource& source, Sink sink);

 private:
  friend class PipelineBuilder;
  class Implementation;
  explicit ChunkPipeline(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

// Sets a pipeline up. What is not set is as in PipelineOptions.
class PipelineBuilder {
 public:
  PipelineBuilder() = default;
  explicit PipelineBuilder(const PipelineOptions& options) : options_(options) {}

  PipelineBuilder& chunking(const ChunkingOptions& chunking);
  PipelineBuilder& hash(HashAlgorithm algorithm);
  PipelineBuilder& compress(int zstd_level);
  PipelineBuilder& max_in_flight(std::size_t bytes);
  PipelineBuilder& buffers(const BufferOptions& buffers);
  PipelineBuilder& executor(Executor& executor);
  PipelineBuilder& threads(std::size_t threads);
  PipelineBuilder& progress(Progress& progress);

  // Fails on chunking options that are not legal.
  Result<ChunkPipeline> build() const;

 private:
  PipelineOptions options_;
};

}  // namespace cleave
