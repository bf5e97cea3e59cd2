// Chunks of an Asio stream, for coroutines. Needs standalone Asio >= 1.22, or Boost.Asio >= 1.79
// where CLEAVE_USE_BOOST_ASIO is defined (then in all of a program). The library itself does not
// use Asio: whoever includes this header finds it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <system_error>
#include <utility>

#ifdef CLEAVE_USE_BOOST_ASIO
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#else
#include <asio/any_io_executor.hpp>
#include <asio/associated_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#endif

#if !defined(ASIO_HAS_CO_AWAIT) && !defined(BOOST_ASIO_HAS_CO_AWAIT)
#error "Asio was configured without coroutines. With Clang, old versions need -DASIO_HAS_CO_AWAIT"
#endif

#include "cleave/base/settings.h"
#include "cleave/chunk/chunk_poller.h"
#include "cleave/chunk/hashed_stream.h"
#include "cleave/hash/hash.h"

namespace cleave {

#ifdef CLEAVE_USE_BOOST_ASIO
namespace asio = boost::asio;
using AsioErrorCode = boost::system::error_code;
#else
namespace asio = ::asio;
using AsioErrorCode = ::asio::error_code;
#endif

struct AsyncChunkOptions {
  // Where no limit is set it is settings().async_buffer_limit; over it: buffer_limit_exceeded.
  BufferOptions buffers = {};
  // Where cutting and hashing are done, say an asio::thread_pool; where it is not set, on the
  // coroutine's own executor, in pieces of at most ChunkPoller::kPiece bytes.
  asio::any_io_executor cpu = {};
  // Let other coroutines have their turn after every chunk and piece. Without it only reads do so.
  bool yields = true;
};

// Gives the chunks that one pass over the whole input would give, and never blocks the thread:
// reads suspend the coroutine, into the memory that payloads are views of; what computes is done in
// pieces of some tens of microseconds, or elsewhere. `AsyncReadStream` is Asio's requirement of
// that name: a socket, a pipe, a TLS stream.
//
// Not thread-safe: one call at a time, and the coroutine that awaits runs on one thread at a time
// (one thread, or a strand). It must not be destroyed while a coroutine is suspended in it, other
// than together with that coroutine, as happens when its io_context is destroyed. With `cpu`, first
// join that: it hands back to the coroutine's executor.
//
// Cancelling is either the stream's own cancel(), or a cancellation slot of the coroutine. It takes
// effect where the coroutine is suspended in a read, or at the next chunk, and is the error
// IoError::interrupted. Note that Asio itself throws from co_await in a cancelled coroutine, unless
// it has said co_await this_coro::throw_if_cancelled(false).
template <class AsyncReadStream>
class AsyncChunkStream {
 public:
  // `stream` and `fastcdc` must outlive it; payloads may outlive it.
  AsyncChunkStream(AsyncReadStream& stream, const FastCdc& fastcdc,
                   const AsyncChunkOptions& options = {})
      : stream_(&stream),
        poller_(fastcdc, limited(options.buffers)),
        cpu_(options.cpu),
        yields_(options.yields) {}
  AsyncChunkStream(const AsyncChunkStream&) = delete;
  AsyncChunkStream& operator=(const AsyncChunkStream&) = delete;

  // The next chunk, nothing at the end. After an error every further call gives that error.
  asio::awaitable<Result<std::optional<Chunk>>> next();
  // The same, with its digest.
  asio::awaitable<Result<std::optional<HashedChunk>>> next_hashed(HashAlgorithm algorithm);

  // For those who schedule by themselves: the next chunk, if what was read holds its end, found by
  // cutting at most one piece on the calling thread. Nothing: await read() if needs_input(), stop
  // if at_end(), else poll again in time.
  Result<std::optional<Chunk>> poll() { return poller_.poll(); }
  bool needs_input() const { return poller_.needs_input(); }
  bool at_end() const { return poller_.at_end(); }
  // Reads once. An error is what poll() gives from then on. Precondition: needs_input().
  asio::awaitable<void> read();

 private:
  static BufferOptions limited(BufferOptions options) {
    if (!options.limit) options.limit = settings().async_buffer_limit;
    return options;
  }
  // Asio has a category of its own for errors of the system.
  static std::error_code standard(const AsioErrorCode& code) {
    if (code.category() != asio::error::get_system_category()) return code;
    return {code.value(), std::system_category()};
  }
  // To be asked before every co_await, which would throw.
  bool stopped_by(const asio::cancellation_state& state) {
    if (state.cancelled() != asio::cancellation_type::none) {
      poller_.fail(std::make_error_code(std::errc::operation_canceled));
    }
    return poller_.failed();
  }
  // Precondition: poller_.failed().
  std::unexpected<Error> failure() { return std::unexpected(poller_.poll().error()); }
  Result<std::optional<Chunk>> cut_what_was_read();
  asio::awaitable<std::optional<Digest>> hash_payload(HashAlgorithm algorithm, ByteSpan payload);
  template <class Hasher>
  asio::awaitable<bool> hash_in_pieces(Hasher& hasher, ByteSpan payload);
  template <class Work>
  asio::awaitable<void> run_on_cpu(Work work);

