#include "cleave/chunk/chunk_stream.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "cleave/base/internal/fail.h"
#include "cleave/observe/metrics.h"

namespace cleave {

namespace {

SpanSite read_span("chunk.read");
SpanSite cut_span("chunk.cut");
Counter chunks_emitted("chunker.chunks_emitted_total");
Counter bytes_processed("chunker.bytes_processed_total");

// What is read at a time: little enough that it is still in the cache when it is cut.
constexpr std::size_t kReadSize = std::size_t{512} << 10;
// Chunks that straddle blocks are copied: blocks are several chunks long.
constexpr std::size_t kMinBlockSize = std::size_t{8} << 20;

}  // namespace

// Blocks that no payload uses any more.
class ChunkStream::Pool {
 public:
  explicit Pool(std::size_t block_size) : block_size_(block_size) {}
  std::size_t block_size() const { return block_size_; }

  Buffer take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return Buffer(block_size_);
    Buffer block = std::move(idle_.back());
    idle_.pop_back();
    return block;
  }

  void give_back(Buffer&& block) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(block));
  }

 private:
  std::size_t block_size_;
  std::mutex mutex_;
  std::vector<Buffer> idle_;
};

struct ChunkStream::Block final : BytesOwner {
  Block(std::shared_ptr<Pool> from, Buffer&& memory)
      : pool(std::move(from)), buffer(std::move(memory)) {}
  ~Block() override { pool->give_back(std::move(buffer)); }

  std::shared_ptr<Pool> pool;
  Buffer buffer;
};

ChunkStream::ChunkStream(ByteSource& source, const FastCdc& fastcdc)
    : source_(&source), fastcdc_(&fastcdc) {
  std::size_t block_size =
      std::max(kMinBlockSize, 2 * static_cast<std::size_t>(fastcdc.options().max_size));
  // A short input needs no more than itself, and one byte to see its end.
  if (const auto remaining = source.remaining(); remaining && *remaining < block_size) {
    block_size = static_cast<std::size_t>(*remaining) + 1;
  }
  pool_ = std::make_shared<Pool>(block_size);
}

ChunkStream::~ChunkStream() = default;
ChunkStream::ChunkStream(ChunkStream&&) noexcept = default;
ChunkStream& ChunkStream::operator=(ChunkStream&&) noexcept = default;

void ChunkStream::take_new_block() {
  // The input may turn out longer than its source said: a chunk must always fit.
  Buffer buffer = pool_->take();
  const std::size_t held = end_ - begin_;
  buffer.resize(std::max(buffer.capacity(), 2 * held));
  const MutableByteSpan memory = buffer.span();
  if (held > 0) std::memcpy(memory.data(), memory_.data() + begin_, held);
  block_ = std::make_shared<const Block>(pool_, std::move(buffer));
  memory_ = memory;
  begin_ = 0;
  end_ = held;
}

Result<> ChunkStream::fill() {
  if (end_ == memory_.size()) take_new_block();
  Span span(read_span);
  const MutableByteSpan room = memory_.subspan(end_);
  const std::size_t n = CLEAVE_TRY(source_->read(room.first(std::min(room.size(), kReadSize))));
  span.add_bytes(n);
  end_ += n;
  at_end_ = n == 0;
  return {};
}

std::optional<Cut> ChunkStream::find_cut() {
  const Span span(cut_span);
  const std::size_t scanned = begin_ + scan_.length;
  return fastcdc_->resume(scan_, memory_.subspan(scanned, end_ - scanned), at_end_);
}

Result<std::optional<Chunk>> ChunkStream::next() {
  if (failure_) return fail(*failure_);
  for (;;) {
    const ByteSpan data = memory_.subspan(begin_, end_ - begin_);
    if (at_end_ && data.empty()) return std::nullopt;
    if (const auto cut = find_cut()) {
      Chunk chunk{offset_, cut->gear_hash, Bytes(data.first(cut->length), block_)};
      begin_ += cut->length;
      offset_ += cut->length;
      scan_ = {};
      chunks_emitted.add();
      bytes_processed.add(cut->length);
      return chunk;
    }
    if (auto filled = fill(); !filled) {
      failure_ = filled.error();
      return fail(*failure_);
    }
  }
}

}  // namespace cleave
