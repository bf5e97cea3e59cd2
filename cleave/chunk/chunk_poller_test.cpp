#include "cleave/chunk/chunk_poller.h"

#include <algorithm>
#include <cerrno>
#include <future>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/chunk/read_size.h"
#include "tests/support/bytes.h"
#include "tests/support/chunking.h"
#include "tests/support/chunks.h"
#include "tests/support/result.h"

namespace cleave {
namespace {

using test::are_chunks_of;
using test::fails_with;
using test::make_fastcdc;
using test::message_of;
using test::mixed_bytes;

const ChunkingOptions kSmall = {.min_size = 64, .avg_size = 256, .max_size = 1024};

// Reads the next of `rest`, at most `size` bytes.
void read_some(ChunkPoller& poller, ByteSpan& rest, std::size_t size) {
  const MutableByteSpan room = poller.room().value();
  size = std::min({size, rest.size(), room.size()});
  std::ranges::copy(rest.first(size), room.begin());
  rest = rest.subspan(size);
  poller.filled(size);
}

RC_GTEST_PROP(ChunkPoller, GivesTheChunksOfOnePass, (std::uint64_t seed)) {
  const FastCdc fastcdc = make_fastcdc(test::any_options());
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 100'000));
  const auto most = *rc::gen::element<std::size_t>(1, 65, 1000, 50'000);
  const bool end_with_last_read = *rc::gen::arbitrary<bool>();
  std::mt19937_64 random(seed);
  ChunkPoller poller(fastcdc, {.block_size = 20'000});
  std::vector<Chunk> chunks;
  for (ByteSpan rest = data; !poller.at_end();) {
    if (poller.needs_input()) {
      read_some(poller, rest, random() % (most + 1));
      if (rest.empty() && (end_with_last_read || random() % 2 == 0)) poller.finish();
    } else if (auto chunk = poller.poll().value()) {
      chunks.push_back(*std::move(chunk));
    }
  }
  RC_ASSERT(!poller.poll().value().has_value());
  RC_ASSERT(are_chunks_of(chunks, fastcdc, data));
}

// Of one read of a megabyte, no more than a piece is cut by any poll().
TEST(ChunkPoller, CutsAPieceAtATime) {
  const FastCdc fastcdc =
      make_fastcdc({.min_size = 1 << 20, .avg_size = 4 << 20, .max_size = 16 << 20});
  const std::vector<std::byte> zeros(40 << 20);
  ChunkPoller poller(fastcdc, {.strategy = BufferStrategy::fixed, .block_size = 40 << 20});
  ByteSpan rest = zeros;
  while (poller.room()->size() < ReadSize::kMax) {
    read_some(poller, rest, ReadSize::kMax);
    while (!poller.needs_input()) ASSERT_FALSE(poller.poll()->has_value());
  }
  read_some(poller, rest, ReadSize::kMax);
  int polls = 0;
  for (; !poller.needs_input(); ++polls) ASSERT_FALSE(poller.poll()->has_value());
  EXPECT_EQ(polls, static_cast<int>(ReadSize::kMax / ChunkPoller::kPiece));
}

TEST(ChunkPoller, SaysWhatItNeeds) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  ChunkPoller poller(fastcdc);
  EXPECT_TRUE(poller.needs_input());
  EXPECT_FALSE(poller.at_end());
  EXPECT_FALSE(poller.poll()->has_value());
  ByteSpan rest = as_byte_span("short");
  read_some(poller, rest, 5);
  EXPECT_FALSE(poller.needs_input());
  EXPECT_FALSE(poller.poll()->has_value());
  EXPECT_TRUE(poller.needs_input());
  poller.finish();
  EXPECT_FALSE(poller.needs_input());
  EXPECT_FALSE(poller.at_end());
  EXPECT_EQ(test::text_of(poller.poll().value().value().payload), "short");
  EXPECT_FALSE(poller.poll()->has_value());
  EXPECT_TRUE(poller.at_end());
}

TEST(ChunkPoller, StaysFailed) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  ChunkPoller poller(fastcdc);
  ByteSpan rest = as_byte_span("0123456789");
  read_some(poller, rest, 10);
  poller.fail({ECONNRESET, std::system_category()});
  poller.fail(std::make_error_code(std::errc::operation_canceled));  // changes nothing
  for (int i = 0; i < 3; ++i) {
    const auto chunk = poller.poll();
    ASSERT_TRUE(fails_with(chunk, IoError::io_error));
    EXPECT_EQ(chunk.error().os_error(), ECONNRESET);
    EXPECT_EQ(message_of(chunk), "io_error: read, Connection reset by peer, offset 10");
    EXPECT_TRUE(fails_with(poller.room(), IoError::io_error));
    poller.finish();
  }
  EXPECT_TRUE(poller.failed());
  EXPECT_FALSE(poller.needs_input());
  EXPECT_FALSE(poller.at_end());
}

TEST(ChunkPoller, TellsCancellationFromFailure) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  ChunkPoller cancelled(fastcdc);
  cancelled.fail({ECANCELED, std::system_category()});
  EXPECT_EQ(message_of(cancelled.poll()), "interrupted: reading was cancelled, offset 0");
  EXPECT_TRUE(fails_with(cancelled.poll(), IoError::interrupted));

  ChunkPoller failed(fastcdc);
  failed.fail(std::make_error_code(std::future_errc::broken_promise));  // of some other library
  EXPECT_EQ(message_of(failed.poll()), "io_error: read, Broken promise, offset 0");
}

TEST(ChunkPoller, StaysFailedWithoutRoom) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  ChunkPoller poller(fastcdc, {.limit = 1000});
  EXPECT_TRUE(fails_with(poller.room(), ChunkingError::buffer_limit_exceeded));
  EXPECT_TRUE(fails_with(poller.poll(), ChunkingError::buffer_limit_exceeded));
  EXPECT_FALSE(poller.needs_input());
}

TEST(ReadSize, GrowsWithFullReadsAndShrinksWithShortOnes) {
  ReadSize size;
  const std::size_t first = size.bytes();
  size.observe(first, first);
  EXPECT_EQ(size.bytes(), 2 * first);
  size.observe(100, 100);  // all that there was room for
  size.observe(2 * first, first);
  EXPECT_EQ(size.bytes(), 2 * first);
  for (int i = 0; i < 10; ++i) size.observe(size.bytes(), size.bytes());
  EXPECT_EQ(size.bytes(), ReadSize::kMax);
  size.observe(ReadSize::kMax, 1);
  EXPECT_EQ(size.bytes(), ReadSize::kMax / 2);
  for (int i = 0; i < 10; ++i) size.observe(size.bytes(), 1);
  EXPECT_EQ(size.bytes(), ReadSize::kMin);
}

}  // namespace
}  // namespace cleave
