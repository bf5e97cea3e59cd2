#include "cleave/chunk/chunk_poller.h"

#include <algorithm>
#include <string>

#include "cleave/base/internal/fail.h"

namespace cleave {

namespace {

Error reading_failed(std::error_code code) {
  if (code == std::errc::operation_canceled) {
    return error(IoError::interrupted, "reading was cancelled");
  }
  if (code.category() == std::system_category()) {
    return error(IoError::io_error, "read").with_os_error(code.value());
  }
  return error(IoError::io_error, "read").append_detail(code.message());
}

}  // namespace

Result<MutableByteSpan> ChunkPoller::room() {
  if (failure_) return cleave::fail(*failure_);
  const auto room = chunker_.room();
  if (!room) {
    failure_ = room.error();
    return room;
  }
  asked_ = std::min(room->size(), read_size_.bytes());
  return room->first(asked_);
}

void ChunkPoller::filled(std::size_t size) {
  read_size_.observe(asked_, size);
  waiting_ += size;
  read_ += size;
}

void ChunkPoller::finish() {
  finished_ = true;
  if (waiting_ > 0) return;  // later, when the chunker was told of all
  chunker_.finish();
  idle_ = false;
}

void ChunkPoller::fail(std::error_code code) {
  if (!failure_) failure_ = reading_failed(code).with_offset(read_);
}

Result<std::optional<Chunk>> ChunkPoller::poll() {
  if (failure_) return cleave::fail(*failure_);
  if (idle_) {
    if (waiting_ == 0) return std::nullopt;
    const std::size_t piece = std::min(waiting_, kPiece);
    chunker_.filled(piece);
    waiting_ -= piece;
    if (finished_ && waiting_ == 0) chunker_.finish();
  }
  auto chunk = chunker_.poll();
  if (chunk) {
    idle_ = !chunk->has_value();
  } else {
    failure_ = chunk.error();
  }
  return chunk;
}

}  // namespace cleave
