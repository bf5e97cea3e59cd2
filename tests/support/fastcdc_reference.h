// FastCDC v2020 as its definition reads, rescanning every chunk from its start: what the real one
// is compared with.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cleave/base/bytes.h"
#include "cleave/chunk/fastcdc.h"
#include "cleave/chunk/gear.h"

namespace cleave::test {

inline Cut reference_cut(const ChunkingOptions& options, ByteSpan src) {
  std::size_t n = src.size();
  if (n <= options.min_size) return {n, 0};
  std::size_t center = options.avg_size;
  if (n > options.max_size) {
    n = options.max_size;
  } else if (n < center) {
    center = n;
  }
  const auto bits =
      static_cast<std::size_t>(std::lround(std::log2(static_cast<double>(options.avg_size))));
  const auto gear = [&](std::size_t at) {
    return kGear[std::to_integer<std::size_t>(src[at])] ^ options.seed;
  };
  std::uint64_t h = 0;
  for (std::size_t i = options.min_size / 2; i < n / 2; ++i) {
    const std::uint64_t mask = kMasks[i < center / 2 ? bits + options.level : bits - options.level];
    h = (h << 2) + (gear(2 * i) << 1);
    if ((h & (mask << 1)) == 0) return {2 * i, h};
    h += gear(2 * i + 1);
    if ((h & mask) == 0) return {2 * i + 1, h};
  }
  return {n, h};
}

inline std::vector<Cut> reference_cuts(const ChunkingOptions& options, ByteSpan data) {
  std::vector<Cut> cuts;
  while (!data.empty()) {
    cuts.push_back(reference_cut(options, data));
    data = data.subspan(cuts.back().length);
  }
  return cuts;
}

}  // namespace cleave::test
