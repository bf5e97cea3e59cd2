#include "cleave/chunk/gear.h"

#include <bit>

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "cleave/base/endian.h"

namespace cleave {
namespace {

TEST(Gear, IsTheStartOfTheMd5OfEachByte) {
  for (std::size_t i = 0; i < 256; ++i) {
    std::array<unsigned char, 64> input;
    input.fill(static_cast<unsigned char>(i));
    std::array<std::byte, 16> md5;
    ASSERT_EQ(EVP_Digest(input.data(), input.size(), reinterpret_cast<unsigned char*>(md5.data()),
                         nullptr, EVP_md5(), nullptr),
              1);
    EXPECT_EQ(kGear[i], load_be<std::uint64_t>(md5.data())) << i;
  }
}

TEST(Masks, HaveAsManyBitsAsTheirIndexSays) {
  for (std::size_t n = 5; n < kMasks.size(); ++n)
    EXPECT_EQ(std::popcount(kMasks[n]), static_cast<int>(n));
}

TEST(Masks, LookAtAWindowOf48BytesAtMost) {
  for (const std::uint64_t mask : kMasks) EXPECT_LE(std::bit_width(mask), 48);
}

}  // namespace
}  // namespace cleave
