// Four streams through the integer units. One stream waits for its own hash most of the time; four
// keep the CPU busy. AVX2 and NEON have no lookup in 256 entries: gathers, and vectors put together
// from single loads, were slower (docs/architecture.md).
#include <algorithm>
#include <array>
#include <utility>

#include "cleave/chunk/internal/gear_scan.h"

namespace cleave {

namespace {

constexpr std::size_t kStreams = 4;
// Bytes of a stream that are moved at a time.
constexpr std::size_t kStep = 8;
constexpr std::size_t kMaxBlock = std::size_t{64} << 10;
constexpr std::size_t kMinBlock = 1024;
constexpr std::size_t kWarmUp = 64;

using Streams = std::array<const std::byte*, kStreams>;
using Hashes = std::array<std::uint64_t, kStreams>;

// Moves all streams by `length` bytes, or to a step in which one of them has a hit; returns how
// far.
std::size_t move(const GearTables& tables, const Streams& streams, Hashes& hashes,
                 std::size_t length, std::uint64_t mask) {
  auto [h0, h1, h2, h3] = hashes;
  const auto [s0, s1, s2, s3] = streams;
  const auto gear = [&](const std::byte* stream, std::size_t at) {
    return tables.gear[std::to_integer<std::size_t>(stream[at])];
  };
  for (std::size_t i = 0; i < length; i += kStep) {
    // The next block, a line of one stream after the other.
    __builtin_prefetch(streams[i / kStep % kStreams] + i + kStreams * length, 0, 2);
#pragma GCC unroll 8
    for (std::size_t j = i; j < i + kStep; ++j) {
      h0 = 2 * h0 + gear(s0, j);
      if ((h0 & mask) == 0) [[unlikely]]
        return i;
      h1 = 2 * h1 + gear(s1, j);
      if ((h1 & mask) == 0) [[unlikely]]
        return i;
      h2 = 2 * h2 + gear(s2, j);
      if ((h2 & mask) == 0) [[unlikely]]
        return i;
      h3 = 2 * h3 + gear(s3, j);
      if ((h3 & mask) == 0) [[unlikely]]
        return i;
    }
  }
  hashes = {h0, h1, h2, h3};
  return length;
}

// The first hit of a block, of whose streams none has one before `from`, and one has.
GearHit first_hit(const GearTables& tables, ByteSpan block, std::uint64_t hash, std::uint64_t mask,
                  std::size_t from) {
  const std::size_t length = block.size() / kStreams;
  for (std::size_t begin = 0; begin < block.size(); begin += length) {
    const std::size_t at = begin + from;
    const std::uint64_t before = at == 0 ? hash : gear_hash_at(tables, block, at - 1, hash);
    const ByteSpan rest = block.subspan(at, length - from);
    const GearHit hit = gear_find_scalar(tables, rest, before, mask);
    if (hit.position < rest.size()) return {at + hit.position, hit.hash};
  }
  std::unreachable();
}

}  // namespace

GearHit gear_find_interleaved(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                              std::uint64_t mask) {
  const std::size_t block_size = gear_block_size(mask, kMinBlock, kMaxBlock);
  std::size_t done = 0;
  std::uint64_t last = hash;
  while (data.size() - done >= kMinBlock) {
    const std::size_t length =
        std::min(data.size() - done, block_size) / (kStreams * kStep) * kStep;
    const ByteSpan block = data.subspan(done, kStreams * length);
    Streams streams;
    Hashes hashes = {last};
    for (std::size_t s = 0; s < kStreams; ++s) {
      streams[s] = block.data() + s * length;
      if (s == 0) continue;
      const ByteSpan before(streams[s] - kWarmUp, kWarmUp);
      hashes[s] = gear_hash_at(tables, before, kWarmUp - 1, 0);
    }
    const std::size_t moved = move(tables, streams, hashes, length, mask);
    if (moved < length) {
      const GearHit hit = first_hit(tables, block, last, mask, moved);
      return {done + hit.position, hit.hash};
    }
    done += block.size();
    last = hashes.back();
  }
  const GearHit hit = gear_find_scalar(tables, data.subspan(done), last, mask);
  return {done + hit.position, hit.hash};
}

}  // namespace cleave
