// Which chunks an asynchronous stream gives; for when it gives them see async_control_test.cpp.
#include "cleave/chunk/async_chunk_stream.h"

#include <array>
#include <cerrno>
#include <random>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/async.h"
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
using test::rethrow;
using test::SlicedStream;
using test::take_all;

const ChunkingOptions kSmall = {.min_size = 64, .avg_size = 256, .max_size = 1024};
const ChunkingOptions kMedium = {.min_size = 4096, .avg_size = 16384, .max_size = 65536};

struct Taken {
  std::vector<Chunk> chunks;
  std::optional<Error> failure;
};

template <class Stream>
Taken take(asio::io_context& context, Stream& stream, const FastCdc& fastcdc,
           const AsyncChunkOptions& options = {}) {
  Taken taken;
  AsyncChunkStream chunks(stream, fastcdc, options);
  asio::co_spawn(context, take_all(chunks, taken.chunks, taken.failure), rethrow);
  context.run();
  return taken;
}

RC_GTEST_PROP(AsyncChunkStream, GivesTheChunksOfOnePassHoweverItIsSliced, (std::uint64_t seed)) {
  const FastCdc fastcdc = make_fastcdc(test::any_options());
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 20'000));
  const auto most = *rc::gen::element<std::size_t>(1, 65, 1000, 50'000);
  const auto most_turns = *rc::gen::inRange<std::size_t>(0, 4);
  std::mt19937_64 random(seed);
  asio::io_context context;
  asio::thread_pool pool(1);
  SlicedStream stream(context.get_executor(), data,
                      {.next_size = [&] { return 1 + random() % most; },
                       .turns = [&] { return random() % (most_turns + 1); },
                       .failure = std::nullopt});
  AsyncChunkOptions options = {.buffers = {.block_size = 20'000}, .yields = random() % 2 == 0};
  if (random() % 4 == 0) options.cpu = pool.get_executor();
  const Taken taken = take(context, stream, fastcdc, options);
  RC_ASSERT(!taken.failure);
  RC_ASSERT(are_chunks_of(taken.chunks, fastcdc, data));
}

asio::awaitable<void> write_all(auto& stream, ByteSpan data) {
  co_await asio::async_write(stream, asio::buffer(data.data(), data.size()), asio::use_awaitable);
  stream.close();
}

TEST(AsyncChunkStream, ReadsAPipe) {
  const FastCdc fastcdc = make_fastcdc(kMedium);
  const auto data = mixed_bytes(1, 3'000'000);
  asio::io_context context;
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  asio::posix::stream_descriptor reader(context, ends[0]);
  asio::posix::stream_descriptor writer(context, ends[1]);
  asio::co_spawn(context, write_all(writer, data), rethrow);
  const Taken taken = take(context, reader, fastcdc);
  EXPECT_FALSE(taken.failure);
  EXPECT_TRUE(are_chunks_of(taken.chunks, fastcdc, data));
}

TEST(AsyncChunkStream, ReadsASocketWhileAThreadPoolCuts) {
  const FastCdc fastcdc = make_fastcdc(kMedium);
  const auto data = mixed_bytes(2, 3'000'000);
  asio::io_context context;
  asio::thread_pool pool(2);
  asio::local::stream_protocol::socket reader(context);
  asio::local::stream_protocol::socket writer(context);
  asio::local::connect_pair(reader, writer);
  asio::co_spawn(context, write_all(writer, data), rethrow);
  const Taken taken = take(context, reader, fastcdc, {.cpu = pool.get_executor()});
  EXPECT_FALSE(taken.failure);
  EXPECT_TRUE(are_chunks_of(taken.chunks, fastcdc, data));
}

TEST(AsyncChunkStream, TwoOnOneThreadDoNotMix) {
  const FastCdc fastcdc = make_fastcdc(kMedium);
  asio::io_context context;
  std::array<std::vector<std::byte>, 2> data = {mixed_bytes(3, 2'000'000),
                                                mixed_bytes(4, 2'000'000)};
  std::array<Taken, 2> taken;
  SlicedStream first(context.get_executor(), data[0]);
  SlicedStream second(context.get_executor(), data[1]);
  AsyncChunkStream first_chunks(first, fastcdc);
  AsyncChunkStream second_chunks(second, fastcdc);
  asio::co_spawn(context, take_all(first_chunks, taken[0].chunks, taken[0].failure), rethrow);
  asio::co_spawn(context, take_all(second_chunks, taken[1].chunks, taken[1].failure), rethrow);
  context.run();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(are_chunks_of(taken[i].chunks, fastcdc, data[i]));
  }
}

// What is read is what is given: payloads lie where the stream wrote.
TEST(AsyncChunkStream, ReadsIntoThePayloads) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(5, 10'000);
  asio::io_context context;
  SlicedStream stream(context.get_executor(), data);
  const Taken taken = take(context, stream, fastcdc);
  const auto* start = static_cast<const std::byte*>(stream.places.front());
  for (const Chunk& chunk : taken.chunks) EXPECT_EQ(chunk.payload.data(), start + chunk.offset);
}

void check_digests(HashAlgorithm algorithm, const AsyncChunkOptions& options) {
  // Chunks of more than a piece, and of less.
  const FastCdc fastcdc =
      make_fastcdc({.min_size = 100'000, .avg_size = 400'000, .max_size = 1'600'000});
  const auto data = mixed_bytes(6, 4'000'000);
  asio::io_context context;
  SlicedStream stream(context.get_executor(), data);
  AsyncChunkStream chunks(stream, fastcdc, options);
  std::vector<HashedChunk> taken;
  const auto take_hashed = [&]() -> asio::awaitable<void> {
    for (;;) {
      auto chunk = (co_await chunks.next_hashed(algorithm)).value();
      if (!chunk) co_return;
      taken.push_back(*std::move(chunk));
    }
  };
  asio::co_spawn(context, take_hashed(), rethrow);
  context.run();
  const auto executor = make_executor(1);
  const auto expected = describe_chunks(*executor, fastcdc, algorithm, data);
  ASSERT_EQ(taken.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(taken[i].hash, expected[i].hash);
    EXPECT_EQ(taken[i].chunk.offset, expected[i].offset);
    EXPECT_EQ(taken[i].chunk.payload.size(), expected[i].length);
    EXPECT_EQ(taken[i].chunk.gear_hash, expected[i].gear_hash);
  }
}

TEST(AsyncChunkStream, HashesChunks) {
  check_digests(HashAlgorithm::sha256, {});
  check_digests(HashAlgorithm::blake3, {});
  check_digests(HashAlgorithm::blake3, {.yields = false});
}

TEST(AsyncChunkStream, HashesChunksOnAThreadPool) {
  asio::thread_pool pool(2);
  check_digests(HashAlgorithm::sha256, {.cpu = pool.get_executor()});
  check_digests(HashAlgorithm::blake3, {.cpu = pool.get_executor()});
}

TEST(AsyncChunkStream, CanBePolled) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(7, 20'000);
  asio::io_context context;
  SlicedStream stream(context.get_executor(), data,
                      {.next_size = [] { return 3000; }, .turns = {}, .failure = {}});
  AsyncChunkStream polled(stream, fastcdc);
  std::vector<Chunk> chunks;
  int reads = 0;
  while (!polled.at_end()) {
    if (auto chunk = polled.poll().value()) {
      chunks.push_back(*std::move(chunk));
    } else if (polled.needs_input()) {
      ++reads;
      asio::co_spawn(context, polled.read(), rethrow);
      context.run();
      context.restart();
    }
  }
  EXPECT_EQ(reads, stream.reads);
  EXPECT_TRUE(are_chunks_of(chunks, fastcdc, data));
}

TEST(AsyncChunkStream, StaysFailedWithTheSameError) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const std::vector<std::byte> zeros(5000);
  asio::io_context context;
  SlicedStream stream(
      context.get_executor(), zeros,
      {.next_size = [] { return 700; }, .turns = {}, .failure = asio::error::connection_reset});
  AsyncChunkStream chunks(stream, fastcdc);
  Taken taken;
  Result<std::optional<Chunk>> again;
  const auto take_twice = [&]() -> asio::awaitable<void> {
    co_await take_all(chunks, taken.chunks, taken.failure);
    again = co_await chunks.next();
  };
  asio::co_spawn(context, take_twice(), rethrow);
  context.run();
  EXPECT_EQ(taken.chunks.size(), 4U);  // none that was cut short by the error
  ASSERT_TRUE(taken.failure);
  EXPECT_EQ(taken.failure->message(), "io_error: read, Connection reset by peer, offset 5000");
  EXPECT_EQ(taken.failure->os_error(), ECONNRESET);
  EXPECT_TRUE(fails_with(again, IoError::io_error));
  EXPECT_TRUE(fails_with(chunks.poll(), IoError::io_error));
  EXPECT_EQ(stream.reads, 9);
}

TEST(AsyncChunkStream, KeepsToItsBufferLimit) {
  const FastCdc fastcdc = make_fastcdc(kMedium);
  const auto data = mixed_bytes(8, 3'000'000);
  const AsyncChunkOptions options = {
      .buffers = {.strategy = BufferStrategy::fixed, .block_size = 500'000, .limit = 1'200'000}};
  asio::io_context context;
  SlicedStream stream(context.get_executor(), data);
  const Taken kept = take(context, stream, fastcdc, options);  // keeps all payloads
  ASSERT_TRUE(kept.failure);
  EXPECT_EQ(kept.failure->message(),
            "buffer_limit_exceeded: attempted 1500000 bytes, limit 1200000 bytes");
  EXPECT_GT(kept.chunks.size(), 10U);

  // It is of the stream, and not of the input.
  context.restart();
  SlicedStream same(context.get_executor(), data);
  AsyncChunkStream chunks(same, fastcdc, options);
  std::uint64_t size = 0;
  const auto drop_all = [&]() -> asio::awaitable<void> {
    while (const auto chunk = (co_await chunks.next()).value()) size += chunk->payload.size();
  };
  asio::co_spawn(context, drop_all(), rethrow);
  context.run();
  EXPECT_EQ(size, data.size());
}

}  // namespace
}  // namespace cleave
