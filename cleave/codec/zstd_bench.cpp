#include "cleave/codec/zstd.h"

#include <benchmark/benchmark.h>
#include <zstd.h>

#include "bench/bench_data.h"

namespace cleave {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

// 64 pieces of 1 MiB, spread over all of the data.
std::vector<ByteSpan> pieces() {
  const ByteSpan data = bench::real_data();
  const std::size_t count = std::min<std::size_t>(64, data.size() / kPiece);
  std::vector<ByteSpan> chosen;
  for (std::size_t i = 0; i < count; ++i)
    chosen.push_back(data.subspan(i * (data.size() / count), kPiece));
  return chosen;
}

// Passes over all pieces; `code` returns the size that came out.
template <class Code>
void over_pieces(benchmark::State& state, std::span<const ByteSpan> inputs, Code code) {
  std::size_t out = 0;
  for (auto _ : state) {
    out = 0;
    for (const ByteSpan input : inputs) out += code(input);
  }
  const std::size_t in = inputs.size() * kPiece;
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(in));
  state.counters["ratio"] = static_cast<double>(in) / static_cast<double>(out);
}

void compress(benchmark::State& state) {
  Buffer output;
  over_pieces(state, pieces(), [&](ByteSpan input) {
    if (!zstd_compress_into(input, kDefaultZstdLevel, output)) state.SkipWithError("failed");
    return output.size();
  });
}

void compress_by_libzstd(benchmark::State& state) {
  std::vector<std::byte> output(ZSTD_compressBound(kPiece));
  over_pieces(state, pieces(), [&](ByteSpan input) {
    return ZSTD_compress(output.data(), output.size(), input.data(), input.size(),
                         kDefaultZstdLevel);
  });
}

// The time of decompression; bytes are those that come out.
template <class Code>
void over_frames(benchmark::State& state, Code code) {
  std::vector<Buffer> frames;
  for (const ByteSpan input : pieces()) {
    if (!zstd_compress_into(input, kDefaultZstdLevel, frames.emplace_back()))
      state.SkipWithError("failed");
  }
  std::vector<std::byte> output(kPiece);
  for (auto _ : state) {
    for (const Buffer& frame : frames) {
      if (!code(frame.span(), output)) state.SkipWithError("failed");
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frames.size() * kPiece));
}

void decompress(benchmark::State& state) {
  over_frames(state, [](ByteSpan frame, MutableByteSpan output) {
    return zstd_decompress_into(frame, output).has_value();
  });
}

void decompress_by_libzstd(benchmark::State& state) {
  over_frames(state, [](ByteSpan frame, MutableByteSpan output) {
    return ZSTD_isError(
               ZSTD_decompress(output.data(), output.size(), frame.data(), frame.size())) == 0;
  });
}

BENCHMARK(compress)->Unit(benchmark::kMillisecond);
BENCHMARK(compress_by_libzstd)->Unit(benchmark::kMillisecond);
BENCHMARK(decompress)->Unit(benchmark::kMillisecond);
BENCHMARK(decompress_by_libzstd)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cleave
