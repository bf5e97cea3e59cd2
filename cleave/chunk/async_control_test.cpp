// When an asynchronous stream gives chunks: fairness, waiting, cancellation, destruction.
#include <array>
#include <memory>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "cleave/chunk/async_chunk_stream.h"
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
const ChunkingOptions kLarge = {.min_size = 1 << 20, .avg_size = 4 << 20, .max_size = 16 << 20};
using Descriptor = asio::posix::stream_descriptor;

struct Pipe {
  explicit Pipe(asio::io_context& context) : reader(context), writer(context) {
    std::array<int, 2> ends;
    EXPECT_EQ(::pipe(ends.data()), 0);
    reader.assign(ends[0]);
    writer.assign(ends[1]);
  }
  void write(ByteSpan bytes) { asio::write(writer, asio::buffer(bytes.data(), bytes.size())); }

  Descriptor reader;
  Descriptor writer;
};

// Takes its turn whenever it can.
asio::awaitable<void> count_turns(const bool& done, std::size_t& turns) {
  while (!done) {
    ++turns;
    co_await asio::post(asio::use_awaitable);
  }
}

// The most chunks that were given without another coroutine having had its turn.
std::size_t longest_run(const AsyncChunkOptions& options) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(1, 200'000);
  asio::io_context context;
  SlicedStream stream(context.get_executor(), data);
  AsyncChunkStream chunks(stream, fastcdc, options);
  bool done = false;
  std::size_t turns = 0;
  std::size_t longest = 0;
  const auto take = [&]() -> asio::awaitable<void> {
    std::size_t run = 0;
    for (std::size_t before = turns; (co_await chunks.next()).value(); before = turns) {
      run = turns == before ? run + 1 : 1;
      longest = std::max(longest, run);
    }
    done = true;
  };
  asio::co_spawn(context, count_turns(done, turns), rethrow);
  asio::co_spawn(context, take(), rethrow);
  context.run();
  return longest;
}

TEST(AsyncFairness, OthersRunBetweenChunks) {
  EXPECT_EQ(longest_run({}), 1U);
  EXPECT_GT(longest_run({.yields = false}), 10U);
}

TEST(AsyncFairness, OthersRunBetweenThePiecesOfLargeChunks) {
  const FastCdc fastcdc = make_fastcdc(kLarge);
  const std::vector<std::byte> zeros(32 << 20);
  asio::io_context context;
  SlicedStream stream(context.get_executor(), zeros);
  AsyncChunkStream chunks(stream, fastcdc);
  bool done = false;
  std::size_t turns = 0;
  const auto take = [&]() -> asio::awaitable<void> {
    while ((co_await chunks.next_hashed(HashAlgorithm::blake3)).value()) {
    }
    done = true;
  };
  asio::co_spawn(context, count_turns(done, turns), rethrow);
  asio::co_spawn(context, take(), rethrow);
  context.run();
  // For cutting and for hashing.
  EXPECT_GE(turns, 2 * zeros.size() / ChunkPoller::kPiece);
}

TEST(AsyncFairness, WaitingKeepsNobodyBusy) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const auto data = mixed_bytes(2, 3000);
  asio::io_context context;
  Pipe pipe(context);
  AsyncChunkStream chunks(pipe.reader, fastcdc);
  std::vector<Chunk> taken;
  std::optional<Error> failure;
  asio::co_spawn(context, take_all(chunks, taken, failure), rethrow);
  for (const std::size_t part : {0U, 1000U, 2000U}) {
    pipe.write(ByteSpan(data).subspan(part, 1000));
    EXPECT_GT(context.poll(), 0U);
    EXPECT_EQ(context.poll(), 0U);  // nothing runs until there is more to read
  }
  pipe.writer.close();
  context.run();
  EXPECT_TRUE(are_chunks_of(taken, fastcdc, data));
}

// Takes all chunks of a pipe with three chunks' worth of zeros and a bit, which stays open.
class AsyncCancel : public testing::Test {
 protected:
  void start(asio::cancellation_slot slot = {}) {
    pipe.write(std::vector<std::byte>(3500));
    asio::co_spawn(context, take(), asio::bind_cancellation_slot(slot, rethrow));
    context.poll();
    EXPECT_EQ(taken.size(), 3U);
    EXPECT_FALSE(failure);
  }
  asio::awaitable<void> take() {
    co_await asio::this_coro::throw_if_cancelled(throws);
    co_await take_all(chunks, taken, failure);
    if (!throws) again = co_await chunks.next();
  }
  void expect_interrupted() {
    context.run();
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->message(), "interrupted: reading was cancelled, offset 3500");
    EXPECT_EQ(taken.size(), 3U);
    EXPECT_TRUE(fails_with(chunks.poll(), IoError::interrupted));
    EXPECT_FALSE(chunks.needs_input());
  }

  const FastCdc fastcdc = make_fastcdc(kSmall);
  asio::io_context context;
  Pipe pipe{context};
  AsyncChunkStream<Descriptor> chunks{pipe.reader, fastcdc};
  bool throws = false;
  std::vector<Chunk> taken;
  std::optional<Error> failure;
  Result<std::optional<Chunk>> again;
};

