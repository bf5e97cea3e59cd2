// Streams in AVX-512 registers, one 32-bit lane each. Entries of the gear table are put together
// from byte permutes, four bytes of a set of 16 streams at a time.
//
// Where the lower 32 bits of a mask make hits rare enough (`Narrow`), a lane holds those bits of
// the hash, and what passes is looked at again. Otherwise (`Wide`) two lanes hold the lower 48
// bits.
#if defined(__x86_64__)

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <immintrin.h>
#include <span>
#include <tuple>

#include "cleave/chunk/internal/gear_scan.h"

// GCC 12 takes the undefined vectors in its own intrinsics for mistakes (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define CLEAVE_VBMI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")))
#define CLEAVE_VBMI_INLINE [[gnu::always_inline]] CLEAVE_VBMI inline

namespace cleave {

namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kColumn = 64;  // bytes of a stream that are loaded at a time
constexpr std::size_t kMaxBlock = std::size_t{18} << 10;
// A block with more candidates than one in so many bytes repeats itself.
constexpr std::size_t kRepeating = 64;

// Four bytes of all streams: in each 128-bit lane those of four streams, first all first bytes.
constexpr std::size_t kQuads = kColumn / 4;
using Column = __m512i[kQuads];

CLEAVE_VBMI_INLINE void load(const std::byte* const* streams, std::size_t offset, Column& column) {
  __m512i rows[kLanes];
  for (std::size_t s = 0; s < kLanes; s += 4) {
    const __m512i a = _mm512_loadu_si512(streams[s] + offset);
    const __m512i b = _mm512_loadu_si512(streams[s + 1] + offset);
    const __m512i c = _mm512_loadu_si512(streams[s + 2] + offset);
    const __m512i d = _mm512_loadu_si512(streams[s + 3] + offset);
    const __m512i ab_low = _mm512_unpacklo_epi8(a, b);
    const __m512i ab_high = _mm512_unpackhi_epi8(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi8(c, d);
    const __m512i cd_high = _mm512_unpackhi_epi8(c, d);
    rows[s] = _mm512_unpacklo_epi16(ab_low, cd_low);
    rows[s + 1] = _mm512_unpackhi_epi16(ab_low, cd_low);
    rows[s + 2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    rows[s + 3] = _mm512_unpackhi_epi16(ab_high, cd_high);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    const __m512i ab_low = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0x44);
    const __m512i ab_high = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0xee);
    const __m512i cd_low = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0x44);
    const __m512i cd_high = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0xee);
    column[i] = _mm512_shuffle_i32x4(ab_low, cd_low, 0x88);
    column[4 + i] = _mm512_shuffle_i32x4(ab_low, cd_low, 0xdd);
    column[8 + i] = _mm512_shuffle_i32x4(ab_high, cd_high, 0x88);
    column[12 + i] = _mm512_shuffle_i32x4(ab_high, cd_high, 0xdd);
  }
}

// A plane of the gear table in registers.
struct Plane {
  __m512i entries[4];
};

CLEAVE_VBMI_INLINE Plane load_plane(const GearTables& tables, std::size_t k) {
  const std::uint8_t* entries = tables.planes[k].data();
  return {{_mm512_load_si512(entries), _mm512_load_si512(entries + 64),
           _mm512_load_si512(entries + 128), _mm512_load_si512(entries + 192)}};
}

// plane[index] for 64 indices; `high` marks those from 128 on. The first lookup leaves the indices
// of the second as they are.
CLEAVE_VBMI_INLINE __m512i look_up(const Plane& plane, __m512i index, __mmask64 high) {
  const __m512i low_done =
      _mm512_mask2_permutex2var_epi8(plane.entries[0], index, ~high, plane.entries[1]);
  return _mm512_mask2_permutex2var_epi8(plane.entries[2], low_done, high, plane.entries[3]);
}

// Four planes of four bytes of all streams → the 32-bit entries of each byte.
CLEAVE_VBMI_INLINE void join(__m512i p0, __m512i p1, __m512i p2, __m512i p3, __m512i (&gears)[4]) {
  const __m512i low01 = _mm512_unpacklo_epi8(p0, p1);
  const __m512i high01 = _mm512_unpackhi_epi8(p0, p1);
  const __m512i low23 = _mm512_unpacklo_epi8(p2, p3);
  const __m512i high23 = _mm512_unpackhi_epi8(p2, p3);
  gears[0] = _mm512_unpacklo_epi16(low01, low23);
  gears[1] = _mm512_unpackhi_epi16(low01, low23);
  gears[2] = _mm512_unpacklo_epi16(high01, high23);
  gears[3] = _mm512_unpackhi_epi16(high01, high23);
}

CLEAVE_VBMI_INLINE __m512i twice_plus(__m512i hash, __m512i gear) {
  return _mm512_add_epi32(_mm512_add_epi32(hash, hash), gear);
}

