#include "cleave/chunk/push_chunker.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "cleave/base/internal/fail.h"
#include "cleave/observe/metrics.h"

namespace cleave {

namespace {

SpanSite cut_span("chunk.cut");
Counter chunks_emitted("chunker.chunks_emitted_total");
Counter bytes_processed("chunker.bytes_processed_total");

constexpr std::size_t kFirstBlock = std::size_t{64} << 10;

std::size_t first_size(const BufferOptions& options, std::size_t largest) {
  if (options.strategy != BufferStrategy::adaptive) return largest;
  if (!options.expected_size) return kFirstBlock;
  // One byte more than is needed: to see the end.
  return static_cast<std::size_t>(std::min<std::uint64_t>(*options.expected_size, largest - 1)) + 1;
}

}  // namespace

// Memory of blocks, used again. It lives as long as any of them.
class PushChunker::Pool {
 public:
  struct Memory {
    Reservation within_limit;  // both given back after the memory
    Reservation reservation;
    Buffer buffer;
  };

  Pool(const BufferOptions& options, std::size_t max_chunk)
      : budget_(options.budget),
        limit_(limits_of(options)),
        largest_(std::max(options.block_size, 2 * max_chunk)),
        adaptive_(options.strategy == BufferStrategy::adaptive),
        next_size_(first_size(options, largest_)) {}

  // At least `size` bytes.
  Result<Memory> take(std::size_t size) {
    {
      const std::lock_guard lock(mutex_);
      while (!idle_.empty()) {
        Memory memory = std::move(idle_.back());
        idle_.pop_back();
        // One that has become too small is dropped.
        if (memory.buffer.size() >= std::max(size, std::min(next_size_, largest_))) return memory;
      }
    }
    // Where there is no room for a large one, a smaller one will do.
    std::size_t wanted = std::max(size, next_size_);
    auto memory = allocate(wanted);
    while (!memory && adaptive_ && wanted / 2 >= std::max(size, kFirstBlock)) {
      memory = allocate(wanted /= 2);
    }
    if (memory) next_size_ = std::min(2 * wanted, std::max(largest_, wanted));
    return memory;
  }

  void give_back(Memory&& memory) noexcept {
    const std::lock_guard lock(mutex_);
    try {
      idle_.push_back(std::move(memory));
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then it is freed
    }
  }

 private:
  static MemoryLimits limits_of(const BufferOptions& options) {
    const std::size_t limit = options.limit.value_or(MemoryLimits::kUnlimited);
    return {.soft_bytes = limit, .hard_bytes = limit};
  }

  Result<Reservation> reserve_within_limit(std::size_t size) {
    if (auto reservation = limit_.reserve(size)) return reservation;
    return fail(error(ChunkingError::buffer_limit_exceeded)
                    .with_attempt(limit_.used() + size, limit_.limits().hard_bytes));
  }

  Result<Memory> allocate(std::size_t size) {
    Memory memory;
    memory.within_limit = CLEAVE_TRY(reserve_within_limit(size));
    if (budget_ != nullptr) memory.reservation = CLEAVE_TRY(budget_->reserve(size));
    try {
      memory.buffer.resize(size);
    } catch (const std::bad_alloc&) {
      return fail(error(ChunkingError::buffer_limit_exceeded, "{} bytes are not to be had", size));
    }
    return memory;
  }

  MemoryBudget* budget_;
  MemoryBudget limit_;
  std::size_t largest_;
  bool adaptive_;
  std::size_t next_size_;
  std::mutex mutex_;
  std::vector<Memory> idle_;
};

struct PushChunker::Block final : BytesOwner {
  Block(std::shared_ptr<Pool> from, Pool::Memory&& taken)
      : pool(std::move(from)), memory(std::move(taken)) {}
  ~Block() override { pool->give_back(std::move(memory)); }

