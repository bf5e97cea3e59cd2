// How long an asynchronous stream keeps its thread, and what its suspensions cost.
#include "cleave/chunk/async_chunk_stream.h"

#include <cstring>

#include <benchmark/benchmark.h>

#include "bench/bench_data.h"
#include "tests/support/async.h"

namespace cleave {
namespace {

// One poll() of a whole piece with nothing to skip: the longest that cutting keeps the thread.
void poll_piece(benchmark::State& state) {
  const FastCdc fastcdc =
      *FastCdc::create({.min_size = 64, .avg_size = 4 << 20, .max_size = 16 << 20});
  const ByteSpan data = bench::random_data();
  ChunkPoller poller(fastcdc, {.strategy = BufferStrategy::fixed});
  std::size_t at = 0;
  for (auto _ : state) {
    state.PauseTiming();
    while (!poller.needs_input()) benchmark::DoNotOptimize(poller.poll());
    MutableByteSpan room = *poller.room();
    room = room.first(std::min(room.size(), ChunkPoller::kPiece));
    if (at + room.size() > data.size()) at = 0;
    std::memcpy(room.data(), data.data() + at, room.size());
    at += room.size();
    poller.filled(room.size());
    state.ResumeTiming();
    benchmark::DoNotOptimize(poller.poll());
  }
}
BENCHMARK(poll_piece)->Unit(benchmark::kMicrosecond);

enum class Where { here_without_yields, here, pool };

// All chunks of input that is always ready; sizes in KiB.
void async_stream(benchmark::State& state, Where where) {
  const ByteSpan data = bench::random_data();
  const auto avg = static_cast<std::uint64_t>(state.range(0)) << 10;
  const FastCdc fastcdc =
      *FastCdc::create({.min_size = avg / 4, .avg_size = avg, .max_size = 4 * avg});
  asio::thread_pool pool(1);
  AsyncChunkOptions options{.yields = where != Where::here_without_yields};
  if (where == Where::pool) options.cpu = pool.get_executor();
  std::size_t chunks = 0;
  for (auto _ : state) {
    asio::io_context context(1);
    test::SlicedStream stream(context.get_executor(), data);
    AsyncChunkStream async(stream, fastcdc, options);
    const auto take = [&]() -> asio::awaitable<void> {
      for (chunks = 0; (co_await async.next()).value(); ++chunks) {
      }
    };
    asio::co_spawn(context, take(), test::rethrow);
    context.run();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(data.size()));
  state.counters["chunks"] = static_cast<double>(chunks);
}
BENCHMARK_CAPTURE(async_stream, without_yields, Where::here_without_yields)
    ->Arg(1)
    ->Arg(16)
    ->Arg(1024);
BENCHMARK_CAPTURE(async_stream, here, Where::here)->Arg(1)->Arg(16)->Arg(1024);
BENCHMARK_CAPTURE(async_stream, pool, Where::pool)->Arg(1)->Arg(16)->Arg(1024);

}  // namespace
}  // namespace cleave
