#include "cleave/hash/hash_cache.h"

#include <algorithm>

#include <benchmark/benchmark.h>

#include "bench/bench_data.h"

namespace cleave {
namespace {

// The real data in pieces of so many bytes, again and again; more than the processor's caches hold.
class Pieces {
 public:
  explicit Pieces(benchmark::State& state)
      : data_(bench::real_data()),
        size_(std::min(static_cast<std::size_t>(state.range(0)), data_.size())),
        count_(std::min(data_.size(), std::size_t{64} << 20) / size_),
        next_(static_cast<std::size_t>(state.thread_index()) * count_ / 2) {}

  std::size_t count() const { return count_; }
  ByteSpan next() {
    next_ = next_ + 1 < count_ ? next_ + 1 : 0;
    return data_.subspan(next_ * size_, size_);
  }

 private:
  ByteSpan data_;
  std::size_t size_;
  std::size_t count_;
  std::size_t next_;
};

Digest cached(HashCache& cache, HashAlgorithm algorithm, ByteSpan piece) {
  return cache.hash(algorithm, sampled_fingerprint(piece), piece);
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void uncached(benchmark::State& state, HashAlgorithm algorithm) {
  Pieces pieces(state);
  for (auto _ : state) benchmark::DoNotOptimize(hash(algorithm, pieces.next()));
  count_bytes(state);
}

// Every piece is in the cache.
void hit(benchmark::State& state, HashAlgorithm algorithm) {
  static std::unique_ptr<HashCache> cache;
  Pieces pieces(state);
  if (state.thread_index() == 0) {
    cache = std::make_unique<HashCache>(
        HashCacheOptions{.max_entries = 1 << 20, .max_bytes = std::size_t{512} << 20});
    for (std::size_t i = 0; i < pieces.count(); ++i) cached(*cache, algorithm, pieces.next());
  }
  for (auto _ : state) benchmark::DoNotOptimize(cached(*cache, algorithm, pieces.next()));
  count_bytes(state);
}

// The cache is full, and no piece is in it: it was dropped before it comes again.
void miss(benchmark::State& state, HashAlgorithm algorithm) {
  Pieces pieces(state);
  HashCache cache({.max_bytes = std::size_t{16} << 20});
  for (std::size_t i = 0; i < pieces.count(); ++i) cached(cache, algorithm, pieces.next());
  for (auto _ : state) benchmark::DoNotOptimize(cached(cache, algorithm, pieces.next()));
  count_bytes(state);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("bytes")->Arg(256)->Arg(4096)->Arg(65536)->Arg(1 << 20)->Arg(4 << 20);
}
BENCHMARK_CAPTURE(uncached, sha256, HashAlgorithm::sha256)->Apply(sizes);
BENCHMARK_CAPTURE(hit, sha256, HashAlgorithm::sha256)->Apply(sizes);
BENCHMARK_CAPTURE(miss, sha256, HashAlgorithm::sha256)->Apply(sizes);
BENCHMARK_CAPTURE(uncached, blake3, HashAlgorithm::blake3)->Apply(sizes);
BENCHMARK_CAPTURE(hit, blake3, HashAlgorithm::blake3)->Apply(sizes);
BENCHMARK_CAPTURE(miss, blake3, HashAlgorithm::blake3)->Apply(sizes);
BENCHMARK_CAPTURE(hit, sha256_threads, HashAlgorithm::sha256)
    ->ArgName("bytes")
    ->Arg(4096)
    ->Arg(65536)
    ->Threads(2);

void fingerprint(benchmark::State& state) {
  Pieces pieces(state);
  for (auto _ : state) benchmark::DoNotOptimize(sampled_fingerprint(pieces.next()));
}
BENCHMARK(fingerprint)->ArgName("bytes")->Arg(65536);

}  // namespace
}  // namespace cleave
