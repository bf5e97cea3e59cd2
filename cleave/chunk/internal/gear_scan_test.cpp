#include "cleave/chunk/internal/gear_scan.h"

#include <bit>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/chunk/gear.h"
#include "tests/support/bytes.h"

namespace cleave {

bool operator==(const GearHit& a, const GearHit& b) {
  return a.position == b.position && a.hash == b.hash;
}
void PrintTo(const GearHit& hit, std::ostream* out) { *out << hit.position << " " << hit.hash; }

namespace {

using test::mixed_bytes;
using test::random_bytes;

std::string name_of(const testing::TestParamInfo<GearKernel>& info) {
  return std::string(info.param.name) + "_" + std::string(cpu_level_name(info.param.needs));
}

class Kernel : public testing::TestWithParam<GearKernel> {
 protected:
  // What the kernel finds is what the scalar one finds.
  void expect_same(const GearTables& tables, ByteSpan data, std::uint64_t hash,
                   std::uint64_t mask) {
    ASSERT_EQ(GetParam().find(tables, data, hash, mask), gear_find_scalar(tables, data, hash, mask))
        << data.size() << " bytes, hash " << hash << ", mask " << std::hex << mask;
  }
  // All hits of `data`, one after another.
  void expect_same_hits(const GearTables& tables, ByteSpan data, std::uint64_t mask) {
    std::uint64_t hash = 0;
    while (!data.empty()) {
      ASSERT_NO_FATAL_FAILURE(expect_same(tables, data, hash, mask));
      const GearHit hit = gear_find_scalar(tables, data, hash, mask);
      data = data.subspan(std::min(hit.position + 1, data.size()));
      hash = hit.hash;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(All, Kernel, testing::ValuesIn(gear_kernels()), name_of);

TEST_P(Kernel, EveryMask) {
  const GearTables tables(0);
  const auto data = random_bytes(1, 300'000);
  for (const std::uint64_t mask : kMasks) {
    if (std::popcount(mask) >= 8) expect_same_hits(tables, data, mask);
  }
}

TEST_P(Kernel, EveryShortSize) {
  const GearTables tables(7);
  const auto data = random_bytes(2, 4000);
  for (std::size_t size = 0; size <= data.size(); size += 1 + size / 200) {
    // No hit, and one somewhere.
    expect_same(tables, ByteSpan(data).first(size), 11, (std::uint64_t{1} << kMaskBits) - 1);
    expect_same(tables, ByteSpan(data).first(size), 12, kMasks[11]);
  }
}

// The byte after which there is a hit, at every place of a stream and of a block.
TEST_P(Kernel, HitsAtEveryResidue) {
  const GearTables tables(0);
  const std::vector<std::byte> quiet(9000);  // the hash of zeros is no hit
  for (const std::uint64_t mask : {kMasks[13], kMasks[17], kMasks[21]}) {
    const auto data = random_bytes(3, std::size_t{4} << std::popcount(mask));
    const GearHit hit = gear_find_scalar(tables, ByteSpan(data).subspan(64), 0, mask);
    ASSERT_LT(hit.position, data.size() - 64);
    const ByteSpan trigger = ByteSpan(data).subspan(hit.position, 65);
    for (std::size_t at = 0; at + 65 <= quiet.size(); at += at < 1200 ? 1 : 61) {
      auto planted = quiet;
      std::ranges::copy(trigger, planted.begin() + static_cast<std::ptrdiff_t>(at));
      ASSERT_NO_FATAL_FAILURE(expect_same(tables, planted, 5, mask));
    }
  }
}

TEST_P(Kernel, BytesThatRepeat) {
  for (const std::size_t period : {1U, 2U, 3U, 7U, 64U, 4096U}) {
    const auto pattern = random_bytes(period, period);
    std::vector<std::byte> data(200'000);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = pattern[i % period];
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const GearTables tables(seed * 0x9e3779b97f4a7c15);
      for (const std::size_t bits : {10U, 13U, 16U, 19U, 21U}) {
        ASSERT_NO_FATAL_FAILURE(expect_same(tables, data, seed, kMasks[bits]));
      }
    }
  }
}

// So many candidates by the bits of a register, and so few hits, that they do not all fit.
TEST_P(Kernel, FalseHitsWithoutEnd) {
  // gear[0] = 0: of zeros every hash is 0 but for what came before.
  const GearTables tables(kGear[0]);
  const std::vector<std::byte> zeros(100'000);
  const std::uint64_t above = std::uint64_t{1} << 40;  // leaves the mask after a while
  for (const std::size_t bits : {13U, 19U, 21U}) expect_same(tables, zeros, above, kMasks[bits]);
}

RC_GTEST_PROP(Kernels, FindWhatTheScalarOneFinds, (std::uint64_t seed)) {
  const GearTables tables(*rc::gen::arbitrary<std::uint64_t>());
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 200'000));
  const auto hash = *rc::gen::arbitrary<std::uint64_t>();
  const std::uint64_t mask = kMasks[*rc::gen::inRange<std::size_t>(5, kMasks.size())];
  const std::size_t skipped =
      *rc::gen::inRange<std::size_t>(0, std::min<std::size_t>(data.size() + 1, 70));
  const ByteSpan bytes = ByteSpan(data).subspan(skipped);
  const GearHit expected = gear_find_scalar(tables, bytes, hash, mask);
  for (const GearKernel& kernel : gear_kernels()) {
    RC_ASSERT(kernel.find(tables, bytes, hash, mask) == expected);
  }
}

RC_GTEST_PROP(GearHash, AtAnyPosition, (std::uint64_t seed, std::uint64_t hash)) {
  const GearTables tables(seed);
  const auto data = random_bytes(seed, *rc::gen::inRange<std::size_t>(1, 300));
  const std::size_t position = *rc::gen::inRange<std::size_t>(0, data.size());
  std::uint64_t expected = hash;
  for (std::size_t i = 0; i <= position; ++i) {
    expected = 2 * expected + tables.gear[std::to_integer<std::size_t>(data[i])];
  }
  RC_ASSERT(gear_hash_at(tables, data, position, hash) == expected);
}

TEST(GearKernels, TheFirstIsTheDefinition) {
  EXPECT_EQ(gear_kernels().front().find, gear_find_scalar);
  EXPECT_LE(gear_kernel().needs, cpu_level());
}

TEST(GearKernels, MasksAreWithinWhatKernelsLookAt) {
  for (const std::uint64_t mask : kMasks) EXPECT_EQ(mask >> kMaskBits, 0U);
}

}  // namespace
}  // namespace cleave
