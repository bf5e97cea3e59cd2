#include "cleave/base/endian.h"

#include <array>
#include <cstdint>

#include <gtest/gtest.h>

namespace cleave {
namespace {

constexpr std::array kBytes = {std::byte{0xff}, std::byte{0x01}, std::byte{0x02},
                               std::byte{0x03}, std::byte{0x04}, std::byte{0x05},
                               std::byte{0x06}, std::byte{0x07}, std::byte{0x88}};
const std::byte* const kUnaligned = kBytes.data() + 1;

TEST(Endian, LoadsInTheStatedOrderAtAnyAlignment) {
  EXPECT_EQ(load_le<std::uint64_t>(kUnaligned), 0x8807060504030201U);
  EXPECT_EQ(load_be<std::uint64_t>(kUnaligned), 0x0102030405060788U);
  EXPECT_EQ(load_le<std::uint32_t>(kUnaligned), 0x04030201U);
  EXPECT_EQ(load_be<std::uint32_t>(kUnaligned), 0x01020304U);
  EXPECT_EQ(load_le<std::uint16_t>(kUnaligned), 0x0201U);
  EXPECT_EQ(load_be<std::uint8_t>(kUnaligned), 0x01U);
}

TEST(Endian, StoresWhatLoadsBack) {
  std::array<std::byte, 9> bytes = {};
  store_le<std::uint64_t>(bytes.data() + 1, 0x8807060504030201U);
  EXPECT_TRUE(std::equal(bytes.begin() + 1, bytes.end(), kBytes.begin() + 1));
  store_be<std::uint64_t>(bytes.data() + 1, 0x0102030405060788U);
  EXPECT_TRUE(std::equal(bytes.begin() + 1, bytes.end(), kBytes.begin() + 1));
  EXPECT_EQ(bytes[0], std::byte{0});
}

}  // namespace
}  // namespace cleave
