#include <cstring>

#include <benchmark/benchmark.h>

#include "bench/bench_data.h"
#include "cleave/chunk/chunk_stream.h"
#include "cleave/chunk/chunker.h"

namespace cleave {
namespace {

using bench::random_data;
using bench::real_data;
using bench::zeros;

using Data = ByteSpan();

void count_bytes(benchmark::State& state, ByteSpan data) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(data.size()));
}

// What memory gives: every 8 bytes are read and added up.
void memory_walk(benchmark::State& state, Data* data_of) {
  const ByteSpan data = data_of();
  for (auto _ : state) {
    std::uint64_t sums[4] = {};
    for (std::size_t i = 0; i + 32 <= data.size(); i += 32) {
      std::uint64_t words[4];
      std::memcpy(words, data.data() + i, 32);
      for (int k = 0; k < 4; ++k) sums[k] += words[k];
    }
    benchmark::DoNotOptimize(sums);
  }
  count_bytes(state, data);
}

// Sizes in KiB.
ChunkingOptions options_of(const benchmark::State& state) {
  const auto avg = static_cast<std::uint64_t>(state.range(0)) << 10;
  return {.min_size = avg / 4, .avg_size = avg, .max_size = 4 * avg};
}

void cut_points(benchmark::State& state, Data* data_of) {
  const ByteSpan data = data_of();
  const FastCdc fastcdc = *FastCdc::create(options_of(state));
  std::size_t chunks = 0;
  for (auto _ : state) {
    const auto cuts = cut_all(fastcdc, data);
    chunks = cuts.size();
    benchmark::DoNotOptimize(cuts.data());
  }
  count_bytes(state, data);
  state.counters["chunks"] = static_cast<double>(chunks);
}

void chunk_stream(benchmark::State& state, Data* data_of) {
  const ByteSpan data = data_of();
  const FastCdc fastcdc = *FastCdc::create(options_of(state));
  for (auto _ : state) {
    MemorySource source(data);
    ChunkStream stream(source, fastcdc);
    while (const auto chunk = stream.next().value())
      benchmark::DoNotOptimize(chunk->payload.data());
  }
  count_bytes(state, data);
}

BENCHMARK_CAPTURE(memory_walk, real, real_data)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cut_points, real, real_data)
    ->Arg(1024)
    ->Arg(64)
    ->Arg(8)
    ->ArgName("avg_kib")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cut_points, zeros, zeros)
    ->Arg(1024)
    ->ArgName("avg_kib")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cut_points, random, random_data)
    ->Arg(1024)
    ->ArgName("avg_kib")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(chunk_stream, real, real_data)
    ->Arg(1024)
    ->Arg(64)
    ->ArgName("avg_kib")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(chunk_stream, zeros, zeros)
    ->Arg(1024)
    ->ArgName("avg_kib")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(chunk_stream, random, random_data)
    ->Arg(1024)
    ->ArgName("avg_kib")
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cleave
