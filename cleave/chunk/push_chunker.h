// Chunks of input that is pushed in: what every stream of chunks stands on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/memory_budget.h"
#include "cleave/chunk/fastcdc.h"

namespace cleave {

struct Chunk {
  std::uint64_t offset = 0;  // in the stream
  std::uint64_t gear_hash = 0;
  Bytes payload;
};

// How the blocks that input is read into are sized.
enum class BufferStrategy : std::uint8_t {
  // Small for a small input, twice as large whenever one has filled up, smaller again where a limit
  // leaves no room.
  adaptive,
  fixed,         // all of block_size
  preallocated,  // the same, with the first one there before the input
};

struct BufferOptions {
  BufferStrategy strategy = BufferStrategy::adaptive;
  // Bytes; raised to twice the largest chunk. Chunks that straddle blocks are copied, so blocks are
  // several chunks long.
  std::size_t block_size = std::size_t{8} << 20;
  // How much input there will be, where that is known. A hint: a small input gets a block that just
  // holds it.
  std::optional<std::uint64_t> expected_size = std::nullopt;
  // Takes blocks into account where it is set; must outlive the chunker and its chunks.
  MemoryBudget* budget = nullptr;
  // The most that blocks in use and blocks kept may be together, in bytes.
  std::optional<std::size_t> limit = std::nullopt;
};

// Gives the chunks that one pass over the whole input would give, however it is sliced. Every byte
// is hashed once, none is copied but those of chunks that straddle two blocks. Payloads are views
// of blocks; a block is used again once no payload refers to it.
//
// Input comes by either way, or both in turn: read into room(), then say how much with filled(); or
// push() bytes that somebody else holds. Take all chunks with poll() before more of it.
class PushChunker {
 public:
  explicit PushChunker(const FastCdc& fastcdc, const BufferOptions& options = {});
  ~PushChunker();
  PushChunker(PushChunker&&) noexcept;
  PushChunker& operator=(PushChunker&&) noexcept;

  // Where the next input may be put: not empty, valid until the next push() or room(). What was put
  // there may be declared in parts, with calls of poll() between them. Fails where the budget has
  // no more (memory_limit_exceeded), the limit is reached or the system has no more
  // (buffer_limit_exceeded); to be tried again once payloads were dropped.
  Result<MutableByteSpan> room();
  // That many more bytes, from the start of room(), are input now.
  void filled(std::size_t size);

  void push(Bytes input);

  // No more input comes.
  void finish() { finished_ = true; }
  bool finished() const { return finished_; }

  // The next chunk, nothing while its end is not known: more input is needed, or there is none.
  // Fails as room() does; nothing is lost by that.
  Result<std::optional<Chunk>> poll();

 private:
  struct Block;
  class Pool;

  Chunk emit(Bytes payload, std::uint64_t gear_hash);
  Chunk emit_held(const Cut& cut);
  Result<std::optional<Chunk>> poll_pushed();
  std::optional<Cut> search(ByteSpan next);
  Result<> make_room(std::size_t size);
  Result<> hold(const Bytes& bytes);

  const FastCdc* fastcdc_;
  std::shared_ptr<Pool> pool_;
  // Input that is held here: [begin_, end_) of the block, from the start of the chunk at hand.
  std::shared_ptr<const Block> block_;
  MutableByteSpan memory_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  Bytes pushed_;  // what follows it
  std::uint64_t offset_ = 0;
  FastCdc::Scan scan_;
  bool finished_ = false;
};

}  // namespace cleave
