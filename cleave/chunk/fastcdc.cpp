#include "cleave/chunk/fastcdc.h"

#include <algorithm>
#include <cmath>

#include "cleave/chunk/gear.h"
#include "cleave/chunk/internal/gear_scan.h"

namespace cleave {

std::vector<KernelInfo> FastCdc::kernels() {
  const auto kernels = gear_kernels();
  return {kernels.begin(), kernels.end()};
}

KernelInfo FastCdc::default_kernel() { return gear_kernel(); }

Result<FastCdc> FastCdc::create(const ChunkingOptions& options) {
  return create(options, gear_kernel());
}

Result<FastCdc> FastCdc::create(const ChunkingOptions& options, const GearKernel& kernel) {
  CLEAVE_TRY(options.validate());
  return FastCdc(options, kernel);
}

FastCdc::FastCdc(const ChunkingOptions& options, const GearKernel& kernel)
    : options_(options),
      tables_(std::make_shared<const GearTables>(options.seed)),
      kernel_(&kernel) {
  const auto bits =
      static_cast<std::size_t>(std::round(std::log2(static_cast<double>(options.avg_size))));
  mask_small_ = kMasks[bits + options.level];
  mask_large_ = kMasks[bits - options.level];
}

std::optional<Cut> FastCdc::resume(Scan& scan, ByteSpan next, bool at_end) const {
  const auto min_size = static_cast<std::size_t>(options_.min_size);
  const auto avg_size = static_cast<std::size_t>(options_.avg_size);
  const auto max_size = static_cast<std::size_t>(options_.max_size);
  const std::size_t size = scan.length + std::min(next.size(), max_size - scan.length);
  const bool complete = at_end || size == max_size;
  if (size > min_size) {
    // Whole pairs only: an odd minimum starts one byte early, an odd last byte is never hashed.
    std::size_t position = std::max(scan.length / 2 * 2, min_size / 2 * 2);
    const std::size_t center = std::min(size, avg_size) / 2 * 2;
    if (auto cut = search(scan, position, center, next, mask_small_)) return cut;
    if (auto cut = search(scan, position, size / 2 * 2, next, mask_large_)) return cut;
  }
  if (complete) return Cut{size, size > min_size ? scan.hash : 0};
  if (!next.empty()) scan.held = next.back();
  scan.length = size;
  return std::nullopt;
}

// Looks at the chunk's bytes [position, end) and leaves `position` at `end`, unless it finds a cut.
std::optional<Cut> FastCdc::search(Scan& scan, std::size_t& position, std::size_t end,
                                   ByteSpan next, std::uint64_t mask) const {
  const auto look_at = [&](ByteSpan bytes) -> std::optional<Cut> {
    const GearHit hit = kernel_->find(*tables_, bytes, scan.hash, mask);
    scan.hash = hit.hash;
    position += hit.position;
    if (hit.position == bytes.size()) return std::nullopt;
    // The hash of a pair's first byte is one step ahead.
    return Cut{position, position % 2 == 0 ? hit.hash << 1 : hit.hash};
  };
  if (position >= end) return std::nullopt;
  if (position < scan.length) {
    if (auto cut = look_at(ByteSpan(&scan.held, 1))) return cut;
  }
  return look_at(next.subspan(position - scan.length, end - position));
}

}  // namespace cleave
