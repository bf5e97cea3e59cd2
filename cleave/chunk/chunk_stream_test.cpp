#include "cleave/chunk/chunk_stream.h"

#include <random>
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
using test::equal;
using test::fails_with;
using test::make_fastcdc;
using test::message_of;
using test::mixed_bytes;
using test::ok;
using test::SlicingSource;

const ChunkingOptions kSmall = {.min_size = 64, .avg_size = 256, .max_size = 1024};

template <class Source>
std::vector<Chunk> all_chunks(Source& source, const FastCdc& fastcdc) {
  std::vector<Chunk> chunks;
  ChunkStream stream(source, fastcdc);
  for (;;) {
    auto chunk = stream.next().value();
    if (!chunk) return chunks;
    chunks.push_back(*std::move(chunk));
  }
}

// Zeros without end, or so; with an error in the end where asked for.
class Zeros final : public ByteSource {
 public:
  explicit Zeros(std::uint64_t size, std::optional<IoError> failure = std::nullopt)
      : rest_(size), failure_(failure) {}
  Result<std::size_t> read(MutableByteSpan into) override {
    ++calls;
    if (rest_ == 0 && failure_) return fail(*failure_, "call {}", calls);
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), rest_));
    std::ranges::fill(into.first(n), std::byte{0});
    rest_ -= n;
    return n;
  }
  int calls = 0;

 private:
  std::uint64_t rest_;
  std::optional<IoError> failure_;
};

TEST(ChunkStream, OfNothingHasNoChunks) {
  MemorySource source({});
  const FastCdc fastcdc = make_fastcdc(kSmall);
  ChunkStream stream(source, fastcdc);
  for (int i = 0; i < 3; ++i) {
    const auto chunk = stream.next();
    ASSERT_TRUE(ok(chunk));
    EXPECT_FALSE(chunk->has_value());
  }
}