CLEAVE_VBMI_INLINE std::uint64_t last_lane(__m512i lanes) {
  alignas(64) std::array<std::uint32_t, kLanes> stored;
  _mm512_store_si512(stored.data(), lanes);
  return stored.back();
}

// The lower 32 bits of the hashes. Two sets of streams take turns, since each waits for its hash.
struct Narrow {
  static constexpr std::size_t kSets = 2;
  static constexpr std::size_t kShift = 0;
  static constexpr std::size_t kWarmUp = 32;
  static constexpr std::size_t kPlanes = 4;
  __m512i hash;

  CLEAVE_VBMI_INLINE void clear() { hash = _mm512_setzero_si512(); }
  CLEAVE_VBMI_INLINE void set_first(std::uint64_t value) {
    hash = _mm512_mask_set1_epi32(hash, 1, static_cast<int>(value));
  }
  CLEAVE_VBMI_INLINE std::uint64_t last() const { return last_lane(hash); }
  // Moves by four bytes; windows[i] is the hash after byte i, shifted right by kShift.
  CLEAVE_VBMI_INLINE void move(const Plane (&planes)[kPlanes], __m512i bytes,
                               __m512i (&windows)[4]) {
    const __mmask64 high = _mm512_movepi8_mask(bytes);
    __m512i gears[4];
    join(look_up(planes[0], bytes, high), look_up(planes[1], bytes, high),
         look_up(planes[2], bytes, high), look_up(planes[3], bytes, high), gears);
    for (std::size_t i = 0; i < 4; ++i) windows[i] = hash = twice_plus(hash, gears[i]);
  }
};

// The lower 48 bits: 16 … 47 in `high`, below them in `low`, which runs over into its upper half
// and gives that to `high` every four bytes. One set of streams, since blocks are small for the
// masks that need this.
struct Wide {
  static constexpr std::size_t kSets = 1;
  static constexpr std::size_t kShift = 16;
  static constexpr std::size_t kWarmUp = kMaskBits;
  static constexpr std::size_t kPlanes = 6;
  __m512i low;
  __m512i high;

  CLEAVE_VBMI_INLINE void clear() { low = high = _mm512_setzero_si512(); }
  CLEAVE_VBMI_INLINE void set_first(std::uint64_t value) {
    low = _mm512_mask_set1_epi32(low, 1, static_cast<int>(value & 0xffff));
    high = _mm512_mask_set1_epi32(high, 1, static_cast<int>(value >> 16));
  }
  CLEAVE_VBMI_INLINE std::uint64_t last() const { return (last_lane(high) << 16) + last_lane(low); }
  CLEAVE_VBMI_INLINE void move(const Plane (&planes)[kPlanes], __m512i bytes,
                               __m512i (&windows)[4]) {
    const __mmask64 upper = _mm512_movepi8_mask(bytes);
    const __m512i zero = _mm512_setzero_si512();
    __m512i low_gears[4];
    __m512i high_gears[4];
    join(look_up(planes[0], bytes, upper), look_up(planes[1], bytes, upper), zero, zero, low_gears);
    join(look_up(planes[2], bytes, upper), look_up(planes[3], bytes, upper),
         look_up(planes[4], bytes, upper), look_up(planes[5], bytes, upper), high_gears);
    for (std::size_t i = 0; i < 4; ++i) {
      low = twice_plus(low, low_gears[i]);
      high = twice_plus(high, high_gears[i]);
      windows[i] = _mm512_add_epi32(high, _mm512_srli_epi32(low, 16));
    }
    high = windows[3];
    low = _mm512_and_si512(low, _mm512_set1_epi32(0xffff));
  }
};

template <class Lanes>
struct Kernel {
  static constexpr std::size_t kStreams = Lanes::kSets * kLanes;
  static constexpr std::size_t kMinBlock = kStreams * kColumn;
  using Streams = std::array<const std::byte*, kStreams>;

  Plane planes[Lanes::kPlanes];
  Lanes sets[Lanes::kSets];

  CLEAVE_VBMI_INLINE explicit Kernel(const GearTables& tables) {
    for (std::size_t k = 0; k < Lanes::kPlanes; ++k) planes[k] = load_plane(tables, k);
  }
};

// Where a block's streams begin. They are as long as each other, and overlap by what its size is
// not a multiple of: an overlap is looked at twice and found the same.
template <std::size_t kStreams>
struct Block {
  std::array<std::uint32_t, kStreams> begins;
  std::size_t length;  // of each stream, a multiple of kColumn
  std::size_t size;

  explicit Block(std::size_t bytes) : size(bytes) {
    const std::size_t stride = (size + kStreams - 1) / kStreams;
    length = (stride + kColumn - 1) / kColumn * kColumn;
    for (std::size_t s = 0; s < kStreams; ++s) {
      begins[s] = static_cast<std::uint32_t>(std::min(s * stride, size - length));
    }
  }
};
template <class Lanes>
using BlockOf = Block<Kernel<Lanes>::kStreams>;

