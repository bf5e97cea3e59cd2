#include "cleave/codec/zstd.h"

#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <zstd.h>

#include "tests/support/allocations.h"
#include "tests/support/bytes.h"
#include "tests/support/oracle.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

namespace cleave {
namespace {

using test::equal;
using test::fails_with;
using test::message_of;
using test::mixed_bytes;
using test::ok;
using test::random_bytes;

Buffer compressed(ByteSpan input, int level = kDefaultZstdLevel) {
  Buffer output;
  EXPECT_TRUE(ok(zstd_compress_into(input, level, output)));
  return output;
}

bool decodes_to(ByteSpan frames, ByteSpan expected) {
  std::vector<std::byte> output(expected.size());
  return zstd_decompress_into(frames, output) && equal(output, expected);
}

RC_GTEST_PROP(Zstd, GoesThereAndBack, (std::uint64_t seed)) {
  const auto input = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 60'000));
  const int level = *rc::gen::inRange(kMinZstdLevel, kMaxZstdLevel + 1);
  static Buffer output;  // used again: what it held is replaced
  RC_ASSERT(zstd_compress_into(input, level, output).has_value());
  RC_ASSERT(decodes_to(output.span(), input));
}

TEST(Zstd, FrameTellsItsContentSize) {
  const auto input = mixed_bytes(1, 100'000);
  const Buffer frame = compressed(input);
  EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), input.size());
  EXPECT_EQ(ZSTD_findFrameCompressedSize(frame.data(), frame.size()), frame.size());
}

TEST(Zstd, HigherLevelsMakeItSmaller) {
  const auto input = mixed_bytes(2, 1'000'000);
  EXPECT_LT(compressed(input, 19).size(), compressed(input, 1).size());
}

TEST(Zstd, LevelsHaveLimits) {
  Buffer output;
  output.append(as_byte_span("kept"));
  for (const int level : {kMinZstdLevel - 1, kMaxZstdLevel + 1, -5, 1000}) {
    EXPECT_TRUE(fails_with(zstd_compress_into({}, level, output), CompressionError::invalid_level))
        << level;
  }
  EXPECT_EQ(message_of(zstd_compress_into({}, 20, output)),
            "invalid_level: level 20 must be in 1..=19");
  EXPECT_EQ(test::text_of(output.span()), "kept");
}

TEST(Zstd, TruncatedAnywhereIsAnError) {
  for (const std::size_t size : {0U, 1U, 5000U}) {
    const auto input = mixed_bytes(3, size);
    const Buffer frame = compressed(input);
    std::vector<std::byte> output(size);
    for (std::size_t n = 0; n < frame.size(); ++n) {
      EXPECT_TRUE(fails_with(zstd_decompress_into(frame.span().first(n), output),
                             CompressionError::decompression_failed))
          << n << " of " << frame.size();
    }
  }
}

TEST(Zstd, BytesBehindTheFrameAreAnError) {
  const auto input = mixed_bytes(4, 1000);
  Buffer frame = compressed(input);
  frame.append(as_byte_span("x"));
  EXPECT_FALSE(decodes_to(frame.span(), input));
}

TEST(Zstd, DamageIsAnErrorOrStaysInside) {
  const auto input = mixed_bytes(5, 3000);
  const Buffer good = compressed(input);
  int errors = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    Buffer bad;
    bad.append(good.span());
    bad.data()[i] ^= std::byte{0x10};
    std::vector<std::byte> output(input.size());
    const Result<> result = zstd_decompress_into(bad.span(), output);
    errors += result ? 0 : 1;
    if (i < 4) {  // the magic number
      EXPECT_TRUE(fails_with(result, CompressionError::decompression_failed)) << i;
    }
  }
  EXPECT_GT(errors, 4);
  EXPECT_TRUE(decodes_to(good.span(), input));  // the thread's context has not suffered
}

TEST(Zstd, AnotherSizeThanAnnouncedIsAnError) {
  const auto input = mixed_bytes(6, 1000);
  const Buffer frame = compressed(input);
  std::vector<std::byte> smaller(999);
  EXPECT_TRUE(fails_with(zstd_decompress_into(frame.span(), smaller),
                         CompressionError::decompression_failed));
  std::vector<std::byte> larger(1001);
  const Result<> result = zstd_decompress_into(frame.span(), larger);
  EXPECT_EQ(message_of(result), "decompressed_size_mismatch: expected 1001 bytes, got 1000");
  EXPECT_FALSE(decodes_to(compressed({}).span(), as_byte_span("x")));
}

TEST(Zstd, ClaimsOfGiganticSizesAreAnError) {
  // Magic, descriptor "8 bytes of size, single segment", 2^63 - 1 bytes, then nothing.
  const std::string frame = "\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\x7f";
  std::vector<std::byte> output(100);
  EXPECT_TRUE(fails_with(zstd_decompress_into(as_byte_span(frame), output),
                         CompressionError::decompression_failed));
}

TEST(Zstd, DecodesAllFramesIncludingSkippableOnes) {
  const auto input = mixed_bytes(7, 10'000);
  Buffer frames = compressed(ByteSpan(input).first(3000));
  frames.append(as_byte_span({"\x50\x2a\x4d\x18\x03\0\0\0abc", 11}));
  frames.append(compressed(ByteSpan(input).subspan(3000)).span());
  EXPECT_TRUE(decodes_to(frames.span(), input));
}

TEST(Zstd, AllocatesNothingAfterWarmUp) {
  const auto input = mixed_bytes(8, 100'000);
  Buffer frame = compressed(input);
  std::vector<std::byte> output(input.size());
  ASSERT_TRUE(ok(zstd_decompress_into(frame.span(), output)));
  const std::size_t before = test::allocations();
  const bool fine = zstd_compress_into(input, kDefaultZstdLevel, frame) &&
                    zstd_decompress_into(frame.span(), output);
  EXPECT_EQ(test::allocations(), before);
  EXPECT_TRUE(fine);
}

TEST(ZstdCommand, ReadsWhatWeWrite) {
  CLEAVE_NEED_PROGRAM("zstd");
  const test::TempDir dir;
  for (const std::size_t size : {0U, 1U, 200'000U}) {
    const auto input = mixed_bytes(9, size);
    test::write_file(dir / "ours.zst", as_text(compressed(input).span()));
    ASSERT_EQ(std::system(("zstd -q -d -f " + (dir / "ours.zst").native()).c_str()), 0);
    EXPECT_TRUE(equal(as_byte_span(test::read_file(dir / "ours")), input)) << size;
  }
}

TEST(ZstdCommand, WritesWhatWeRead) {
  CLEAVE_NEED_PROGRAM("zstd");
  const test::TempDir dir;
  for (const std::size_t size : {0U, 1U, 200'000U}) {
    const auto input = mixed_bytes(10, size);
    test::write_file(dir / "theirs", as_text(input));
    for (const char* options : {"-1", "-19", "--no-check", "-T2 -B65536", "--long"}) {
      ASSERT_EQ(
          std::system(
              ("zstd -q -f " + std::string(options) + " " + (dir / "theirs").native()).c_str()),
          0);
      EXPECT_TRUE(decodes_to(as_byte_span(test::read_file(dir / "theirs.zst")), input))
          << size << " " << options;
    }
  }
}

}  // namespace
}  // namespace cleave
