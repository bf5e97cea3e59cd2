#include "cleave/hash/hash.h"

#include <benchmark/benchmark.h>

#include "bench/bench_data.h"

namespace cleave {
namespace {

// Hashes the real data in pieces of so many bytes, as the chunks of a file are.
void hash_pieces(benchmark::State& state, HashAlgorithm algorithm) {
  const ByteSpan data = bench::real_data();
  const auto size = std::min(static_cast<std::size_t>(state.range(0)), data.size());
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(hash(algorithm, data.subspan(at, size)));
    at = at + 2 * size <= data.size() ? at + size : 0;
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

BENCHMARK_CAPTURE(hash_pieces, sha256, HashAlgorithm::sha256)
    ->Arg(64)
    ->Arg(4096)
    ->Arg(1 << 20)
    ->ArgName("bytes");
BENCHMARK_CAPTURE(hash_pieces, blake3, HashAlgorithm::blake3)
    ->Arg(64)
    ->Arg(4096)
    ->Arg(1 << 20)
    ->ArgName("bytes");

void nix_base32(benchmark::State& state) {
  const Digest digest = sha256({});
  for (auto _ : state) benchmark::DoNotOptimize(to_nix_base32(digest.span()));
}
BENCHMARK(nix_base32);

}  // namespace
}  // namespace cleave