TEST_F(AsyncCancel, ByTheStream) {
  start();
  pipe.reader.cancel();
  expect_interrupted();
  EXPECT_TRUE(fails_with(again, IoError::interrupted));
}

TEST_F(AsyncCancel, ByTheCoroutinesSlot) {
  asio::cancellation_signal signal;
  start(signal.slot());
  signal.emit(asio::cancellation_type::terminal);
  expect_interrupted();
  EXPECT_TRUE(fails_with(again, IoError::interrupted));
}

TEST_F(AsyncCancel, IsAnErrorEvenWhereAsioWouldThrow) {
  throws = true;
  asio::cancellation_signal signal;
  start(signal.slot());
  signal.emit(asio::cancellation_type::terminal);
  expect_interrupted();
}

// Cancelled while there is input, at any suspension: between chunks, in the hashing, on the pool.
// Whatever the coroutine is at, it ends with the error and not with an exception.
void cancel_after(std::size_t turns, const AsyncChunkOptions& options) {
  const FastCdc fastcdc =
      make_fastcdc({.min_size = 100'000, .avg_size = 400'000, .max_size = 1'600'000});
  const std::vector<std::byte> zeros(std::size_t{4} << 20);
  asio::io_context context;
  SlicedStream stream(context.get_executor(), zeros);
  AsyncChunkStream chunks(stream, fastcdc, options);
  asio::cancellation_signal signal;
  bool done = false;
  std::optional<Error> failure;
  const auto take = [&]() -> asio::awaitable<void> {
    Result<std::optional<HashedChunk>> chunk;
    const auto& state = co_await asio::this_coro::cancellation_state;
    do {
      chunk = co_await chunks.next_hashed(HashAlgorithm::blake3);
    } while (chunk && *chunk && state.cancelled() == asio::cancellation_type::none);
    // Given whole just before: then the next call sees it, and only there Asio would throw.
    co_await asio::this_coro::throw_if_cancelled(false);
    chunk = co_await chunks.next_hashed(HashAlgorithm::blake3);
    if (!chunk) failure = chunk.error();
    done = true;
  };
  asio::co_spawn(context, take(), asio::bind_cancellation_slot(signal.slot(), rethrow));
  for (std::size_t i = 0; i < turns; ++i) context.run_one();
  ASSERT_FALSE(done);
  signal.emit(asio::cancellation_type::terminal);
  context.run();
  ASSERT_TRUE(failure) << turns;
  EXPECT_TRUE(failure->is(IoError::interrupted)) << failure->message();
}

TEST(AsyncCancelAnywhere, IsAnError) {
  for (std::size_t turns = 1; turns < 40; ++turns) cancel_after(turns, {});
}

TEST(AsyncCancelAnywhere, IsAnErrorWithAThreadPool) {
  asio::thread_pool pool(1);
  for (std::size_t turns = 1; turns < 20; ++turns)
    cancel_after(turns, {.cpu = pool.get_executor()});
}

// The context goes, with all coroutines, after so many of its turns.
void destroy_after(std::size_t turns, const AsyncChunkOptions& options, asio::thread_pool* pool) {
  const FastCdc fastcdc =
      make_fastcdc({.min_size = 10'000, .avg_size = 40'000, .max_size = 400'000});
  const auto data = mixed_bytes(3, 1'000'000);
  std::vector<Chunk> taken;
  {
    asio::io_context context;
    const auto take = [&]() -> asio::awaitable<void> {
      SlicedStream stream(context.get_executor(), data);
      AsyncChunkStream chunks(stream, fastcdc, options);
      while (auto chunk = (co_await chunks.next_hashed(HashAlgorithm::sha256)).value()) {
        taken.push_back(std::move(chunk->chunk));
      }
    };
    asio::co_spawn(context, take(), rethrow);
    for (std::size_t i = 0; i < turns; ++i) context.run_one();
    if (pool != nullptr) pool->join();
  }
  for (const Chunk& chunk : taken) {
    EXPECT_TRUE(
        test::equal(chunk.payload, ByteSpan(data).subspan(chunk.offset, chunk.payload.size())));
  }
}

TEST(AsyncDestroy, AtAnySuspension) {
  for (std::size_t turns = 0; turns < 40; ++turns) destroy_after(turns, {}, nullptr);
}

TEST(AsyncDestroy, WithAThreadPool) {
  for (std::size_t turns = 0; turns < 10; ++turns) {
    asio::thread_pool pool(1);
    destroy_after(turns, {.cpu = pool.get_executor()}, &pool);
  }
}

TEST(AsyncDestroy, WhileItWaitsForAPipe) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  std::vector<Chunk> taken;
  std::optional<Error> failure;
  {
    asio::io_context context;
    const auto take = [&]() -> asio::awaitable<void> {
      Pipe pipe(context);
      pipe.write(std::vector<std::byte>(3500));
      AsyncChunkStream chunks(pipe.reader, fastcdc);
      co_await take_all(chunks, taken, failure);
    };
    asio::co_spawn(context, take(), rethrow);
    context.poll();
  }
  EXPECT_EQ(taken.size(), 3U);
  EXPECT_FALSE(failure);
}

}  // namespace
}  // namespace cleave
