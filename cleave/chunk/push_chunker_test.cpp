#include "cleave/chunk/push_chunker.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/base/internal/fail.h"
#include "cleave/chunk/chunker.h"
#include "tests/support/allocations.h"
#include "tests/support/bytes.h"
#include "tests/support/chunking.h"
#include "tests/support/chunks.h"
#include "tests/support/result.h"

namespace cleave {
namespace {

using test::are_chunks_of;
using test::fails_with;
using test::make_fastcdc;
using test::mixed_bytes;
using test::ok;

const ChunkingOptions kSmall = {.min_size = 64, .avg_size = 256, .max_size = 1024};

void take_all(PushChunker& chunker, std::vector<Chunk>& chunks) {
  while (auto chunk = chunker.poll().value()) chunks.push_back(*std::move(chunk));
}

void read_into(PushChunker& chunker, ByteSpan bytes) {
  const MutableByteSpan room = chunker.room().value();
  ASSERT_GE(room.size(), bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  chunker.filled(bytes.size());
}

// Read and pushed in turn, in slices of all sizes.
RC_GTEST_PROP(PushChunker, GivesTheChunksOfOnePass, (std::uint64_t seed)) {
  const FastCdc fastcdc = make_fastcdc(test::any_options());
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 100'000));
  const auto strategy = *rc::gen::element(BufferStrategy::adaptive, BufferStrategy::fixed,
                                          BufferStrategy::preallocated);
  PushChunker chunker(fastcdc, {.strategy = strategy, .block_size = 20'000});
  const auto most = *rc::gen::element<std::size_t>(1, 2, 65, 1000, 30'000);
  std::mt19937_64 random(seed);
  std::vector<Chunk> chunks;
  for (ByteSpan rest = data; !rest.empty();) {
    const std::size_t slice = std::min<std::size_t>(1 + random() % most, rest.size());
    if (random() % 2 == 0) {
      const std::size_t room = chunker.room().value().size();
      read_into(chunker, rest.first(std::min(room, slice)));
      rest = rest.subspan(std::min(room, slice));
    } else {
      chunker.push(Bytes::copy_of(rest.first(slice)));
      rest = rest.subspan(slice);
    }
    if (rest.empty() && random() % 2 == 0) chunker.finish();
    take_all(chunker, chunks);
  }
  chunker.finish();
  take_all(chunker, chunks);
  RC_ASSERT(are_chunks_of(chunks, fastcdc, data));
}

TEST(PushChunker, PushedBytesAreNotCopied) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(1, 100'000);
  PushChunker chunker(fastcdc);
  chunker.push(Bytes::borrowed(data));
  chunker.finish();
  std::vector<Chunk> chunks;
  take_all(chunker, chunks);
  ASSERT_TRUE(are_chunks_of(chunks, fastcdc, data));
  for (const Chunk& chunk : chunks) EXPECT_EQ(chunk.payload.data(), data.data() + chunk.offset);
}

TEST(PushChunker, PayloadsOutliveIt) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(2, 10'000);
  std::vector<Chunk> chunks;
  {
    PushChunker chunker(fastcdc);
    read_into(chunker, data);
    chunker.finish();
    take_all(chunker, chunks);
  }
  EXPECT_TRUE(are_chunks_of(chunks, fastcdc, data));
}

TEST(PushChunker, IsSmallBeforeThereIsInput) {
  const std::size_t before = test::allocated_bytes();
  const FastCdc fastcdc = make_fastcdc({});
  const PushChunker chunker(fastcdc);
  EXPECT_LT(test::allocated_bytes() - before + sizeof chunker + sizeof fastcdc, 128U << 10);
}

TEST(PushChunker, AllocatesNothingForAChunkOnceWarm) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(3, 60'000);
  PushChunker chunker(fastcdc, {.strategy = BufferStrategy::fixed, .block_size = 100'000});
  std::size_t warm = 0;
  std::size_t chunks = 0;
  for (int round = 0; round < 50; ++round) {
    if (round == 10) warm = test::allocations();
    read_into(chunker, ByteSpan(data).first(std::min(data.size(), chunker.room()->size())));
    while (chunker.poll().value()) ++chunks;
  }
  EXPECT_GT(chunks, 1000U);
  // One owner a block, none a chunk.
  EXPECT_LT(test::allocations() - warm, 100U);
}

TEST(PushChunker, KeepsToItsBudget) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  MemoryBudget budget({.soft_bytes = 50'000, .hard_bytes = 50'000});
  const auto data = mixed_bytes(4, 200'000);
  std::vector<Chunk> chunks;
  {
    PushChunker chunker(
        fastcdc, {.strategy = BufferStrategy::fixed, .block_size = 20'000, .budget = &budget});
    std::size_t refused = 0;
    std::size_t done = 0;
    while (done < data.size()) {
      const auto room = chunker.room();
      if (!room) {
        EXPECT_TRUE(fails_with(room, MemoryError::memory_limit_exceeded));
        ++refused;
        for (Chunk& chunk : chunks) chunk.payload = Bytes::copy_of(chunk.payload);
        continue;
      }
      const ByteSpan slice =
          ByteSpan(data).subspan(done).first(std::min(room->size(), data.size() - done));
      read_into(chunker, slice);
      done += slice.size();
      take_all(chunker, chunks);
    }
    chunker.finish();
    take_all(chunker, chunks);
    EXPECT_GT(refused, 1U);
    EXPECT_LE(budget.peak(), 50'000U);
  }
  EXPECT_TRUE(are_chunks_of(chunks, fastcdc, data));
  chunks.clear();
  EXPECT_EQ(budget.used(), 0U);
}

TEST(PushChunker, KeepsToItsLimit) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(6, 100'000);
  PushChunker chunker(fastcdc,
                      {.strategy = BufferStrategy::fixed, .block_size = 20'000, .limit = 50'000});
  std::vector<Chunk> chunks;
  Result<MutableByteSpan> room;
  for (ByteSpan rest = data; (room = chunker.room());) {
    const std::size_t size = std::min(room->size(), rest.size());
    read_into(chunker, rest.first(size));
    rest = rest.subspan(size);
    take_all(chunker, chunks);
  }
  EXPECT_TRUE(fails_with(room, ChunkingError::buffer_limit_exceeded));
  EXPECT_EQ(test::message_of(room),
            "buffer_limit_exceeded: attempted 60000 bytes, limit 50000 bytes");
  chunks.clear();
  EXPECT_TRUE(ok(chunker.room()));
}

TEST(PushChunker, TakesWhatWasReadInParts) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(7, 50'000);
  PushChunker chunker(fastcdc, {.strategy = BufferStrategy::fixed, .block_size = 60'000});
  const MutableByteSpan room = chunker.room().value();
  std::memcpy(room.data(), data.data(), data.size());
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < data.size(); i += 1000) {
    chunker.filled(1000);
    take_all(chunker, chunks);
  }
  chunker.finish();
  take_all(chunker, chunks);
  EXPECT_TRUE(are_chunks_of(chunks, fastcdc, data));
}

TEST(PushChunker, WhatDoesNotFitStaysPushed) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  MemoryBudget budget({.soft_bytes = 50'000, .hard_bytes = 50'000});
  const auto data = mixed_bytes(5, 40'000);
  PushChunker chunker(fastcdc,
                      {.strategy = BufferStrategy::fixed, .block_size = 20'000, .budget = &budget});
  std::optional<Reservation> taken = budget.reserve(40'000).value();
  std::vector<Chunk> chunks;
  bool refused = false;
  for (std::size_t at = 0; at < data.size(); at += 500) {
    chunker.push(Bytes::borrowed(ByteSpan(data).subspan(at, 500)));
    for (;;) {
      auto chunk = chunker.poll();
      if (!chunk) {
        EXPECT_TRUE(fails_with(chunk, MemoryError::memory_limit_exceeded));
        refused = true;
        taken.reset();
      } else if (*chunk) {
        chunks.push_back(**std::move(chunk));
      } else {
        break;
      }
    }
  }
  chunker.finish();
  take_all(chunker, chunks);
  EXPECT_TRUE(refused);
  EXPECT_TRUE(are_chunks_of(chunks, fastcdc, data));
}

TEST(PushChunker, MakesDoWithSmallerBlocksWhereTheLimitIsLow) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(6, 3'000'000);
  PushChunker chunker(fastcdc, {.limit = 400'000});
  std::uint64_t size = 0;
  for (ByteSpan rest = data; !rest.empty();) {
    const auto room = chunker.room();
    ASSERT_TRUE(ok(room));
    const ByteSpan slice = rest.first(std::min(room->size(), rest.size()));
    read_into(chunker, slice);
    rest = rest.subspan(slice.size());
    if (rest.empty()) chunker.finish();
    while (const auto chunk = chunker.poll().value()) size += chunk->payload.size();
  }
  EXPECT_EQ(size, data.size());
}

// Says that its bytes are no longer what they were.
TEST(PushChunker, DoesNotCopyWhatHasChanged) {
  struct Changed final : BytesOwner {
    Result<> check() const override { return fail(IoError::file_changed); }
  };
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(7, 50);
  PushChunker chunker(fastcdc);
  chunker.push(Bytes(data, std::make_shared<const Changed>()));
  EXPECT_TRUE(fails_with(chunker.poll(), IoError::file_changed));
}

}  // namespace
}  // namespace cleave
