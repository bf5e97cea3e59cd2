#include "cleave/chunk/internal/gear_scan.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "cleave/chunk/gear.h"

namespace cleave {

namespace {

constexpr std::array kKernels = {
    GearKernel{{"scalar", CpuLevel::scalar}, gear_find_scalar},
    GearKernel{{"interleaved", CpuLevel::neon}, gear_find_interleaved},
#if defined(__x86_64__)
    GearKernel{{"interleaved", CpuLevel::avx2}, gear_find_interleaved},
    GearKernel{{"vbmi", CpuLevel::avx512vbmi}, gear_find_vbmi},
#endif
};

std::uint64_t step(const GearTables& tables, std::uint64_t hash, std::byte byte) {
  return (hash << 1) + tables.gear[std::to_integer<std::size_t>(byte)];
}

}  // namespace

GearTables::GearTables(std::uint64_t seed) {
  for (std::size_t byte = 0; byte < gear.size(); ++byte) {
    gear[byte] = kGear[byte] ^ seed;
    for (std::size_t k = 0; k < planes.size(); ++k) {
      planes[k][byte] = static_cast<std::uint8_t>(gear[byte] >> (8 * k));
    }
  }
}

GearHit gear_find_scalar(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                         std::uint64_t mask) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    hash = step(tables, hash, data[i]);
    if ((hash & mask) == 0) return {i, hash};
  }
  return {data.size(), hash};
}

std::uint64_t gear_hash_at(const GearTables& tables, ByteSpan data, std::size_t position,
                           std::uint64_t hash) {
  if (position < 63) {
    for (std::size_t i = 0; i <= position; ++i) hash = step(tables, hash, data[i]);
    return hash;
  }
  // In four parts that do not wait for each other.
  constexpr std::size_t kPart = 16;
  const std::byte* bytes = data.data() + position - 63;
  std::array<std::uint64_t, 4> parts = {};
  for (std::size_t i = 0; i < kPart; ++i) {
    for (std::size_t k = 0; k < 4; ++k) parts[k] = step(tables, parts[k], bytes[k * kPart + i]);
  }
  return (parts[0] << 48) + (parts[1] << 32) + (parts[2] << 16) + parts[3];
}

std::size_t gear_block_size(std::uint64_t mask, std::size_t min, std::size_t max) {
  const int bits = std::popcount(mask);
  return std::clamp(std::size_t{1} << (bits / 2 + 5), min, max);
}

std::span<const GearKernel> gear_kernels() {
  static const std::vector<GearKernel> kernels = [] {
    std::vector<GearKernel> runnable;
    std::ranges::copy_if(kKernels, std::back_inserter(runnable), [](const GearKernel& kernel) {
      const auto levels = cpu_levels();
      return std::ranges::find(levels, kernel.needs) != levels.end();
    });
    return runnable;
  }();
  return kernels;
}

const GearKernel& gear_kernel() {
  static const GearKernel& chosen = [] -> const GearKernel& {
    const auto kernels = gear_kernels();
    auto best = kernels.begin();
    for (auto kernel = kernels.begin(); kernel != kernels.end(); ++kernel) {
      if (kernel->needs <= cpu_level()) best = kernel;
    }
    return *best;
  }();
  return chosen;
}

}  // namespace cleave
