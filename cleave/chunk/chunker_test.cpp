#include "cleave/chunk/chunker.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/chunking.h"

namespace cleave {
namespace {

using test::make_fastcdc;
using test::mixed_bytes;

const ChunkingOptions kOptions = {.min_size = 1000, .avg_size = 4000, .max_size = 16000};

TEST(Chunker, NoDataHasNoChunks) {
  const FastCdc fastcdc = make_fastcdc(kOptions);
  EXPECT_TRUE(cut_all(fastcdc, {}).empty());
  EXPECT_TRUE(describe_chunks(*make_inline_executor(), fastcdc, HashAlgorithm::sha256, {}).empty());
}

TEST(Chunker, ChunksCoverTheData) {
  const auto data = mixed_bytes(1, 300'000);
  std::size_t sum = 0;
  for (const Cut& cut : cut_all(make_fastcdc(kOptions), data)) sum += cut.length;
  EXPECT_EQ(sum, data.size());
}

RC_GTEST_PROP(Chunker, CutsAlikeOnAnyExecutor, (std::uint64_t seed)) {
  const FastCdc fastcdc = make_fastcdc(test::any_options());
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 2'000'000));
  const auto cuts = cut_all(fastcdc, data);
  for (const std::size_t threads : {1U, 2U, 3U, 8U}) {
    RC_ASSERT(cut_all(*make_thread_executor(threads), fastcdc, data) == cuts);
  }
}

// Chains that start at different places never meet here.
TEST(Chunker, CutsZerosAlikeOnAnyExecutor) {
  const FastCdc fastcdc = make_fastcdc(kOptions);
  const std::vector<std::byte> zeros(3'000'001);
  const auto cuts = cut_all(fastcdc, zeros);
  for (const std::size_t threads : {2U, 3U, 7U}) {
    EXPECT_EQ(cut_all(*make_thread_executor(threads), fastcdc, zeros), cuts);
  }
}

// They meet late: zeros, then data.
TEST(Chunker, CutsAlikeWhereChainsMeetLate) {
  const FastCdc fastcdc = make_fastcdc(kOptions);
  for (std::size_t quiet = 0; quiet < 3'000'000; quiet += 250'001) {
    auto data = mixed_bytes(3, 3'000'000);
    std::fill_n(data.begin(), quiet, std::byte{0});
    EXPECT_EQ(cut_all(*make_thread_executor(3), fastcdc, data), cut_all(fastcdc, data));
  }
}

TEST(Chunker, DescribesChunksAlikeOnAnyExecutor) {
  const auto data = mixed_bytes(2, 300'000);
  const FastCdc fastcdc = make_fastcdc(kOptions);
  const auto cuts = cut_all(fastcdc, data);
  for (const HashAlgorithm algorithm : {HashAlgorithm::sha256, HashAlgorithm::blake3}) {
    for (const auto& executor :
         {make_inline_executor(), make_executor(2), make_thread_executor(4)}) {
      const auto chunks = describe_chunks(*executor, fastcdc, algorithm, data);
      ASSERT_EQ(chunks.size(), cuts.size());
      std::uint64_t offset = 0;
      for (std::size_t i = 0; i < chunks.size(); ++i) {
        EXPECT_EQ(chunks[i].offset, offset);
        EXPECT_EQ(chunks[i].length, cuts[i].length);
        EXPECT_EQ(chunks[i].gear_hash, cuts[i].gear_hash);
        EXPECT_EQ(chunks[i].hash, hash(algorithm, ByteSpan(data).subspan(offset, cuts[i].length)));
        offset += chunks[i].length;
      }
    }
  }
}

}  // namespace
}  // namespace cleave
