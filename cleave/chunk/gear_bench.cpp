// Cut points alone: every kernel against the plain loop of FastCDC v2020 and a bare walk over the
// memory.
#include "cleave/chunk/gear.h"

#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

#include "bench/bench_data.h"
#include "cleave/chunk/chunker.h"
#include "cleave/chunk/internal/gear_scan.h"

namespace cleave {
namespace {

using bench::random_data;
using bench::real_data;
using bench::zeros;

struct Sizes {
  const char* name;
  ChunkingOptions options;
};
const std::array<Sizes, 3> kSizes = {{
    {"256K_1M_4M", {.min_size = 256 << 10, .avg_size = 1 << 20, .max_size = 4 << 20}},
    {"16K_64K_256K", {.min_size = 16 << 10, .avg_size = 64 << 10, .max_size = 256 << 10}},
    {"4K_16K_64K", {.min_size = 4 << 10, .avg_size = 16 << 10, .max_size = 64 << 10}},
}};

void count_bytes(benchmark::State& state, ByteSpan data) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(data.size()));
}

// What memory gives: every 8 bytes are read and added up.
void memory_walk(benchmark::State& state, ByteSpan data) {
  for (auto _ : state) {
    std::array<std::uint64_t, 8> sums = {};
    for (std::size_t i = 0; i + 64 <= data.size(); i += 64) {
      std::array<std::uint64_t, 8> words;
      std::memcpy(words.data(), data.data() + i, 64);
      for (std::size_t k = 0; k < 8; ++k) sums[k] += words[k];
    }
    benchmark::DoNotOptimize(sums);
  }
  count_bytes(state, data);
}

// FastCDC v2020 as it is usually written: two bytes a step, one table shifted by one bit.
struct PlainLoop {
  std::array<std::uint64_t, 256> gear = kGear;
  std::array<std::uint64_t, 256> gear_shifted = kGear;
  std::uint64_t mask_small;
  std::uint64_t mask_large;
  ChunkingOptions options;

  explicit PlainLoop(const ChunkingOptions& sizes) : options(sizes) {
    const auto bits =
        static_cast<std::size_t>(std::lround(std::log2(static_cast<double>(options.avg_size))));
    mask_small = kMasks[bits + options.level];
    mask_large = kMasks[bits - options.level];
    for (std::uint64_t& entry : gear_shifted) entry <<= 1;
  }

  std::size_t cut(ByteSpan data) const {
    const std::size_t size = std::min<std::size_t>(data.size(), options.max_size);
    if (size <= options.min_size) return size;
    std::uint64_t hash = 0;
    std::size_t i = options.min_size / 2;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.data());
    for (const auto& [end, mask] :
         {std::pair(std::min<std::size_t>(size, options.avg_size) / 2, mask_small),
          std::pair(size / 2, mask_large)}) {
      const std::uint64_t mask_shifted = mask << 1;
      for (; i < end; ++i) {
        hash = (hash << 2) + gear_shifted[bytes[2 * i]];
        if ((hash & mask_shifted) == 0) return 2 * i;
        hash += gear[bytes[2 * i + 1]];
        if ((hash & mask) == 0) return 2 * i + 1;
      }
    }
    return size;
  }
};

void plain_loop(benchmark::State& state, const ChunkingOptions& options, ByteSpan data) {
  const PlainLoop loop(options);
  for (auto _ : state) {
    std::size_t chunks = 0;
    for (ByteSpan rest = data; !rest.empty(); ++chunks) rest = rest.subspan(loop.cut(rest));
    benchmark::DoNotOptimize(chunks);
  }
  count_bytes(state, data);
}

void kernel(benchmark::State& state, const ChunkingOptions& options, const GearKernel& gear,
            ByteSpan data) {
  const FastCdc fastcdc = *FastCdc::create(options, gear);
  for (auto _ : state) {
    const auto cuts = cut_all(fastcdc, data);
    benchmark::DoNotOptimize(cuts.data());
    state.counters["chunks"] = static_cast<double>(cuts.size());
  }
  count_bytes(state, data);
}

// Input that comes in slices, with no view of the bytes before.
void push(benchmark::State& state, ByteSpan data) {
  const auto slice = static_cast<std::size_t>(state.range(0)) << 10;
  const FastCdc fastcdc = *FastCdc::create({});
  for (auto _ : state) {
    FastCdc::Scan scan;
    for (ByteSpan rest = data; !rest.empty();) {
      const std::size_t size = std::min(slice, rest.size());
      const std::size_t before = scan.length;
      if (const auto cut = fastcdc.resume(scan, rest.first(size), size == rest.size())) {
        benchmark::DoNotOptimize(cut->gear_hash);
        rest = rest.subspan(cut->length - before);
        scan = {};
      } else {
        rest = rest.subspan(size);
      }
    }
  }
  count_bytes(state, data);
}

void add_benchmarks(const char* name, ByteSpan data) {
  const auto add = [&](const std::string& what, auto&&... arguments) {
    return benchmark::RegisterBenchmark((what + "/" + name).c_str(), arguments...)
        ->Unit(benchmark::kMillisecond);
  };
  add("memory_walk", memory_walk, data);
  for (const Sizes& sizes : kSizes) {
    const std::string of = std::string("/") + sizes.name;
    add("plain_loop" + of, plain_loop, sizes.options, data);
    for (const GearKernel& gear : gear_kernels()) {
      add("kernel_" + std::string(gear.name) + of, kernel, sizes.options, gear, data);
    }
  }
  add("push_kib", push, data)->Arg(1024)->Arg(64)->Arg(16)->Arg(4);
}

const bool added = [] {
  add_benchmarks("real", real_data());
  add_benchmarks("random", random_data());
  add_benchmarks("zeros", zeros());
  return true;
}();

}  // namespace
}  // namespace cleave
