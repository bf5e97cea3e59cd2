// Ways to read a large file, each pass beside one of plain read(2) into one buffer: `of_plain` is
// how many times faster it was. The file is CLEAVE_BENCH_FILE, else a made one of 512 MiB in the
// temporary folder. Hot: the page cache has it. Cold: it was told to forget it; what lies below
// (a virtual machine's host) may still have it. Work: a gear hash over all bytes, as cutting does.
#include "cleave/base/read_ahead.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include "cleave/base/file.h"
#include "cleave/base/mapped_windows.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMadeSize = std::size_t{512} << 20;

class TemporaryFile {
 public:
  TemporaryFile() : path_(temporary_name_beside(fs::temp_directory_path() / "bench")) {
    const auto fd = open_file(path_, O_WRONLY | O_CREAT | O_EXCL);
    const std::vector<std::byte> piece(1 << 20, std::byte{42});
    for (std::size_t done = 0; done < kMadeSize; done += piece.size()) {
      if (!fd || !write_all(fd->get(), piece, path_)) std::abort();
    }
    if (!sync_data(fd->get(), path_)) std::abort();  // only clean pages can be dropped
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { fs::remove(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

const fs::path& bench_file() {
  static const fs::path path = [] {
    if (const char* named = std::getenv("CLEAVE_BENCH_FILE")) return fs::path(named);
    static const TemporaryFile made;
    return made.path();
  }();
  return path;
}

[[gnu::noinline]] std::uint64_t gear_hash(ByteSpan bytes) {
  static const std::array<std::uint64_t, 256> gear = [] {
    std::array<std::uint64_t, 256> table;
    for (std::uint64_t i = 0; i < 256; ++i) table[i] = (i + 1) * 0x9e3779b97f4a7c15;
    return table;
  }();
  std::uint64_t hash = 0;
  for (const std::byte byte : bytes) hash = (hash << 1) + gear[std::to_integer<std::size_t>(byte)];
  return hash;
}

using Consumer = void (*)(ByteSpan);
void work(ByteSpan bytes) { benchmark::DoNotOptimize(gear_hash(bytes)); }
void touch(ByteSpan bytes) {
  std::byte sum{};
  for (std::size_t i = 0; i < bytes.size(); i += 64) sum ^= bytes[i];
  benchmark::DoNotOptimize(sum);
}

void set_cache(bool hot) {
  const FileDescriptor fd = open_file(bench_file(), O_RDONLY).value();
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  if (!hot) return;
  std::vector<std::byte> buffer(1 << 20);
  while (*read_some(fd.get(), buffer, bench_file()) > 0) {
  }
}

std::uint64_t pass_plain_read(Consumer consume) {
  const FileDescriptor fd = open_file(bench_file(), O_RDONLY).value();
  std::vector<std::byte> buffer(512 << 10);
  std::uint64_t total = 0;
  for (;;) {
    const std::size_t n = *read_some(fd.get(), buffer, bench_file());
    if (n == 0) return total;
    consume(ByteSpan(buffer).first(n));
    total += n;
  }
}

std::uint64_t pass_blocks(const BlockOptions& options, Consumer consume) {
  const auto source = open_blocks(bench_file(), options).value();
  std::uint64_t total = 0;
  for (;;) {
    const Bytes block = source->next().value();
    if (block.empty()) return total;
    consume(block);
    total += block.size();
  }
}

template <class Pass>
double seconds(bool hot, Pass pass) {
  set_cache(hot);
  const auto begin = std::chrono::steady_clock::now();
  benchmark::DoNotOptimize(pass());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void against_plain_read(benchmark::State& state, const BlockOptions& options) {
  const bool hot = state.range(0) != 0;
  const Consumer consume = state.range(1) != 0 ? work : touch;
  double plain = 0;
  double ours = 0;
  for (auto _ : state) {
    plain += seconds(hot, [&] { return pass_plain_read(consume); });
    const double time = seconds(hot, [&] { return pass_blocks(options, consume); });
    ours += time;
    state.SetIterationTime(time);
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(fs::file_size(bench_file())));
  state.counters["of_plain"] = plain / ours;
}

BlockOptions reading(ReadBackend backend, DirectIo direct = DirectIo::no) {
  BlockOptions options;
  options.reading.backend = backend;
  options.reading.direct = direct;
  return options;
}

BlockOptions mapping() {
  BlockOptions options;
  options.access = BlockAccess::map;
  return options;
}

void every_cache_and_work(benchmark::internal::Benchmark* made) {
  made->ArgsProduct({{1, 0}, {0, 1}})->ArgNames({"hot", "work"});
  made->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(5);
}

#define CLEAVE_READ_BENCH(name, ...) \
  BENCHMARK_CAPTURE(against_plain_read, name, __VA_ARGS__)->Apply(every_cache_and_work)
CLEAVE_READ_BENCH(automatic, reading(ReadBackend::automatic));
CLEAVE_READ_BENCH(plain, reading(ReadBackend::plain));
CLEAVE_READ_BENCH(threads, reading(ReadBackend::threads));
CLEAVE_READ_BENCH(io_uring, reading(ReadBackend::io_uring));
CLEAVE_READ_BENCH(plain_direct, reading(ReadBackend::plain, DirectIo::yes));
CLEAVE_READ_BENCH(threads_direct, reading(ReadBackend::threads, DirectIo::yes));
CLEAVE_READ_BENCH(io_uring_direct, reading(ReadBackend::io_uring, DirectIo::yes));
CLEAVE_READ_BENCH(mapped, mapping());

}  // namespace
}  // namespace cleave
