#include "cleave/chunk/fastcdc.h"

#include <algorithm>
#include <cmath>

#include "cleave/chunk/gear.h"

namespace cleave {

Result<FastCdc> FastCdc::create(const ChunkingOptions& options) {
  CLEAVE_TRY(options.validate());
  return FastCdc(options);
}

FastCdc::FastCdc(const ChunkingOptions& options) : options_(options) {
  const auto bits =
      static_cast<std::size_t>(std::round(std::log2(static_cast<double>(options.avg_size))));
  mask_small_ = kMasks[bits + options.level];
  mask_large_ = kMasks[bits - options.level];
  for (std::size_t i = 0; i < gear_.size(); ++i) {
    gear_[i] = kGear[i] ^ options.seed;
    gear_shifted_[i] = (kGear[i] << 1) ^ (options.seed << 1);
  }
}

std::optional<Cut> FastCdc::resume(Scan& scan, ByteSpan data, bool at_end) const {
  const std::size_t size = std::min(data.size(), static_cast<std::size_t>(options_.max_size));
  const bool complete = at_end || size == options_.max_size;
  if (size <= options_.min_size) {
    return complete ? std::optional<Cut>({size, 0}) : std::nullopt;
  }
  // Whole pairs only: an odd minimum starts one byte early, an odd last byte is never hashed.
  const std::size_t center = std::min(size, static_cast<std::size_t>(options_.avg_size));
  scan.pair = std::max(scan.pair, static_cast<std::size_t>(options_.min_size) / 2);
  if (auto cut = scan_until(scan, data.data(), center / 2, mask_small_)) return cut;
  if (auto cut = scan_until(scan, data.data(), size / 2, mask_large_)) return cut;
  return complete ? std::optional<Cut>({size, scan.hash}) : std::nullopt;
}

std::optional<Cut> FastCdc::scan_until(Scan& scan, const std::byte* data, std::size_t end_pair,
                                       std::uint64_t mask) const {
  const std::uint64_t mask_shifted = mask << 1;
  std::uint64_t hash = scan.hash;
  for (std::size_t i = scan.pair; i < end_pair; ++i) {
    hash = (hash << 2) + gear_shifted_[std::to_integer<std::size_t>(data[2 * i])];
    if ((hash & mask_shifted) == 0) return Cut{2 * i, hash};
    hash += gear_[std::to_integer<std::size_t>(data[2 * i + 1])];
    if ((hash & mask) == 0) return Cut{2 * i + 1, hash};
  }
  scan.pair = std::max(scan.pair, end_pair);
  scan.hash = hash;
  return std::nullopt;
}

}  // namespace cleave