constexpr std::size_t kGroup = 8;  // bytes of a stream that are told apart only once it matters

// For every group of all streams, the streams that have a candidate in it: noted without a branch,
// since a branch that is taken now and then costs more than all the rest.
struct Candidates {
  static constexpr std::size_t kMaxLength = kMaxBlock / kLanes + 2 * kColumn;
  alignas(64) std::array<std::uint32_t, kMaxLength / kGroup> streams;
};

template <class Lanes>
CLEAVE_VBMI_INLINE void warm_up(Kernel<Lanes>& kernel, const BlockOf<Lanes>& block,
                                const std::byte* data, std::uint64_t hash) {
  typename Kernel<Lanes>::Streams before;
  // There is nothing before the first: its hash is known.
  before[0] = data;
  for (std::size_t s = 1; s < before.size(); ++s) before[s] = data + block.begins[s] - kColumn;
  for (std::size_t set = 0; set < Lanes::kSets; ++set) {
    Column column;
    load(before.data() + set * kLanes, 0, column);
    kernel.sets[set].clear();
    for (std::size_t i = kQuads - Lanes::kWarmUp / 4; i < kQuads; ++i) {
      __m512i windows[4];
      kernel.sets[set].move(kernel.planes, column[i], windows);
    }
  }
  kernel.sets[0].set_first(hash);
}

// Moves a set by four bytes; a lane of the result is 0 where one of them has all tested bits at 0.
template <class Lanes>
CLEAVE_VBMI_INLINE __m512i least_of(Kernel<Lanes>& kernel, std::size_t set, __m512i bytes,
                                    __m512i tested) {
  __m512i windows[4];
  kernel.sets[set].move(kernel.planes, bytes, windows);
  for (__m512i& window : windows) window = _mm512_and_si512(window, tested);
  return _mm512_min_epu32(_mm512_min_epu32(windows[0], windows[1]),
                          _mm512_min_epu32(windows[2], windows[3]));
}

// Notes where, in a block, the bits that the lanes have of the mask are 0.
template <class Lanes>
CLEAVE_VBMI_INLINE void scan(Kernel<Lanes>& kernel, const BlockOf<Lanes>& block,
                             const std::byte* data, std::uint64_t mask, Candidates& candidates) {
  const __m512i tested = _mm512_set1_epi32(static_cast<int>(mask >> Lanes::kShift));
  typename Kernel<Lanes>::Streams streams;
  for (std::size_t s = 0; s < streams.size(); ++s) streams[s] = data + block.begins[s];
  std::uint32_t* out = candidates.streams.data();
  for (std::size_t offset = 0; offset < block.length; offset += kColumn) {
    Column columns[Lanes::kSets];
    for (std::size_t set = 0; set < Lanes::kSets; ++set) {
      load(streams.data() + set * kLanes, offset, columns[set]);
    }
    // The next block: two fit into the first cache.
    for (const std::byte* stream : streams) __builtin_prefetch(stream + offset + block.size, 0, 3);
    for (std::size_t i = 0; i < kQuads; i += 2) {
      __m512i least[Lanes::kSets];
      for (std::size_t set = 0; set < Lanes::kSets; ++set) {
        least[set] = least_of(kernel, set, columns[set][i], tested);
      }
      std::uint32_t found = 0;
      for (std::size_t set = 0; set < Lanes::kSets; ++set) {
        const __m512i second = least_of(kernel, set, columns[set][i + 1], tested);
        const __m512i both = _mm512_min_epu32(least[set], second);
        found |= std::uint32_t{_mm512_testn_epi32_mask(both, both)} << (set * kLanes);
      }
      *out++ = found;
    }
  }
}

// The groups that have candidates, by their number in the streams.
struct Found {
  std::array<std::uint32_t, std::tuple_size_v<decltype(Candidates::streams)> + kLanes> groups;
  std::size_t count = 0;
};

CLEAVE_VBMI void compress(const Candidates& candidates, std::size_t groups, Found& found) {
  __m512i group = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (std::size_t begin = 0; begin < groups; begin += kLanes) {
    const __m512i streams = _mm512_load_si512(candidates.streams.data() + begin);
    __mmask16 set = _mm512_test_epi32_mask(streams, streams);
    if (begin + kLanes > groups) set &= static_cast<__mmask16>((1U << (groups - begin)) - 1);
    _mm512_storeu_si512(found.groups.data() + found.count, _mm512_maskz_compress_epi32(set, group));
    found.count += static_cast<std::size_t>(std::popcount(static_cast<unsigned>(set)));
    group = _mm512_add_epi32(group, _mm512_set1_epi32(kLanes));
  }
}

