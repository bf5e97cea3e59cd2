// What benchmarks run on: real data, and zeros and random bytes apart.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "cleave/base/bytes.h"

namespace cleave::bench {

inline constexpr std::size_t kMaxRealData = std::size_t{256} << 20;
inline constexpr std::size_t kMadeData = std::size_t{64} << 20;

inline void append_file(const std::filesystem::path& path, Buffer& to) {
  std::ifstream file(path, std::ios::binary);
  while (file && to.size() < kMaxRealData) {
    const std::size_t old_size = to.size();
    const std::size_t step = std::min<std::size_t>(kMaxRealData - old_size, 1 << 20);
    to.resize(old_size + step);
    file.read(reinterpret_cast<char*>(to.data() + old_size), static_cast<std::streamsize>(step));
    to.resize(old_size + static_cast<std::size_t>(file.gcount()));
  }
}

// The first 256 MiB of the file that CLEAVE_BENCH_FILE names, else of the files of /usr/lib in the
// order of their names.
inline ByteSpan real_data() {
  static const Buffer data = [] {
    Buffer made(kMaxRealData);
    if (const char* path = std::getenv("CLEAVE_BENCH_FILE")) {
      append_file(path, made);
      return made;
    }
    namespace fs = std::filesystem;
    std::vector<fs::path> files;
    constexpr auto kQuietly = fs::directory_options::skip_permission_denied;
    for (const auto& entry : fs::recursive_directory_iterator("/usr/lib", kQuietly)) {
      if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    for (const fs::path& file : files) append_file(file, made);
    return made;
  }();
  return data.span();
}

inline ByteSpan zeros() {
  static const std::vector<std::byte> data(kMadeData);
  return data;
}

inline ByteSpan random_data() {
  static const std::vector<std::byte> data = [] {
    std::vector<std::byte> made(kMadeData);
    std::mt19937_64 random(1);
    for (std::byte& b : made) b = static_cast<std::byte>(random() & 0xff);
    return made;
  }();
  return data;
}

}  // namespace cleave::bench
