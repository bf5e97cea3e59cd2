// The search for the next place where the gear hash, h = 2 h + gear[byte], has all bits of a mask
// at 0: one function, in kernels for several kinds of CPU that all give the same answer.
//
// A byte has left the hash 64 bytes later, and has no more part in its lower 48 bits, which are all
// that any mask looks at, 48 bytes later. So kernels cut the data into streams, start each a little
// early to warm its hash up, and move them all at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "cleave/base/bytes.h"
#include "cleave/base/cpu.h"
#include "cleave/chunk/fastcdc.h"

namespace cleave {

// Bits that a mask may have: the lower ones of the hash, so many.
constexpr std::size_t kMaskBits = 48;

struct GearTables {
  explicit GearTables(std::uint64_t seed);

  alignas(64) std::array<std::uint64_t, 256> gear;
  // planes[k][b] is byte k of gear[b]: what can be looked up with byte permutes.
  alignas(64) std::array<std::array<std::uint8_t, 256>, kMaskBits / 8> planes;
};

struct GearHit {
  std::size_t position;  // of the byte whose hash it is; data.size() when there is no hit
  std::uint64_t hash;    // with that byte, or with the last one
};

// Moves over `data`, starting with `hash`, to the first byte where (hash & mask) == 0. `mask` has
// no bits beyond kMaskBits.
using GearFind = GearHit (*)(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                             std::uint64_t mask);

struct GearKernel : KernelInfo {
  GearFind find;
};

// All kernels that this machine can run, the slowest first.
std::span<const GearKernel> gear_kernels();
// The one for cpu_level().
const GearKernel& gear_kernel();

// The kernels. The scalar one is the definition.
GearHit gear_find_scalar(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                         std::uint64_t mask);
GearHit gear_find_interleaved(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                              std::uint64_t mask);
#if defined(__x86_64__)
GearHit gear_find_vbmi(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                       std::uint64_t mask);
#endif

// The hash with byte `position` of `data`, where `hash` is that before the first.
std::uint64_t gear_hash_at(const GearTables& tables, ByteSpan data, std::size_t position,
                           std::uint64_t hash);

// How many bytes to move through at a time. What is scanned beyond a hit is lost, and so is the
// warming up of every block: this balances them for hits as rare as `mask` makes them.
std::size_t gear_block_size(std::uint64_t mask, std::size_t min, std::size_t max);

}  // namespace cleave
