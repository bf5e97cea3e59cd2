// Sixteen streams in AVX-512 registers, one 32-bit lane each. Entries of the gear table are put
// together from byte permutes, four bytes of all streams at a time.
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

constexpr std::size_t kStreams = 16;
constexpr std::size_t kColumn = 64;  // bytes of a stream that are loaded at a time
constexpr std::size_t kMinBlock = kStreams * kColumn;
constexpr std::size_t kMaxBlock = std::size_t{64} << 10;
// False hits of a block that are kept; where there are more, the data repeat themselves.
constexpr std::size_t kMaxHits = 512;

using Streams = std::array<const std::byte*, kStreams>;
// Four bytes of all streams: in each 128-bit lane those of four streams, first all first bytes.
constexpr std::size_t kQuads = kColumn / 4;
using Column = __m512i[kQuads];

CLEAVE_VBMI_INLINE void load(const Streams& streams, std::size_t offset, Column& column) {
  __m512i rows[kStreams];
  for (std::size_t s = 0; s < kStreams; s += 4) {
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
  alignas(64) std::array<std::uint32_t, kStreams> stored;
  _mm512_store_si512(stored.data(), lanes);
  return stored.back();
}

// The lower 32 bits of the hashes.
struct Narrow {
  static constexpr std::size_t kShift = 0;
  static constexpr std::size_t kWarmUp = 32;
  Plane planes[4];
  __m512i hash;

  CLEAVE_VBMI_INLINE explicit Narrow(const GearTables& tables)
      : planes{load_plane(tables, 0), load_plane(tables, 1), load_plane(tables, 2),
               load_plane(tables, 3)},
        hash(_mm512_setzero_si512()) {}

  CLEAVE_VBMI_INLINE void set_first(std::uint64_t value) {
    hash = _mm512_mask_set1_epi32(hash, 1, static_cast<int>(value));
  }
  CLEAVE_VBMI_INLINE std::uint64_t last() const { return last_lane(hash); }
  // Moves by four bytes; windows[i] is the hash after byte i, shifted right by kShift.
  CLEAVE_VBMI_INLINE void move(__m512i bytes, __m512i (&windows)[4]) {
    const __mmask64 high = _mm512_movepi8_mask(bytes);
    __m512i gears[4];
    join(look_up(planes[0], bytes, high), look_up(planes[1], bytes, high),
         look_up(planes[2], bytes, high), look_up(planes[3], bytes, high), gears);
    for (std::size_t i = 0; i < 4; ++i) windows[i] = hash = twice_plus(hash, gears[i]);
  }
};

// The lower 48 bits: 16 … 47 in `high`, below them in `low`, which runs over into its upper half
// and gives that to `high` every four bytes.
struct Wide {
  static constexpr std::size_t kShift = 16;
  static constexpr std::size_t kWarmUp = kMaskBits;
  Plane planes[6];
  __m512i low;
  __m512i high;

  CLEAVE_VBMI_INLINE explicit Wide(const GearTables& tables)
      : planes{load_plane(tables, 0), load_plane(tables, 1), load_plane(tables, 2),
               load_plane(tables, 3), load_plane(tables, 4), load_plane(tables, 5)},
        low(_mm512_setzero_si512()),
        high(_mm512_setzero_si512()) {}

  CLEAVE_VBMI_INLINE void set_first(std::uint64_t value) {
    low = _mm512_mask_set1_epi32(low, 1, static_cast<int>(value & 0xffff));
    high = _mm512_mask_set1_epi32(high, 1, static_cast<int>(value >> 16));
  }
  CLEAVE_VBMI_INLINE std::uint64_t last() const { return (last_lane(high) << 16) + last_lane(low); }
  CLEAVE_VBMI_INLINE void move(__m512i bytes, __m512i (&windows)[4]) {
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

// Where a block's streams begin. They are as long as each other, and overlap by what its size is
// not a multiple of: an overlap is looked at twice and found the same.
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

struct Hits {
  std::array<std::uint32_t, kMaxHits> positions;
  std::size_t count = 0;
  bool too_many = false;

  void add(std::uint32_t position) {
    if (count == positions.size()) {
      too_many = true;
    } else {
      positions[count++] = position;
    }
  }
};

template <class Lanes>
CLEAVE_VBMI_INLINE void warm_up(Lanes& lanes, const Block& block, const std::byte* data,
                                std::uint64_t hash) {
  Streams before;
  // There is nothing before the first: its hash is known.
  before[0] = data;
  for (std::size_t s = 1; s < kStreams; ++s) before[s] = data + block.begins[s] - kColumn;
  Column column;
  load(before, 0, column);
  for (std::size_t i = kQuads - Lanes::kWarmUp / 4; i < kQuads; ++i) {
    __m512i windows[4];
    lanes.move(column[i], windows);
  }
  lanes.set_first(hash);
}

[[gnu::noinline]] CLEAVE_VBMI void collect(const __m512i (&windows)[4], __m512i mask,
                                           const Block& block, std::size_t offset, Hits& hits) {
  for (std::size_t i = 0; i < 4; ++i) {
    for (unsigned lanes = _mm512_testn_epi32_mask(windows[i], mask); lanes != 0;
         lanes &= lanes - 1) {
      const auto stream = static_cast<std::size_t>(std::countr_zero(lanes));
      hits.add(static_cast<std::uint32_t>(block.begins[stream] + offset + i));
    }
  }
}

// All positions of a block where the bits that `lanes` has of the mask are 0.
template <class Lanes>
CLEAVE_VBMI_INLINE void scan(Lanes& lanes, const Block& block, const std::byte* data,
                             std::uint64_t mask, Hits& hits) {
  const __m512i tested = _mm512_set1_epi32(static_cast<int>(mask >> Lanes::kShift));
  Streams streams;
  for (std::size_t s = 0; s < kStreams; ++s) streams[s] = data + block.begins[s];
  for (std::size_t offset = 0; offset < block.length; offset += kColumn) {
    Column column;
    load(streams, offset, column);
    for (const std::byte* stream : streams) __builtin_prefetch(stream + offset + block.size, 0, 2);
    for (std::size_t i = 0; i < kQuads; ++i) {
      __m512i windows[4];
      lanes.move(column[i], windows);
      const __m512i least =
          _mm512_min_epu32(_mm512_min_epu32(_mm512_and_si512(windows[0], tested),
                                            _mm512_and_si512(windows[1], tested)),
                           _mm512_min_epu32(_mm512_and_si512(windows[2], tested),
                                            _mm512_and_si512(windows[3], tested)));
      if (_mm512_testn_epi32_mask(least, least) != 0) [[unlikely]] {
        collect(windows, tested, block, offset + 4 * i, hits);
      }
    }
  }
}

// The first of the hits that is one by the whole hash.
GearHit first_hit(const GearTables& tables, ByteSpan block, std::uint64_t hash, std::uint64_t mask,
                  Hits& hits) {
  if (hits.too_many) return gear_find_scalar(tables, block, hash, mask);
  const auto positions = std::span(hits.positions).first(hits.count);
  std::ranges::sort(positions);
  for (const std::uint32_t position : positions) {
    const std::uint64_t whole = gear_hash_at(tables, block, position, hash);
    if ((whole & mask) == 0) return {position, whole};
  }
  return {block.size(), 0};
}

template <class Lanes>
CLEAVE_VBMI GearHit find(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                         std::uint64_t mask) {
  const std::size_t block_size = gear_block_size(mask, kMaxBlock);
  Lanes lanes(tables);
  std::size_t done = 0;
  std::uint64_t last = hash;
  while (data.size() - done >= kMinBlock) {
    const Block block(std::min(data.size() - done, block_size));
    const ByteSpan bytes = data.subspan(done, block.size);
    warm_up(lanes, block, bytes.data(), last);
    Hits hits;
    scan(lanes, block, bytes.data(), mask, hits);
    if (hits.count > 0) {
      const std::uint64_t before = done == 0 ? hash : gear_hash_at(tables, data, done - 1, hash);
      const GearHit hit = first_hit(tables, bytes, before, mask, hits);
      if (hit.position < bytes.size()) return {done + hit.position, hit.hash};
    }
    last = lanes.last();
    done += block.size;
  }
  const std::uint64_t before = done == 0 ? hash : gear_hash_at(tables, data, done - 1, hash);
  const GearHit hit = gear_find_scalar(tables, data.subspan(done), before, mask);
  return {done + hit.position, hit.hash};
}

}  // namespace

GearHit gear_find_vbmi(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                       std::uint64_t mask) {
  constexpr int kRareEnough = 10;
  if (std::popcount(mask & 0xffffffff) >= kRareEnough)
    return find<Narrow>(tables, data, hash, mask);
  if (std::popcount(mask >> Wide::kShift) >= kRareEnough)
    return find<Wide>(tables, data, hash, mask);
  return gear_find_interleaved(tables, data, hash, mask);
}

}  // namespace cleave

#endif