  std::shared_ptr<Pool> pool;
  Pool::Memory memory;
};

PushChunker::PushChunker(const FastCdc& fastcdc, const BufferOptions& options)
    : fastcdc_(&fastcdc),
      pool_(std::make_shared<Pool>(options, static_cast<std::size_t>(fastcdc.options().max_size))) {
  // Where it fails, room() will say so.
  if (options.strategy == BufferStrategy::preallocated) static_cast<void>(make_room(1));
}

PushChunker::~PushChunker() = default;
PushChunker::PushChunker(PushChunker&&) noexcept = default;
PushChunker& PushChunker::operator=(PushChunker&&) noexcept = default;

Result<> PushChunker::make_room(std::size_t size) {
  if (memory_.size() - end_ >= size) return {};
  const std::size_t held = end_ - begin_;
  // Room for as much again, so that what is held is not moved for every few bytes.
  Pool::Memory memory = CLEAVE_TRY(pool_->take(2 * held + size));
  const MutableByteSpan bytes = memory.buffer.span();
  if (held > 0) std::memcpy(bytes.data(), memory_.data() + begin_, held);
  block_ = std::make_shared<const Block>(pool_, std::move(memory));
  memory_ = bytes;
  begin_ = 0;
  end_ = held;
  return {};
}

Result<MutableByteSpan> PushChunker::room() {
  CLEAVE_TRY(make_room(1));
  return memory_.subspan(end_);
}

void PushChunker::filled(std::size_t size) { end_ += size; }

void PushChunker::push(Bytes input) { pushed_ = std::move(input); }

Result<> PushChunker::hold(const Bytes& bytes) {
  if (bytes.empty()) return {};
  CLEAVE_TRY(make_room(bytes.size()));
  std::memcpy(memory_.data() + end_, bytes.data(), bytes.size());
  CLEAVE_TRY(bytes.check());  // of the copy nobody could tell any more
  end_ += bytes.size();
  return {};
}

std::optional<Cut> PushChunker::search(ByteSpan next) {
  const Span span(cut_span);
  return fastcdc_->resume(scan_, next, finished_);
}

Chunk PushChunker::emit(Bytes payload, std::uint64_t gear_hash) {
  Chunk chunk{offset_, gear_hash, std::move(payload)};
  offset_ += chunk.payload.size();
  scan_ = {};
  chunks_emitted.add();
  bytes_processed.add(chunk.payload.size());
  return chunk;
}

Chunk PushChunker::emit_held(const Cut& cut) {
  const ByteSpan payload = memory_.subspan(begin_, cut.length);
  begin_ += cut.length;
  return emit(Bytes(payload, block_), cut.gear_hash);
}

Result<std::optional<Chunk>> PushChunker::poll() {
  if (!pushed_.empty()) return poll_pushed();
  const std::size_t scanned = begin_ + scan_.length;
  if (finished_ && begin_ == end_) return std::nullopt;
  const auto cut = search(memory_.subspan(scanned, end_ - scanned));
  return cut ? std::optional(emit_held(*cut)) : std::nullopt;
}

Result<std::optional<Chunk>> PushChunker::poll_pushed() {
  const std::size_t held = end_ - begin_;
  if (scan_.length < held) {
    const auto unseen = memory_.subspan(begin_ + scan_.length, held - scan_.length);
    if (const auto cut = fastcdc_->resume(scan_, unseen, false)) return emit_held(*cut);
  }
  // A chunk that straddles is put together in the block; where there is no room, nothing happens.
  const FastCdc::Scan before = scan_;
  const auto cut = search(pushed_);
  if (cut && cut->length <= held) return emit_held(*cut);
  const std::size_t taken = cut ? cut->length - held : pushed_.size();
  if (cut && held == 0) {
    Chunk chunk = emit(pushed_.slice(0, taken), cut->gear_hash);
    pushed_ = pushed_.slice(taken, pushed_.size() - taken);
    return chunk;
  }
  if (auto kept = hold(pushed_.slice(0, taken)); !kept) {
    scan_ = before;
    return fail(kept.error());
  }
  pushed_ = taken == pushed_.size() ? Bytes() : pushed_.slice(taken, pushed_.size() - taken);
  return cut ? std::optional(emit_held(*cut)) : std::nullopt;
}

}  // namespace cleave
