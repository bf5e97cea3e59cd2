#include "cleave/hash/hash.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <rapidcheck/gtest.h>

#include "tests/support/bytes.h"

namespace cleave {
namespace {

using test::random_bytes;

std::string hex_of(const Digest& digest) { return to_hex(digest.span()); }

TEST(Sha256, MatchesTheVectorsOfFips180) {
  EXPECT_EQ(hex_of(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of(sha256(as_byte_span("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(
      hex_of(sha256(as_byte_span("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex_of(sha256(as_byte_span(std::string(1'000'000, 'a')))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

RC_GTEST_PROP(Sha256, IsThatOfOpenSsl, (std::uint64_t seed)) {
  const auto bytes = random_bytes(seed, *rc::gen::inRange<std::size_t>(0, 10'000));
  Digest expected;
  RC_ASSERT(EVP_Digest(bytes.data(), bytes.size(),
                       reinterpret_cast<unsigned char*>(expected.bytes.data()), nullptr,
                       EVP_sha256(), nullptr) == 1);
  RC_ASSERT(sha256(bytes) == expected);
}

// Published in test_vectors.json of the BLAKE3 repository: byte i of an input is i % 251.
TEST(Blake3, MatchesThePublishedVectors) {
  constexpr std::pair<std::size_t, const char*> kVectors[] = {
      {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
      {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
      {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
      {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
      {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
      {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
      {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
      {3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"},
      {4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969"},
      {5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff"},
      {8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63"},
      {8193, "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b"},
      {16384, "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4"},
      {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
      {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
  };
  for (const auto& [size, expected] : kVectors) {
    std::vector<std::byte> input(size);
    for (std::size_t i = 0; i < size; ++i) input[i] = static_cast<std::byte>(i % 251);
    EXPECT_EQ(hex_of(blake3(input)), expected) << size;
  }
}

TEST(Blake3, DigestLeavesTheStateAsItIs) {
  Blake3 hasher;
  hasher.update(as_byte_span("one "));
  EXPECT_EQ(hasher.digest(), blake3(as_byte_span("one ")));
  const Blake3 copy = hasher;
  hasher.update(as_byte_span("two"));
  EXPECT_EQ(hasher.digest(), blake3(as_byte_span("one two")));
  EXPECT_EQ(copy.digest(), blake3(as_byte_span("one ")));
  hasher.reset();
  EXPECT_EQ(hasher.digest(), blake3({}));
}

// Calls update() on pieces of `bytes`, empty ones too.
template <class Hasher>
void update_in_pieces(Hasher& hasher, ByteSpan bytes) {
  while (!bytes.empty()) {
    const auto n = std::min(*rc::gen::oneOf(rc::gen::inRange<std::size_t>(0, 130),
                                            rc::gen::inRange<std::size_t>(0, 5000)),
                            bytes.size());
    hasher.update(bytes.first(n));
    bytes = bytes.subspan(n);
  }
}

RC_GTEST_PROP(Hash, OfAStreamIsThatOfTheWhole, (std::uint64_t seed)) {
  static Sha256 used_before;  // finish() starts over
  const auto bytes = random_bytes(seed, *rc::gen::inRange<std::size_t>(0, 50'000));
  update_in_pieces(used_before, bytes);
  RC_ASSERT(used_before.finish() == sha256(bytes));
  Blake3 blake;
  update_in_pieces(blake, bytes);
  RC_ASSERT(blake.digest() == blake3(bytes));
}

TEST(Hash, IsChosenByName) {
  const ByteSpan bytes = as_byte_span("abc");
  EXPECT_EQ(hash(HashAlgorithm::sha256, bytes), sha256(bytes));
  EXPECT_EQ(hash(HashAlgorithm::blake3, bytes), blake3(bytes));
  EXPECT_NE(sha256(bytes), blake3(bytes));
}

}  // namespace
}  // namespace cleave
