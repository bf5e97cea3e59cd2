#include "cleave/chunk/fastcdc.h"

#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/chunk/chunker.h"
#include "tests/support/bytes.h"
#include "tests/support/chunking.h"
#include "tests/support/fastcdc_reference.h"
#include "tests/support/result.h"

namespace cleave {
namespace {

using test::any_options;
using test::make_fastcdc;
using test::mixed_bytes;
using test::random_bytes;
using test::reference_cuts;

const ChunkingOptions kSmall = {.min_size = 64, .avg_size = 256, .max_size = 1024};

TEST(FastCdc, RefusesIllegalOptions) {
  EXPECT_TRUE(
      test::fails_with(FastCdc::create({.min_size = 1}), ChunkingError::invalid_chunking_options));
}

TEST(FastCdc, OfNothingIsAnEmptyChunk) { EXPECT_EQ(make_fastcdc(kSmall).cut({}), (Cut{0, 0})); }

TEST(FastCdc, TailUpToTheMinimumHasNoHash) {
  const auto data = random_bytes(1, 66);
  const FastCdc fastcdc = make_fastcdc(kSmall);
  for (const std::size_t n : {1U, 63U, 64U})
    EXPECT_EQ(fastcdc.cut(ByteSpan(data).first(n)), (Cut{n, 0}));
  EXPECT_NE(fastcdc.cut(data).gear_hash, 0U);
}

TEST(FastCdc, ZerosAreCutAtTheMaximum) {
  const std::vector<std::byte> zeros(10 * 1024);
  EXPECT_EQ(cut_all(make_fastcdc(kSmall), zeros),
            std::vector<Cut>(10, {1024, 14169102344523991076U}));
}

// The byte that triggers a cut is hashed, but belongs to the next chunk.
TEST(FastCdc, DependsOnTheByteBehindTheChunkAndNoOther) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    auto data = random_bytes(seed, 1200);
    const Cut cut = fastcdc.cut(data);
    if (cut.length == 1024) continue;  // cut by its size, not by a byte
    std::fill(data.begin() + static_cast<std::ptrdiff_t>(cut.length) + 1, data.end(),
              std::byte{0xee});
    EXPECT_EQ(fastcdc.cut(data), cut);
    data[cut.length] ^= std::byte{1};
    EXPECT_NE(fastcdc.cut(data), cut);
  }
}

TEST(FastCdc, DependsOnNoByteBeforeTheMinimum) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  int tried = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    auto data = random_bytes(seed, 1200);
    const Cut cut = fastcdc.cut(data);
    if (cut.length >= 64 + 40) continue;  // the gear hash forgets
    ++tried;
    std::fill_n(data.begin(), 64, std::byte{0xee});
    EXPECT_EQ(fastcdc.cut(data), cut);
    data[64] ^= std::byte{1};
    EXPECT_NE(fastcdc.cut(data), cut);
  }
  EXPECT_GT(tried, 10);
}

TEST(FastCdc, OddMinimumAllowsChunksOfOneByteLess) {
  const FastCdc fastcdc =
      make_fastcdc({.min_size = 65, .avg_size = 257, .max_size = 1025, .level = 0});
  std::size_t shortest = 1025;
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    shortest = std::min(shortest, fastcdc.cut(random_bytes(seed, 300)).length);
  }
  EXPECT_EQ(shortest, 64U);
}

TEST(FastCdc, OddLastByteIsNeverHashed) {
  std::vector<std::byte> data(101);
  const FastCdc fastcdc = make_fastcdc(kSmall);
  const Cut cut = fastcdc.cut(data);
  EXPECT_EQ(cut.length, 101U);
  data[100] = std::byte{1};
  EXPECT_EQ(fastcdc.cut(data), cut);
  data[99] = std::byte{1};
  EXPECT_NE(fastcdc.cut(data), cut);
}

TEST(FastCdc, OddMaximumIsKept) {
  const std::vector<std::byte> zeros(3 * 1025);
  const auto cuts =
      cut_all(make_fastcdc({.min_size = 64, .avg_size = 256, .max_size = 1025}), zeros);
  ASSERT_EQ(cuts.size(), 3U);
  for (const Cut& cut : cuts) EXPECT_EQ(cut, (Cut{1025, 14169102344523991076U}));
}

TEST(FastCdc, EqualSizesCutEverywhereAlike) {
  for (const std::uint64_t size : {1024U, 1025U}) {
    const FastCdc fastcdc = make_fastcdc({.min_size = size, .avg_size = size, .max_size = size});
    EXPECT_EQ(cut_all(fastcdc, random_bytes(3, 5 * size)), std::vector<Cut>(5, {size, 0}));
  }
}

RC_GTEST_PROP(FastCdc, CutsAsTheDefinitionReads, (std::uint64_t seed)) {
  const ChunkingOptions options = any_options();
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 200'000));
  RC_ASSERT(cut_all(make_fastcdc(options), data) == reference_cuts(options, data));
}

RC_GTEST_PROP(FastCdc, GoesOnWhereItStopped, (std::uint64_t seed)) {
  const ChunkingOptions options = any_options();
  const FastCdc fastcdc = make_fastcdc(options);
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 10'000));
  const Cut whole = fastcdc.cut(data);
  FastCdc::Scan scan;
  for (ByteSpan rest = data;;) {
    // A copy: what was given before is out of reach.
    const std::size_t size = std::min(rest.size(), 1 + *rc::gen::inRange<std::size_t>(0, 3000));
    const ByteSpan part = rest.first(size);
    const std::vector<std::byte> next(part.begin(), part.end());
    rest = rest.subspan(part.size());
    if (const auto cut = fastcdc.resume(scan, next, rest.empty())) {
      RC_ASSERT(*cut == whole);
      break;
    }
    RC_ASSERT(!rest.empty());
  }
}

}  // namespace
}  // namespace cleave
