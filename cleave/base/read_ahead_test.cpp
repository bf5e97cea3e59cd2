#include "cleave/base/read_ahead.h"

#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <set>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/read_ahead.h"
#include "tests/support/result.h"
#include "tests/support/rounds.h"
#include "tests/support/temp_dir.h"

namespace cleave {
namespace {

using test::all_ways;
using test::Contents;
using test::drain;
using test::equal;
using test::fails_with;
using test::FaultyCalls;
using test::kBlock;
using test::ok;
using test::TempDir;

class ReadAheadTest : public test::ReadAheadFixture {};

INSTANTIATE_TEST_SUITE_P(Every, ReadAheadTest, testing::ValuesIn(all_ways()),
                         testing::PrintToStringParamName());

int threads_of_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<int>(std::distance(begin(tasks), end(tasks)));
}

TEST_P(ReadAheadTest, GivesTheBytesOfTheFile) {
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 65536U, 65537U, 300'000U}) {
    const Contents contents = make_file(size);
    for (const std::size_t block_size : {std::size_t{1}, kBlock, std::size_t{20'000}, 1UL << 20}) {
      for (const bool cached : {true, false}) {
        calls->cached = cached;
        auto source = ReadAheadSource::open(path, options(block_size));
        ASSERT_TRUE(ok(source));
        EXPECT_EQ(source->remaining(), size);
        const auto all = drain(*source);
        ASSERT_TRUE(ok(all));
        ASSERT_TRUE(equal(*all, contents)) << "size " << size << " block " << block_size;
        EXPECT_EQ(source->remaining(), 0U);
        EXPECT_TRUE(ok(source->next()) && source->next()->empty());
      }
    }
  }
}

TEST_P(ReadAheadTest, CopiesTheSameBytes) {
  const Contents contents = make_file(50'001);
  auto source = ReadAheadSource::open(path, options()).value();
  Contents all(contents.size() + 10);
  std::size_t done = 0;
  for (std::size_t step = 1;; step = step * 2 % 9973 + 1) {
    const auto n = source.read(std::span(all).subspan(done, std::min(step, all.size() - done)));
    ASSERT_TRUE(ok(n));
    if (*n == 0) break;
    done += *n;
    EXPECT_EQ(source.remaining(), contents.size() - done);
  }
  EXPECT_TRUE(equal(std::span(all).first(done), contents));
}

TEST_P(ReadAheadTest, GivesTheRestOfABlockThatWasCopiedInPart) {
  const Contents contents = make_file(3 * kBlock);
  auto source = ReadAheadSource::open(path, options()).value();
  Contents all(100);
  ASSERT_EQ(source.read(all), 100U);
  const auto rest = drain(source);
  ASSERT_TRUE(ok(rest));
  all.insert(all.end(), rest->begin(), rest->end());
  EXPECT_TRUE(equal(all, contents));
}

TEST_P(ReadAheadTest, ReadsAlignedBlocks) {
  make_file(10 * kBlock + 7);
  calls->on_read = [](std::uint64_t offset) {
    EXPECT_EQ(offset % kReadAlignment, 0U);
    return FaultyCalls::Answer();
  };
  auto source = ReadAheadSource::open(FileDescriptor(::open(path.c_str(), O_RDONLY)), path, {},
                                      options(2 * kBlock));
  for (int i = 0; i < 5; ++i) {
    const Bytes block = source->next().value();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.data()) % kReadAlignment, 0U);
    EXPECT_EQ(block.size(), 2 * kBlock);
  }
  EXPECT_EQ(source->next()->size(), 7U);
}

TEST_P(ReadAheadTest, ARangeBeyondTheFileIsAnError) {
  make_file(100);
  const auto open_range = [&](FileRange range) {
    return ReadAheadSource::open(FileDescriptor(::open(path.c_str(), O_RDONLY)), path, range,
                                 options());
  };
  EXPECT_TRUE(ok(open_range({100, {}})));
  EXPECT_TRUE(fails_with(open_range({101, {}}), IoError::unexpected_end));
  EXPECT_TRUE(fails_with(open_range({60, 41}), IoError::unexpected_end));
  EXPECT_TRUE(fails_with(open_range({1, ~std::uint64_t{0}}), IoError::unexpected_end));
}

TEST_P(ReadAheadTest, EndsInTheMiddleAndLeavesNothingBehind) {
  make_file(200 * kBlock);
  calls->cached = false;
  std::thread([] {}).join();  // with the first thread, ThreadSanitizer starts one of its own
  const int threads = threads_of_process();
  for (int i = 0; i < test::rounds(200); ++i) {
    auto source = ReadAheadSource::open(path, options(kBlock, 16)).value();
    for (int k = 0; k < i % 5; ++k) ASSERT_TRUE(ok(source.next()));
  }
  // A thread that was joined may still be on its way out of the kernel.
  for (int i = 0; i < 1000 && threads_of_process() > threads; ++i) ::usleep(1000);
  EXPECT_LE(threads_of_process(), threads);
}

TEST_P(ReadAheadTest, BlocksOutliveTheSource) {
  const Contents contents = make_file(20 * kBlock);
  std::vector<Bytes> blocks;
  {
    auto source = ReadAheadSource::open(path, options()).value();
    for (int i = 0; i < 15; ++i) blocks.push_back(source.next().value());
  }
  std::filesystem::remove(path);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_TRUE(equal(blocks[i], std::span(contents).subspan(i * kBlock, kBlock))) << i;
    EXPECT_TRUE(ok(blocks[i].check()));
  }
}

