#include "cleave/chunk/chunk_pipeline.h"

#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/base/internal/fail.h"
#include "cleave/chunk/chunk_stream.h"
#include "cleave/chunk/chunker.h"
#include "cleave/codec/zstd.h"
#include "tests/support/bytes.h"
#include "tests/support/chunking.h"
#include "tests/support/result.h"

namespace cleave {
namespace {

using test::equal;
using test::fails_with;
using test::mixed_bytes;
using test::ok;

const ChunkingOptions kSmall = {.min_size = 1000, .avg_size = 4000, .max_size = 16000};

class FailsAt final : public ByteSource {
 public:
  FailsAt(ByteSpan data) : data_(data) {}
  Result<std::size_t> read(MutableByteSpan into) override {
    const std::size_t n =
        CLEAVE_TRY(data_.read(into.first(std::min<std::size_t>(into.size(), 5000))));
    if (n == 0) return fail(IoError::io_error);
    return n;
  }

 private:
  MemorySource data_;
};

RC_GTEST_PROP(ChunkPipeline, GivesChunksInOrderOnAnyExecutor, (std::uint64_t seed)) {
  const auto data = mixed_bytes(seed, *rc::gen::inRange<std::size_t>(0, 3'000'000));
  const auto executor =
      *rc::gen::element(0, 1, 2) == 0 ? make_seeded_executor(seed) : make_thread_executor(3);
  auto pipeline = PipelineBuilder()
                      .chunking(kSmall)
                      .hash(HashAlgorithm::blake3)
                      .executor(*executor)
                      .max_in_flight(*rc::gen::element<std::size_t>(0, 1, 3 << 20))
                      .build()
                      .value();
  const auto expected =
      describe_chunks(*executor, FastCdc::create(kSmall).value(), HashAlgorithm::blake3, data);
  for (int round = 0; round < 2; ++round) {
    std::size_t next = 0;
    MemorySource source(data);
    const auto done = pipeline.run(source, [&](const ProcessedChunk& item) -> Result<> {
      const ChunkDescriptor& want = expected.at(next++);
      RC_ASSERT(item.chunk.offset == want.offset && item.chunk.gear_hash == want.gear_hash);
      RC_ASSERT(item.hash == want.hash && item.compressed.empty());
      RC_ASSERT(equal(item.chunk.payload, ByteSpan(data).subspan(want.offset, want.length)));
      return {};
    });
    RC_ASSERT(ok(done));
    RC_ASSERT(next == expected.size());
  }
}

#if CLEAVE_WITH_ZSTD
TEST(ChunkPipeline, Compresses) {
  const auto data = mixed_bytes(1, 3'000'000);
  auto pipeline = PipelineBuilder().chunking(kSmall).compress(3).threads(2).build().value();
  MemorySource source(data);
  std::uint64_t size = 0;
  const auto done = pipeline.run(source, [&](const ProcessedChunk& item) -> Result<> {
    Buffer decoded;
    decoded.resize(item.chunk.payload.size());
    EXPECT_TRUE(ok(zstd_decompress_into(item.compressed, decoded.span())));
    EXPECT_TRUE(equal(decoded.span(), item.chunk.payload));
    size += decoded.size();
    return {};
  });
  EXPECT_TRUE(ok(done));
  EXPECT_EQ(size, data.size());
}
#endif

TEST(ChunkPipeline, AnErrorComesBehindAllChunksBeforeIt) {
  const auto data = mixed_bytes(2, 3'000'000);
  const FastCdc fastcdc = FastCdc::create(kSmall).value();
  FailsAt reference_source(data);
  ChunkStream reference(reference_source, fastcdc);
  std::uint64_t expected = 0;
  for (auto chunk = reference.next(); chunk; chunk = reference.next()) {
    expected += (*chunk)->payload.size();
  }
  ASSERT_GT(expected, 2'900'000U);
  for (const std::size_t threads : {1U, 2U, 5U}) {
    auto pipeline = PipelineBuilder().chunking(kSmall).threads(threads).build().value();
    FailsAt source(data);
    std::uint64_t size = 0;
    const auto done = pipeline.run(source, [&](const ProcessedChunk& item) -> Result<> {
      EXPECT_EQ(item.chunk.offset, size);
      size += item.chunk.payload.size();
      return {};
    });
    EXPECT_TRUE(fails_with(done, IoError::io_error));
    EXPECT_EQ(size, expected);
  }
}

TEST(ChunkPipeline, TheSinkEndsIt) {
  const auto data = mixed_bytes(3, 3'000'000);
  auto pipeline = PipelineBuilder().chunking(kSmall).threads(2).build().value();
  MemorySource source(data);
  int chunks = 0;
  const auto done = pipeline.run(source, [&](const ProcessedChunk&) -> Result<> {
    if (++chunks == 5) return fail(IoError::out_of_memory);
    return {};
  });
  EXPECT_TRUE(fails_with(done, IoError::out_of_memory));
  EXPECT_EQ(chunks, 5);
}

TEST(ChunkPipeline, IsCancelled) {
  const auto data = mixed_bytes(4, 30'000'000);
  Progress progress;
  auto pipeline = PipelineBuilder().chunking(kSmall).progress(progress).threads(2).build().value();
  MemorySource source(data);
  const auto done = pipeline.run(source, [&](const ProcessedChunk&) -> Result<> {
    progress.stop = true;
    return {};
  });
  EXPECT_TRUE(fails_with(done, IoError::interrupted));
  EXPECT_LT(progress.done, data.size());
}

TEST(ChunkPipeline, RefusesIllegalOptions) {
  EXPECT_TRUE(fails_with(PipelineBuilder().chunking({.min_size = 1}).build(),
                         ChunkingError::invalid_chunking_options));
}

}  // namespace
}  // namespace cleave
