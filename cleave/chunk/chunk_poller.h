// Chunks of input that comes when it comes: what asynchronous streams of chunks stand on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

#include "cleave/chunk/push_chunker.h"
#include "cleave/chunk/read_size.h"

namespace cleave {

// A PushChunker that never works for long: for event loops of whatever kind. It knows none of them;
// for Asio see async_chunk_stream.h. Whoever owns it reads for it, and polls:
//
//   while (!poller.at_end()) {
//     if (poller.needs_input()) {
//       read into *poller.room(), by whatever means; then filled(n), finish() or fail(code)
//     } else {
//       auto chunk = poller.poll();  // an error, a chunk, or nothing yet
//     }
//   }
class ChunkPoller {
 public:
  // The most that one poll() cuts; larger reads are cut in parts. Takes some tens of microseconds.
  static constexpr std::size_t kPiece = std::size_t{256} << 10;

  explicit ChunkPoller(const FastCdc& fastcdc, const BufferOptions& options = {})
      : chunker_(fastcdc, options) {}

  // All that was read is cut, and there may be more to read.
  bool needs_input() const { return !failure_ && !finished_ && idle_ && waiting_ == 0; }
  // All chunks were given. False after an error.
  bool at_end() const { return !failure_ && finished_ && idle_ && waiting_ == 0; }
  bool failed() const { return failure_.has_value(); }

  // Where to read next, as much as is worth asking for now (see ReadSize); valid until filled().
  // Fails as PushChunker::room(), and so does every later call. Precondition: needs_input().
  Result<MutableByteSpan> room();
  // That many bytes, from the start of room(), were read.
  void filled(std::size_t size);
  // No more input comes.
  void finish();
  // Input could not be read: operation_canceled becomes IoError::interrupted, anything else
  // IoError::io_error. Later calls of poll() and room() fail with that. A second one changes
  // nothing.
  void fail(std::error_code code);

  // The next chunk. Nothing: see needs_input() and at_end(), or where neither holds poll again,
  // once others have had their turn.
  Result<std::optional<Chunk>> poll();

 private:
  PushChunker chunker_;
  ReadSize read_size_;
  std::size_t asked_ = 0;
  std::size_t waiting_ = 0;  // bytes that were read, and that the chunker was not told of yet
  std::uint64_t read_ = 0;
  bool idle_ = true;  // the chunker has cut all that it was told of
  bool finished_ = false;
  std::optional<Error> failure_;
};

}  // namespace cleave
