#include "cleave/chunk/batch.h"

#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/chunking.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

namespace cleave {

static bool operator==(const ChunkDescriptor& a, const ChunkDescriptor& b) {
  return a.hash == b.hash && a.offset == b.offset && a.length == b.length &&
         a.gear_hash == b.gear_hash;
}

namespace {

using test::fails_with;
using test::make_fastcdc;
using test::mixed_bytes;
using test::ok;

const ChunkingOptions kSmall = {.min_size = 1000, .avg_size = 4000, .max_size = 16000};

TEST(Batch, DescribesBuffersInTheirOrder) {
  const FastCdc fastcdc = make_fastcdc(kSmall);
  std::vector<std::vector<std::byte>> data;
  for (std::size_t i = 0; i < 50; ++i) data.push_back(mixed_bytes(i, i * 3001));
  const std::vector<ByteSpan> buffers(data.begin(), data.end());
  const auto executor = make_thread_executor(3);
  const auto results = describe_batch(*executor, fastcdc, HashAlgorithm::blake3, buffers);
  ASSERT_EQ(results.size(), data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    EXPECT_TRUE(results[i] ==
                describe_chunks(*make_inline_executor(), fastcdc, HashAlgorithm::blake3, data[i]));
  }
  EXPECT_TRUE(describe_batch(*executor, fastcdc, HashAlgorithm::blake3, {}).empty());
}

TEST(Batch, AFileThatFailsHasItsErrorInItsPlace) {
  const test::TempDir dir;
  const FastCdc fastcdc = make_fastcdc(kSmall);
  std::vector<std::filesystem::path> paths;
  std::vector<std::vector<std::byte>> data;
  for (const std::size_t size : {0U, 10U, 100'000U, 40'000'000U, 70'000U}) {
    data.push_back(mixed_bytes(size, size));
    paths.push_back(dir / std::to_string(size));
    test::write_file(paths.back(), as_text(data.back()));
  }
  paths.insert(paths.begin() + 2, dir / "missing");
  paths.push_back(dir.path());
  Progress progress;
  const auto executor = make_thread_executor(2);
  const auto results = describe_files(*executor, kSmall, HashAlgorithm::sha256, paths, progress);
  ASSERT_EQ(results.size(), paths.size());
  EXPECT_TRUE(fails_with(results[2], IoError::io_error));
  EXPECT_TRUE(fails_with(results.back(), IoError::unsupported_file_type));
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto& result = results[i < 2 ? i : i + 1];
    ASSERT_TRUE(ok(result));
    EXPECT_TRUE(*result == describe_chunks(*executor, fastcdc, HashAlgorithm::sha256, data[i]));
  }
  EXPECT_EQ(progress.done, 40'170'010U);
}

TEST(Batch, EndsWhenItIsToldTo) {
  const test::TempDir dir;
  test::write_file(dir / "file", std::string(100'000, 'x'));
  const std::vector<std::filesystem::path> paths(3, dir / "file");
  Progress progress;
  progress.stop = true;
  for (const auto& result :
       describe_files(*make_inline_executor(), kSmall, HashAlgorithm::sha256, paths, progress)) {
    EXPECT_TRUE(fails_with(result, IoError::interrupted));
  }
}

}  // namespace
}  // namespace cleave
