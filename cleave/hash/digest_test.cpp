#include "cleave/hash/digest.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/bytes.h"

namespace cleave {
namespace {

Digest any_digest(std::uint64_t seed) {
  Digest digest;
  std::ranges::copy(test::random_bytes(seed, Digest::kSize), digest.bytes.begin());
  return digest;
}

TEST(Digest, HexIsLowerCaseAndReadInEitherCase) {
  Digest digest;
  digest.bytes[0] = std::byte{0xAB};
  digest.bytes[31] = std::byte{0x0F};
  const std::string hex = "ab" + std::string(60, '0') + "0f";
  EXPECT_EQ(to_hex(digest.span()), hex);
  EXPECT_EQ(digest_from_hex(hex), digest);
  EXPECT_EQ(digest_from_hex("AB" + std::string(60, '0') + "0F"), digest);
  EXPECT_EQ(to_hex({}), "");
}

TEST(Digest, OtherTextIsNoHexDigest) {
  const std::string hex(64, '0');
  for (const std::string& text : {std::string(), hex.substr(1), hex + "0", hex + "00"}) {
    EXPECT_EQ(digest_from_hex(text), std::nullopt) << text;
  }
  for (const char c : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\xff'}) {
    for (const std::size_t at : {0U, 31U, 63U}) {
      std::string text = hex;
      text[at] = c;
      EXPECT_EQ(digest_from_hex(text), std::nullopt) << text;
    }
  }
}

RC_GTEST_PROP(Digest, HexGoesThereAndBack, (std::uint64_t seed)) {
  const Digest digest = any_digest(seed);
  RC_ASSERT(digest_from_hex(to_hex(digest.span())) == digest);
}

RC_GTEST_PROP(Digest, OrderIsThatOfItsHex, (std::uint64_t a, std::uint64_t b)) {
  const Digest x = any_digest(a);
  const Digest y = any_digest(b);
  RC_ASSERT((x < y) == (to_hex(x.span()) < to_hex(y.span())));
  RC_ASSERT((x == y) == (a == b));
  RC_ASSERT(DigestHash()(x) == DigestHash()(any_digest(a)));
}

// Made by `nix-hash --type sha1|md5|sha256|sha512 --to-base32`; the second is the example of the
// Nix manual.
TEST(NixBase32, IsThatOfNix) {
  constexpr std::pair<const char*, const char*> kVectors[] = {
      {"", ""},
      {"666f6f", "6yvv6"},
      {"0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33", "6f5dlxf2bcy7zm0dbp4xn3rzxaswgvhb"},
      {"acbd18db4cc2f85cedef654fccc4a4d8", "6qlk2cqkv5xznmry629kdiigdc"},
      {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
       "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"},
      {"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
       "1bp7cri8hplaz6hbz0v4f0nl44rl84q1sg25kgwqzipzd1mv89ic"},
      {"b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
       "1sfdxziarxw8j3p80lvswgpq9i7smdyxmmsj5sjhhgjdjfwjfkdr"},
      {"f7fbba6e0636f890e56fbbf3283e524c6fa3204ae298382d624741d0dc6638326e282c41be5e4254d8820772c55"
       "18a2c5a8c0c7f7eda1959"
       "4a7eb539453e1ed7",
       "3biwgj576spwjjr37d7wzqciid2r2jiqmr0g0nqai15xgj15hl6wciqcvfd0ha7c8nki67298ha6vsca8z2iwxvdzjr"
       "1y1n0rpbmyzp"},
  };
  for (const auto& [hex, base32] : kVectors) {
    std::vector<std::byte> bytes;
    for (std::string_view rest = hex; !rest.empty(); rest.remove_prefix(2)) {
      bytes.push_back(
          static_cast<std::byte>(std::stoi(std::string(rest.substr(0, 2)), nullptr, 16)));
    }
    EXPECT_EQ(to_nix_base32(bytes), base32);
  }
}

}  // namespace
}  // namespace cleave