// Whether one of the hashes of a group is a hit; `begin` is the group's first byte.
bool has_hit(const GearTables& tables, ByteSpan block, std::uint64_t hash, std::uint64_t mask,
             std::size_t begin) {
  const std::byte* bytes = block.data() + begin;
  const auto gear = [&](const std::byte* byte) {
    return tables.gear[std::to_integer<std::size_t>(*byte)];
  };
  std::uint64_t before = hash;
  if (begin >= kMaskBits) {
    // The bits that masks have, in parts that do not wait for each other.
    constexpr std::size_t kPart = kMaskBits / 4;
    std::array<std::uint64_t, 4> parts = {};
    const std::byte* from = bytes - kMaskBits;
#pragma GCC unroll 12
    for (std::size_t i = 0; i < kPart; ++i) {
#pragma GCC unroll 4
      for (std::size_t k = 0; k < 4; ++k) parts[k] = 2 * parts[k] + gear(from + i + k * kPart);
    }
    before = (((parts[0] << kPart) + parts[1]) << (2 * kPart)) + (parts[2] << kPart) + parts[3];
  } else if (begin > 0) {
    before = gear_hash_at(tables, block, begin - 1, hash);
  }
  bool hit = false;
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kGroup; ++i) {
    before = 2 * before + gear(bytes + i);
    hit |= (before & mask) == 0;
  }
  return hit;
}

// The first hit of a block, by the whole hash. All candidates are looked at, as nearly all are
// none: the CPU can look at several at once.
template <std::size_t kStreams>
GearHit first_hit(const GearTables& tables, ByteSpan bytes, std::uint64_t hash, std::uint64_t mask,
                  const Block<kStreams>& block, const Candidates& candidates, const Found& found) {
  std::size_t first = bytes.size();
  for (const std::uint32_t group : std::span(found.groups).first(found.count)) {
    for (unsigned streams = candidates.streams[group]; streams != 0; streams &= streams - 1) {
      const auto stream = static_cast<std::size_t>(std::countr_zero(streams));
      const std::size_t begin = block.begins[stream] + kGroup * group;
      if (begin < first && has_hit(tables, bytes, hash, mask, begin)) first = begin;
    }
  }
  if (first == bytes.size()) return {first, 0};
  const std::uint64_t before = first == 0 ? hash : gear_hash_at(tables, bytes, first - 1, hash);
  const GearHit hit = gear_find_scalar(tables, bytes.subspan(first, kGroup), before, mask);
  return {first + hit.position, hit.hash};
}

template <class Lanes>
CLEAVE_VBMI GearHit find(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                         std::uint64_t mask) {
  // Not a power of two, so that the streams do not compete for the same lines of the cache.
  constexpr std::size_t kMinBlock = Kernel<Lanes>::kMinBlock;
  const std::size_t block_size =
      gear_block_size(mask, kMinBlock, kMaxBlock - kMinBlock) + kMinBlock;
  Kernel<Lanes> kernel(tables);
  Candidates candidates;
  std::size_t done = 0;
  std::uint64_t last = hash;
  while (data.size() - done >= kMinBlock) {
    // Even parts, since each asks for as much of what follows as it is long.
    const std::size_t rest = data.size() - done;
    const std::size_t parts = (rest + block_size - 1) / block_size;
    const BlockOf<Lanes> block((rest + parts - 1) / parts);
    const ByteSpan bytes = data.subspan(done, block.size);
    warm_up(kernel, block, bytes.data(), last);
    scan(kernel, block, bytes.data(), mask, candidates);
    const std::uint64_t before = done == 0 ? hash : gear_hash_at(tables, data, done - 1, hash);
    Found found;
    compress(candidates, block.length / kGroup, found);
    const GearHit hit = found.count > block.size / kRepeating
                            ? gear_find_scalar(tables, bytes, before, mask)
                            : first_hit(tables, bytes, before, mask, block, candidates, found);
    if (hit.position < bytes.size()) return {done + hit.position, hit.hash};
    last = kernel.sets[Lanes::kSets - 1].last();
    done += block.size;
  }
  const std::uint64_t before = done == 0 ? hash : gear_hash_at(tables, data, done - 1, hash);
  const GearHit hit = gear_find_scalar(tables, data.subspan(done), before, mask);
  return {done + hit.position, hit.hash};
}

}  // namespace

GearHit gear_find_vbmi(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                       std::uint64_t mask) {
  constexpr int kRareEnough = 9;
  if (std::popcount(mask & 0xffffffff) >= kRareEnough)
    return find<Narrow>(tables, data, hash, mask);
  if (std::popcount(mask >> Wide::kShift) >= kRareEnough)
    return find<Wide>(tables, data, hash, mask);
  return gear_find_interleaved(tables, data, hash, mask);
}

}  // namespace cleave

#endif