  AsyncReadStream* stream_;
  ChunkPoller poller_;
  asio::any_io_executor cpu_;
  bool yields_;
  bool others_turn_ = false;  // something was computed since others could run
};

template <class AsyncReadStream>
auto AsyncChunkStream<AsyncReadStream>::next() -> asio::awaitable<Result<std::optional<Chunk>>> {
  for (;;) {
    if (stopped_by(co_await asio::this_coro::cancellation_state)) co_return failure();
    if (poller_.needs_input()) {
      co_await read();
      continue;
    }
    if (others_turn_ && yields_) {
      co_await asio::post(asio::use_awaitable);
      others_turn_ = false;
      continue;
    }
    Result<std::optional<Chunk>> chunk;
    if (cpu_) {
      co_await run_on_cpu([this, &chunk] { chunk = cut_what_was_read(); });
    } else {
      chunk = poller_.poll();
      others_turn_ = true;
    }
    if (!chunk || *chunk || poller_.at_end()) co_return chunk;
  }
}

template <class AsyncReadStream>
asio::awaitable<void> AsyncChunkStream<AsyncReadStream>::read() {
  const auto room = poller_.room();
  if (!room) co_return;
  AsioErrorCode problem;
  const std::size_t size = co_await stream_->async_read_some(
      asio::buffer(room->data(), room->size()), asio::redirect_error(asio::use_awaitable, problem));
  others_turn_ = false;
  poller_.filled(size);
  if (problem == asio::error::eof) {
    poller_.finish();
  } else if (problem) {
    poller_.fail(standard(problem));
  }
}

// No more than one read, so of the order of a megabyte.
template <class AsyncReadStream>
Result<std::optional<Chunk>> AsyncChunkStream<AsyncReadStream>::cut_what_was_read() {
  for (;;) {
    auto chunk = poller_.poll();
    if (!chunk || *chunk || poller_.needs_input() || poller_.at_end()) return chunk;
  }
}

// Runs `work` on cpu_, and goes on where the coroutine runs, which meanwhile is suspended.
template <class AsyncReadStream>
template <class Work>
asio::awaitable<void> AsyncChunkStream<AsyncReadStream>::run_on_cpu(Work work) {
  auto start = [cpu = cpu_, work = std::move(work)](auto handler) mutable {
    const auto home = asio::get_associated_executor(handler);
    asio::post(cpu, [work = std::move(work), handler = std::move(handler),
                     guard = asio::make_work_guard(home)]() mutable {
      work();
      asio::dispatch(guard.get_executor(), std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(start),
                                                                       asio::use_awaitable);
  others_turn_ = false;
}

template <class AsyncReadStream>
auto AsyncChunkStream<AsyncReadStream>::next_hashed(HashAlgorithm algorithm)
    -> asio::awaitable<Result<std::optional<HashedChunk>>> {
  auto chunk = co_await next();
  if (!chunk) co_return failure();
  if (!*chunk) co_return std::nullopt;
  if (stopped_by(co_await asio::this_coro::cancellation_state)) co_return failure();
  const auto digest = co_await hash_payload(algorithm, (*chunk)->payload);
  if (!digest) co_return failure();
  co_return HashedChunk{*digest, **std::move(chunk)};
}

// Nothing: it was cancelled.
template <class AsyncReadStream>
auto AsyncChunkStream<AsyncReadStream>::hash_payload(HashAlgorithm algorithm, ByteSpan payload)
    -> asio::awaitable<std::optional<Digest>> {
  if (cpu_) {
    Digest digest;
    co_await run_on_cpu([&] { digest = hash(algorithm, payload); });
    co_return digest;
  }
  if (payload.size() <= ChunkPoller::kPiece) co_return hash(algorithm, payload);
  if (algorithm == HashAlgorithm::sha256) {
    Sha256 hasher;
    if (!co_await hash_in_pieces(hasher, payload)) co_return std::nullopt;
    co_return hasher.finish();
  }
  Blake3 hasher;
  if (!co_await hash_in_pieces(hasher, payload)) co_return std::nullopt;
  co_return hasher.digest();
}

template <class AsyncReadStream>
template <class Hasher>
asio::awaitable<bool> AsyncChunkStream<AsyncReadStream>::hash_in_pieces(Hasher& hasher,
                                                                        ByteSpan payload) {
  while (!payload.empty()) {
    if (stopped_by(co_await asio::this_coro::cancellation_state)) co_return false;
    if (yields_) co_await asio::post(asio::use_awaitable);
    const std::size_t size = std::min(payload.size(), ChunkPoller::kPiece);
    hasher.update(payload.first(size));
    payload = payload.subspan(size);
  }
  co_return true;
}

}  // namespace cleave