TEST_P(ReadAheadTest, UsesItsBlocksAgain) {
  make_file(500 * kBlock);
  calls->cached = false;
  auto source = ReadAheadSource::open(path, options(kBlock, 4)).value();
  std::set<const std::byte*> places;
  for (int i = 0; i < 500; ++i) places.insert(source.next()->data());
  EXPECT_LE(places.size(), 6U);
}

TEST_P(ReadAheadTest, ReadsNoFurtherAheadThanItShould) {
  make_file(100 * kBlock);
  calls->cached = false;
  std::atomic<std::uint64_t> given = 0;
  calls->on_read = [&](std::uint64_t offset) {
    EXPECT_LE(offset, given + 5 * kBlock);
    return FaultyCalls::Answer(kBlock);
  };
  auto source = ReadAheadSource::open(path, options(kBlock, 4)).value();
  for (int i = 0; i < 100; ++i) {
    given = static_cast<std::uint64_t>(i) * kBlock;
    ASSERT_TRUE(ok(source.next()));
  }
}

TEST_P(ReadAheadTest, DoesNotMindWhichThreadAsks) {
  const Contents contents = make_file(30 * kBlock);
  calls->cached = false;
  auto source = ReadAheadSource::open(path, options()).value();
  Contents all;
  for (int i = 0; i < 30; ++i) {
    // The kernel cancels what a thread that has ended had in flight.
    std::thread([&] {
      const Bytes block = source.next().value();
      all.insert(all.end(), block.span().begin(), block.span().end());
    }).join();
  }
  EXPECT_TRUE(equal(all, contents));
}

TEST(ReadAhead, ReadsWhatThePageCacheHasWithoutAnyAhead) {
  const TempDir dir;
  test::write_contents(dir / "file", test::random_bytes(1, 40 * kBlock));
  ReadAheadOptions options;
  options.block_size = kBlock;
  const auto calls = std::make_shared<FaultyCalls>();
  options.calls = calls;
  auto source = ReadAheadSource::open(dir / "file", options).value();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(ok(source.next()));
  EXPECT_EQ(source.backend(), ReadBackend::plain);
  calls->cached = false;
  const auto rest = drain(source);
  ASSERT_TRUE(ok(rest));
  EXPECT_EQ(rest->size(), 20 * kBlock);
}

TEST(ReadAhead, OpensRegularFilesOnly) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_TRUE(fails_with(ReadAheadSource::open(dir / "fifo"), IoError::unsupported_file_type));
  EXPECT_TRUE(fails_with(ReadAheadSource::open(dir.path()), IoError::unsupported_file_type));
  EXPECT_TRUE(fails_with(ReadAheadSource::open(dir / "none"), IoError::io_error));
}

}  // namespace
}  // namespace cleave
