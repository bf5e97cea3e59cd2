// Packing and reading a real tree, against only reading its files. The tree is CLEAVE_BENCH_TREE,
// else /usr/lib/python3. Files are read once beforehand: it is the page cache that is measured, not
// the disk.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include "cleave/base/file.h"
#include "cleave/nar/nar_list.h"
#include "cleave/nar/nar_reader.h"
#include "cleave/nar/nar_source.h"
#include "cleave/nar/nar_unpack.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSliceSize = std::size_t{1} << 20;

fs::path tree() {
  const char* set = std::getenv("CLEAVE_BENCH_TREE");
  if (set != nullptr) return set;
  return fs::exists("/usr/lib/python3") ? "/usr/lib/python3" : "/usr/share";
}

const Buffer& nar_of_tree() {
  static const Buffer nar = [] {
    Buffer whole;
    Buffer slice;
    slice.resize(kSliceSize);
    auto source = NarSource::open(tree());
    while (source) {
      const auto n = source->read(slice.span());
      if (!n) std::abort();
      if (*n == 0) break;
      whole.append(slice.span().first(*n));
    }
    return whole;
  }();
  return nar;
}

void report(benchmark::State& state, std::size_t bytes, std::size_t files) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  state.counters["files"] =
      benchmark::Counter(static_cast<double>(files), benchmark::Counter::kIsIterationInvariantRate);
}

// The least that packing needs: the names of all files beforehand, then open, read, close.
void bare_read(benchmark::State& state) {
  nar_of_tree();
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(tree())) {
    if (entry.is_regular_file() && !entry.is_symlink()) paths.push_back(entry.path());
  }
  Buffer slice;
  slice.resize(kSliceSize);
  std::size_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    for (const fs::path& path : paths) {
      const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      ssize_t n;
      do {
        n = ::read(fd, slice.data(), slice.size());
        bytes += n > 0 ? static_cast<std::size_t>(n) : 0;
      } while (n == static_cast<ssize_t>(slice.size()));
      ::close(fd);
    }
  }
  report(state, bytes, paths.size());
}
BENCHMARK(bare_read)->Unit(benchmark::kMillisecond);

void nar_source(benchmark::State& state) {
  nar_of_tree();
  Buffer slice;
  slice.resize(static_cast<std::size_t>(state.range(0)));
  std::size_t bytes = 0;
  std::size_t files = 0;
  for (auto _ : state) {
    auto source = NarSource::open(tree());
    if (!source) return state.SkipWithError("cannot open the tree");
    bytes = 0;
    for (;;) {
      const auto n = source->read(slice.span());
      if (!n) return state.SkipWithError(std::string(n.error().message()).c_str());
      if (*n == 0) break;
      bytes += *n;
    }
    files = source->counts().files;
  }
  report(state, bytes, files);
}
BENCHMARK(nar_source)->Arg(1 << 16)->Arg(1 << 20)->Unit(benchmark::kMillisecond);

void nar_reader(benchmark::State& state) {
  struct Count final : NarVisitor {
    Result<> file_begin(const NarFile&) override {
      ++files;
      return {};
    }
    Result<> file_contents(ByteSpan contents) override {
      bytes += contents.size();
      return {};
    }
    std::size_t files = 0;
    std::size_t bytes = 0;
  };
  const ByteSpan nar = nar_of_tree().span();
  const auto slice = static_cast<std::size_t>(state.range(0));
  std::size_t files = 0;
  for (auto _ : state) {
    Count count;
    NarReader reader(count);
    for (std::size_t at = 0; at < nar.size(); at += slice) {
      if (!reader.feed(nar.subspan(at, std::min(slice, nar.size() - at)))) std::abort();
    }
    if (!reader.finish()) std::abort();
    benchmark::DoNotOptimize(count.bytes);
    files = count.files;
  }
  report(state, nar.size(), files);
}
BENCHMARK(nar_reader)->Arg(1 << 12)->Arg(1 << 16)->Arg(1 << 20)->Unit(benchmark::kMillisecond);

void list(benchmark::State& state) {
  const ByteSpan nar = nar_of_tree().span();
  std::size_t entries = 0;
  for (auto _ : state) {
    entries = list_nar(nar).value().size();
  }
  report(state, nar.size(), entries);
}
BENCHMARK(list)->Unit(benchmark::kMillisecond);

// Into memory where there is such a folder, so that it is not the disk that is measured.
void unpack(benchmark::State& state) {
  const ByteSpan nar = nar_of_tree().span();
  const fs::path memory = "/dev/shm";
  const fs::path target = temporary_name_beside(
      (fs::exists(memory) ? memory : fs::temp_directory_path()) / "cleave-bench");
  for (auto _ : state) {
    MemorySource source(nar);
    if (!unpack_nar(source, target)) std::abort();
    state.PauseTiming();
    fs::remove_all(target);
    state.ResumeTiming();
  }
  report(state, nar.size(), list_nar(nar).value().size());
}
BENCHMARK(unpack)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cleave
