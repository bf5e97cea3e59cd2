#include "cleave/chunk/chunk_stream.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "cleave/base/internal/fail.h"
#include "cleave/base/settings.h"
#include "cleave/observe/metrics.h"

namespace cleave {

namespace {

SpanSite read_span("chunk.read");

// What is read at a time: little enough that it is still in the cache when it is cut.
constexpr std::size_t kReadSize = std::size_t{512} << 10;

BufferOptions expecting(BufferOptions options, std::optional<std::uint64_t> size) {
  if (!options.expected_size) options.expected_size = size;
  return options;
}

}  // namespace

ChunkStream::ChunkStream(ByteSource& source, const FastCdc& fastcdc, const BufferOptions& options)
    : source_(&source), chunker_(fastcdc, expecting(options, source.remaining())) {}

ChunkStream::ChunkStream(BlockSource& source, const FastCdc& fastcdc, const BufferOptions& options)
    : blocks_(&source), chunker_(fastcdc, options) {}

Result<> ChunkStream::push_block() {
  Bytes block = CLEAVE_TRY(blocks_->next());
  if (block.empty()) {
    chunker_.finish();
  } else {
    chunker_.push(std::move(block));
  }
  return {};
}

Result<> ChunkStream::read() {
  Span span(read_span);
  const MutableByteSpan room = CLEAVE_TRY(chunker_.room());
  const std::size_t n = CLEAVE_TRY(
      source_->read(room.first(std::min({room.size(), kReadSize, settings().read_slice_cap}))));
  span.add_bytes(n);
  chunker_.filled(n);
  if (n == 0) chunker_.finish();
  return {};
}

Result<std::optional<Chunk>> ChunkStream::pull() {
  for (;;) {
    auto chunk = CLEAVE_TRY(chunker_.poll());
    if (chunk || chunker_.finished()) return chunk;
    CLEAVE_TRY(blocks_ != nullptr ? push_block() : read());
  }
}

Result<std::optional<Chunk>> ChunkStream::next() {
  if (failure_) return fail(*failure_);
  auto chunk = pull();
  if (!chunk) failure_ = chunk.error();
  return chunk;
}

}  // namespace cleave
