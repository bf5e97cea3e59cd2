// What the tests of asynchronous streams share: coroutines to the end, and a stream made of
// fiction.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "cleave/chunk/async_chunk_stream.h"

#ifdef CLEAVE_USE_BOOST_ASIO
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#else
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/local/connect_pair.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/thread_pool.hpp>
#include <asio/write.hpp>
#endif

namespace cleave::test {

// A coroutine's exception ends the test.
inline constexpr auto rethrow = [](const std::exception_ptr& exception) {
  if (exception) std::rethrow_exception(exception);
};

// Gives `data` in slices, each after the coroutine had to wait for some turns of the event loop.
class SlicedStream {
 public:
  struct Options {
    std::function<std::size_t()> next_size;  // as much as there is room for where it is empty
    std::function<std::size_t()> turns;      // none
    std::optional<AsioErrorCode> failure;    // instead of the end
  };
  using executor_type = asio::any_io_executor;

  SlicedStream(asio::any_io_executor executor, ByteSpan data, Options options = {})
      : executor_(std::move(executor)), rest_(data), options_(std::move(options)) {}

  executor_type get_executor() const { return executor_; }

  template <class Token>
  auto async_read_some(const asio::mutable_buffer& buffer, Token&& token) {
    return asio::async_initiate<Token, void(AsioErrorCode, std::size_t)>(
        [this, buffer](auto handler) { complete(turns(), buffer, std::move(handler)); }, token);
  }

  int reads = 0;
  std::vector<const void*> places;  // where reads went

 private:
  std::size_t turns() const { return options_.turns ? options_.turns() : 0; }

  template <class Handler>
  void complete(std::size_t turns, asio::mutable_buffer buffer, Handler handler) {
    const auto executor = asio::get_associated_executor(handler, executor_);
    asio::post(executor, [this, turns, buffer, handler = std::move(handler)]() mutable {
      if (turns > 0) return complete(turns - 1, buffer, std::move(handler));
      const std::size_t size = fill(buffer);
      handler(size > 0 ? AsioErrorCode() : end(), size);
    });
  }

  std::size_t fill(asio::mutable_buffer buffer) {
    ++reads;
    places.push_back(buffer.data());
    const std::size_t wanted = options_.next_size ? options_.next_size() : rest_.size();
    const std::size_t size =
        std::min({std::max<std::size_t>(wanted, 1), buffer.size(), rest_.size()});
    if (size > 0) std::memcpy(buffer.data(), rest_.data(), size);
    rest_ = rest_.subspan(size);
    return size;
  }

  AsioErrorCode end() const { return options_.failure.value_or(AsioErrorCode(asio::error::eof)); }

  asio::any_io_executor executor_;
  ByteSpan rest_;
  Options options_;
};

// All chunks up to the end, or up to an error, which is left in `failure`.
template <class Stream>
asio::awaitable<void> take_all(AsyncChunkStream<Stream>& stream, std::vector<Chunk>& chunks,
                               std::optional<Error>& failure) {
  for (;;) {
    auto chunk = co_await stream.next();
    if (!chunk) failure = chunk.error();
    if (!chunk || !*chunk) co_return;
    chunks.push_back(**std::move(chunk));
  }
}

}  // namespace cleave::test