RC_GTEST_PROP(ChunkStream, GivesTheChunksOfOnePassHoweverItIsSliced, (std::uint64_t seed)) {
  const FastCdc fastcdc = make_fastcdc(test::any_options());
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 200'000));
  std::mt19937_64 random(seed);
  const auto most = *rc::gen::element<std::size_t>(1, 2, 63, 64, 65, 1000, 5000, 100'000);
  const auto claimed = *rc::gen::element<std::optional<std::uint64_t>>(
      std::nullopt, 0, 1, 1000, data.size() - std::min<std::size_t>(data.size(), 1), data.size(),
      data.size() + 1, std::uint64_t{1} << 40, ~std::uint64_t{0});
  SlicingSource source(data, [&] { return 1 + random() % most; }, claimed);
  RC_ASSERT(are_chunks_of(all_chunks(source, fastcdc), fastcdc, data));
}

// Blocks of sizes drawn at random, each in memory of its own.
class Blocks final : public BlockSource {
 public:
  Blocks(ByteSpan data, std::uint64_t seed, std::size_t most)
      : rest_(data), random_(seed), most_(most) {}
  Result<Bytes> next() override {
    const ByteSpan block = rest_.first(std::min<std::size_t>(1 + random_() % most_, rest_.size()));
    rest_ = rest_.subspan(block.size());
    return Bytes::copy_of(block);
  }

 private:
  ByteSpan rest_;
  std::mt19937_64 random_;
  std::size_t most_;
};

RC_GTEST_PROP(ChunkStream, GivesTheChunksOfOnePassFromBlocks, (std::uint64_t seed)) {
  const FastCdc fastcdc = make_fastcdc(test::any_options());
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 200'000));
  Blocks source(data, seed, *rc::gen::element<std::size_t>(1, 100, 5000, 100'000));
  RC_ASSERT(are_chunks_of(all_chunks(source, fastcdc), fastcdc, data));
}

TEST(ChunkStream, OfAChunkOfExactlyTheMaximumEndsThere) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const std::vector<std::byte> zeros(3 * 1024);
  SlicingSource source(zeros, [] { return 100; });
  const auto chunks = all_chunks(source, fastcdc);
  EXPECT_EQ(chunks.size(), 3U);
  EXPECT_TRUE(are_chunks_of(chunks, fastcdc, zeros));
}

TEST(ChunkStream, TakesChunksLargerThanItsUsualBlocks) {
  const FastCdc fastcdc =
      make_fastcdc({.min_size = 1 << 20, .avg_size = 4 << 20, .max_size = 16 << 20});
  const std::vector<std::byte> zeros((40 << 20) + 1);
  SlicingSource source(zeros, [] { return 3'000'000; });
  EXPECT_TRUE(are_chunks_of(all_chunks(source, fastcdc), fastcdc, zeros));
}

TEST(ChunkStream, PayloadsOutliveTheStream) {
  const FastCdc fastcdc = make_fastcdc({});
  const auto data = mixed_bytes(1, 30 << 20);
  Bytes third;
  {
    MemorySource source(data);
    third = all_chunks(source, fastcdc).at(2).payload;
  }
  const auto cuts = cut_all(fastcdc, data);
  EXPECT_TRUE(
      equal(third, ByteSpan(data).subspan(cuts[0].length + cuts[1].length, cuts[2].length)));
  EXPECT_TRUE(ok(third.check()));
}

TEST(ChunkStream, GoesOnAfterItWasMoved) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(2, 5000);
  MemorySource source(data);
  std::vector<Chunk> chunks;
  const auto take_from = [&](ChunkStream& stream) {
    auto chunk = stream.next().value();
    if (chunk) chunks.push_back(*chunk);
    return chunk.has_value();
  };
  ChunkStream first(source, fastcdc);
  EXPECT_TRUE(take_from(first));
  ChunkStream second = std::move(first);
  EXPECT_TRUE(take_from(second));
  first = std::move(second);
  while (take_from(first)) {
  }
  EXPECT_TRUE(are_chunks_of(chunks, fastcdc, data));
}

TEST(ChunkStream, UsesItsBlocksAgain) {
  const FastCdc fastcdc = make_fastcdc({});
  Zeros source(200 << 20);
  const std::size_t before = test::allocated_bytes();
  ChunkStream stream(source, fastcdc);
  std::vector<Bytes> window(4);  // as many payloads are in use at a time, 16 MiB
  std::uint64_t sum = 0;
  for (std::size_t i = 0;; ++i) {
    auto chunk = stream.next().value();
    if (!chunk) break;
    sum += chunk->payload.size();
    window[i % window.size()] = std::move(chunk->payload);
  }
  EXPECT_EQ(sum, std::uint64_t{200} << 20);
  EXPECT_LT(test::allocated_bytes() - before, std::size_t{50} << 20);
}

TEST(ChunkStream, NeedsNoMoreForAShortInputThanTheInput) {
  const FastCdc fastcdc = make_fastcdc({});
  const auto data = mixed_bytes(3, 1000);
  MemorySource source(data);
  const std::size_t before = test::allocated_bytes();
  const auto chunks = all_chunks(source, fastcdc);
  EXPECT_LT(test::allocated_bytes() - before, 3000U);
  EXPECT_TRUE(are_chunks_of(chunks, fastcdc, data));
}

TEST(ChunkStream, StaysFailedWithTheSameError) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  Zeros source(5000, IoError::io_error);
  ChunkStream stream(source, fastcdc);
  std::size_t chunks = 0;
  Result<std::optional<Chunk>> chunk;
  while ((chunk = stream.next())) {
    ASSERT_TRUE(chunk->has_value());
    const Chunk& whole = **chunk;            // NOLINT(bugprone-unchecked-optional-access): asserted
    EXPECT_EQ(whole.payload.size(), 1024U);  // none that was cut short by the error
    ++chunks;
  }
  EXPECT_EQ(chunks, 4U);
  const std::string message = message_of(chunk);
  const int calls = source.calls;
  for (int i = 0; i < 3; ++i) {
    const auto again = stream.next();
    EXPECT_TRUE(fails_with(again, IoError::io_error));
    EXPECT_EQ(message_of(again), message);
  }
  EXPECT_EQ(source.calls, calls);
}

}  // namespace
}  // namespace cleave
