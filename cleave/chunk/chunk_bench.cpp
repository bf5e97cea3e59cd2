// Chunks and their digests by all threads, against cutting alone and hashing alone; streams against
// one pass.
#include <filesystem>
#include <fstream>

#include <benchmark/benchmark.h>

#include "bench/bench_data.h"
#include "cleave/base/file.h"
#include "cleave/base/mapped_windows.h"
#include "cleave/chunk/chunk_stream.h"
#include "cleave/chunk/chunker.h"
#include "cleave/chunk/hashed_stream.h"

namespace cleave {
namespace {

using bench::real_data;

// The real data as a file, for as long as the benchmarks run.
class RealFile {
 public:
  RealFile() : path_(std::filesystem::temp_directory_path() / "cleave-chunk-bench") {
    const ByteSpan data = real_data();
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(data.data()),
               static_cast<std::streamsize>(data.size()));
  }
  ~RealFile() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};
const std::filesystem::path& real_file() {
  static const RealFile file;
  return file.path();
}

Executor& threads(std::int64_t count) {
  static const auto one = make_inline_executor();
  static const auto all = make_executor();
  return count == 1 ? *one : *all;
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(real_data().size()));
}

// range(0): 1 for one thread, else all.
void cut_one_buffer(benchmark::State& state) {
  const FastCdc fastcdc = *FastCdc::create({});
  for (auto _ : state) {
    const auto cuts = cut_all(threads(state.range(0)), fastcdc, real_data());
    benchmark::DoNotOptimize(cuts.data());
  }
  count_bytes(state);
}

void hash_chunks(benchmark::State& state, HashAlgorithm algorithm) {
  const auto chunks = cut_all(*FastCdc::create({}), real_data());
  std::vector<std::size_t> begins = {0};
  for (const Cut& cut : chunks) begins.push_back(begins.back() + cut.length);
  std::vector<Digest> digests(chunks.size());
  for (auto _ : state) {
    threads(state.range(0)).run(chunks.size(), [&](std::size_t i) {
      digests[i] = hash(algorithm, real_data().subspan(begins[i], chunks[i].length));
    });
    benchmark::DoNotOptimize(digests.data());
  }
  count_bytes(state);
}

void describe(benchmark::State& state, HashAlgorithm algorithm) {
  const FastCdc fastcdc = *FastCdc::create({});
  for (auto _ : state) {
    const auto chunks = describe_chunks(threads(state.range(0)), fastcdc, algorithm, real_data());
    benchmark::DoNotOptimize(chunks.data());
  }
  count_bytes(state);
}

void hashed_stream_of_file(benchmark::State& state, HashAlgorithm algorithm) {
  for (auto _ : state) {
    FileSource file = FileSource::open(real_file()).value();
    auto stream =
        HashedStream::create(file, {.algorithm = algorithm, .executor = &threads(state.range(0))})
            .value();
    while (const auto chunk = stream.next().value()) benchmark::DoNotOptimize(chunk->hash);
  }
  count_bytes(state);
}

void hashed_stream_of_mapped_file(benchmark::State& state, HashAlgorithm algorithm) {
  for (auto _ : state) {
    MappedWindows file = MappedWindows::open(real_file()).value();
    auto stream =
        HashedStream::create(file, {.algorithm = algorithm, .executor = &threads(state.range(0))})
            .value();
    while (const auto chunk = stream.next().value()) benchmark::DoNotOptimize(chunk->hash);
  }
  count_bytes(state);
}

// range(0): the average size in KiB.
ChunkingOptions options_of(const benchmark::State& state) {
  const auto avg = static_cast<std::uint64_t>(state.range(0)) << 10;
  return {.min_size = std::max<std::uint64_t>(avg / 4, 64), .avg_size = avg, .max_size = 4 * avg};
}

void one_pass(benchmark::State& state) {
  const FastCdc fastcdc = *FastCdc::create(options_of(state));
  for (auto _ : state) benchmark::DoNotOptimize(cut_all(fastcdc, real_data()).data());
  count_bytes(state);
}

template <class Source>
void drain(benchmark::State& state, Source& source, const FastCdc& fastcdc) {
  ChunkStream stream(source, fastcdc);
  std::int64_t chunks = 0;
  for (; const auto chunk = stream.next().value(); ++chunks) {
    benchmark::DoNotOptimize(chunk->payload.data());
  }
  state.counters["chunks"] = static_cast<double>(chunks);
}

// The whole input is one block: what next() costs beyond the cutting is the difference to one_pass.
void stream_of_memory(benchmark::State& state) {
  class Whole final : public BlockSource {
   public:
    Result<Bytes> next() override { return std::exchange(rest_, {}); }

   private:
    Bytes rest_ = Bytes::borrowed(real_data());
  };
  const FastCdc fastcdc = *FastCdc::create(options_of(state));
  for (auto _ : state) {
    Whole source;
    drain(state, source, fastcdc);
  }
  count_bytes(state);
}

void stream_of_file_read(benchmark::State& state) {
  const FastCdc fastcdc = *FastCdc::create(options_of(state));
  for (auto _ : state) {
    FileSource file = FileSource::open(real_file()).value();
    drain(state, file, fastcdc);
  }
  count_bytes(state);
}

void stream_of_file_mapped(benchmark::State& state) {
  const FastCdc fastcdc = *FastCdc::create(options_of(state));
  for (auto _ : state) {
    MappedWindows file = MappedWindows::open(real_file()).value();
    drain(state, file, fastcdc);
  }
  count_bytes(state);
}

constexpr auto kSha256 = HashAlgorithm::sha256;
constexpr auto kBlake3 = HashAlgorithm::blake3;

// Threads work behind the one that measures: what counts is the time that passes.
void by_threads(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(1)->Arg(0)->ArgName("threads")->Unit(benchmark::kMillisecond)->UseRealTime();
}
void by_average(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(1024)->Arg(64)->Arg(4)->ArgName("avg_kib")->Unit(benchmark::kMillisecond);
}

BENCHMARK(cut_one_buffer)->Apply(by_threads);
BENCHMARK_CAPTURE(hash_chunks, sha256, kSha256)->Apply(by_threads);
BENCHMARK_CAPTURE(describe, sha256, kSha256)->Apply(by_threads);
BENCHMARK_CAPTURE(hashed_stream_of_file, sha256, kSha256)->Apply(by_threads);
BENCHMARK_CAPTURE(hashed_stream_of_mapped_file, sha256, kSha256)->Apply(by_threads);
BENCHMARK_CAPTURE(hash_chunks, blake3, kBlake3)->Apply(by_threads);
BENCHMARK_CAPTURE(describe, blake3, kBlake3)->Apply(by_threads);
BENCHMARK_CAPTURE(hashed_stream_of_file, blake3, kBlake3)->Apply(by_threads);
BENCHMARK_CAPTURE(hashed_stream_of_mapped_file, blake3, kBlake3)->Apply(by_threads);
BENCHMARK(one_pass)->Apply(by_average);
BENCHMARK(stream_of_memory)->Apply(by_average);
BENCHMARK(stream_of_file_read)->Apply(by_average);
BENCHMARK(stream_of_file_mapped)->Apply(by_average);

}  // namespace
}  // namespace cleave
