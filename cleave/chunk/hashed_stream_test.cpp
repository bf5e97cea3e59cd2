#include "cleave/chunk/hashed_stream.h"

#include <vector>

#include <gtest/gtest.h>

#include "cleave/base/internal/fail.h"
#include "cleave/base/mapped_windows.h"
#include "cleave/chunk/chunker.h"
#include "tests/support/bytes.h"
#include "tests/support/chunking.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

namespace cleave {
namespace {

using test::equal;
using test::fails_with;
using test::mixed_bytes;
using test::ok;

const ChunkingOptions kSmall = {.min_size = 1000, .avg_size = 4000, .max_size = 16000};

class Hashed : public testing::TestWithParam<std::size_t> {  // threads
 protected:
  PipelineOptions options() const {
    return {.chunking = kSmall, .algorithm = HashAlgorithm::blake3, .threads = GetParam()};
  }
};
INSTANTIATE_TEST_SUITE_P(Threads, Hashed, testing::Values(1, 2, 5));

TEST_P(Hashed, GivesTheDescribedChunks) {
  for (const std::size_t size : {0U, 1U, 5'000U, 40'000'000U}) {
    const auto data = mixed_bytes(size, size);
    MemorySource source(data);
    auto stream = HashedStream::create(source, options()).value();
    for (const ChunkDescriptor& want :
         describe_chunks(*make_inline_executor(), FastCdc::create(kSmall).value(),
                         HashAlgorithm::blake3, data)) {
      const auto got = stream.next();
      ASSERT_TRUE(ok(got) && *got);
      ASSERT_EQ((*got)->hash, want.hash);
      ASSERT_EQ((*got)->chunk.offset, want.offset);
      ASSERT_TRUE(equal((*got)->chunk.payload, ByteSpan(data).subspan(want.offset, want.length)));
    }
    for (int i = 0; i < 2; ++i) {
      const auto end = stream.next();
      ASSERT_TRUE(ok(end));
      EXPECT_FALSE(*end);
    }
  }
}

TEST_P(Hashed, OfAMappedFile) {
  const test::TempDir dir;
  const auto data = mixed_bytes(8, 5'000'000);
  test::write_file(dir / "file", as_text(data));
  MappedWindows file =
      MappedWindows::open(dir / "file", {.whole_up_to = 0, .window_size = 1 << 20}).value();
  auto stream = HashedStream::create(file, options()).value();
  for (const ChunkDescriptor& want : describe_chunks(
           *make_inline_executor(), FastCdc::create(kSmall).value(), HashAlgorithm::blake3, data)) {
    const auto got = stream.next();
    ASSERT_TRUE(ok(got) && *got);
    ASSERT_EQ((*got)->hash, want.hash);
    ASSERT_EQ((*got)->chunk.offset, want.offset);
  }
  EXPECT_FALSE(stream.next().value());
}

TEST_P(Hashed, StaysFailed) {
  class Fails final : public ByteSource {
   public:
    Result<std::size_t> read(MutableByteSpan into) override {
      if (++calls_ > 30) return fail(IoError::io_error);
      std::ranges::fill(into, std::byte{0});
      return into.size();
    }

   private:
    int calls_ = 0;
  } source;
  auto stream = HashedStream::create(source, options()).value();
  Result<std::optional<HashedChunk>> chunk;
  std::size_t chunks = 0;
  for (; (chunk = stream.next()); ++chunks) ASSERT_TRUE(*chunk);
  EXPECT_GT(chunks, 0U);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(fails_with(stream.next(), IoError::io_error));
}

TEST_P(Hashed, MayBeDroppedAtAnyTime) {
  const auto data = mixed_bytes(7, 30'000'000);
  for (const int taken : {0, 1, 100}) {
    MemorySource source(data);
    auto stream = HashedStream::create(source, options()).value();
    for (int i = 0; i < taken; ++i) ASSERT_TRUE(ok(stream.next()));
  }
}

}  // namespace
}  // namespace cleave
