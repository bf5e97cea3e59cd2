// Bytes to test with: the same on every machine and run.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cleave/base/bytes.h"

namespace cleave::test {

// The SplitMix64 generator from state `seed`, each number little-endian.
inline std::vector<std::byte> random_bytes(std::uint64_t seed, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; i += 8) {
    seed += 0x9e3779b97f4a7c15;
    std::uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    for (std::size_t k = i; k < std::min(i + 8, size); ++k, z >>= 8) {
      bytes[k] = static_cast<std::byte>(z & 0xff);
    }
  }
  return bytes;
}

// Bytes as files have them: random ones, runs of one byte, and repetitions of what came before.
inline std::vector<std::byte> mixed_bytes(std::uint64_t seed, std::size_t size) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes;
  while (bytes.size() < size) {
    const std::size_t n = std::min<std::size_t>(1 + random() % 2000, size - bytes.size());
    switch (random() % 3) {
      case 0: {
        const std::vector<std::byte> part = random_bytes(random(), n);
        bytes.insert(bytes.end(), part.begin(), part.end());
        break;
      }
      case 1: bytes.insert(bytes.end(), n, static_cast<std::byte>(random() & 0xff)); break;
      default: {
        const std::size_t from = bytes.empty() ? 0 : random() % bytes.size();
        for (std::size_t i = 0; i < n; ++i)
          bytes.push_back(from + i < bytes.size() ? bytes[from + i] : std::byte{1});
      }
    }
  }
  return bytes;
}

inline std::string text_of(ByteSpan bytes) { return std::string(as_text(bytes)); }

inline bool equal(ByteSpan a, ByteSpan b) { return std::ranges::equal(a, b); }

}  // namespace cleave::test
