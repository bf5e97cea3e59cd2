#include <atomic>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <unistd.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/base/read_ahead.h"
#include "tests/support/bytes.h"
#include "tests/support/read_ahead.h"
#include "tests/support/result.h"
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

class ReadAheadFaultsTest : public test::ReadAheadFixture {};

INSTANTIATE_TEST_SUITE_P(Every, ReadAheadFaultsTest, testing::ValuesIn(all_ways()),
                         testing::PrintToStringParamName());

TEST_P(ReadAheadFaultsTest, AnyRangeSurvivesAnyPassingFault) {
  const Contents contents = make_file(100'003);
  rc::check([&] {
    const auto offset = *rc::gen::inRange<std::size_t>(0, contents.size() + 1);
    const auto size = *rc::gen::inRange<std::size_t>(0, contents.size() - offset + 1);
    const auto block_size = kBlock * *rc::gen::inRange<std::size_t>(1, 17);
    const auto seed = *rc::gen::arbitrary<std::uint32_t>();
    std::atomic<std::uint32_t> count = 0;
    const auto draw = [&] { return (seed + 0x9e3779b9U * ++count) >> 16; };
    calls->on_read = [&](std::uint64_t) -> FaultyCalls::Answer {
      const std::uint32_t drawn = draw();
      if (drawn % 8 == 0) return -EINTR;
      if (drawn % 64 == 1) return -EAGAIN;
      if (drawn % 4 == 2) return 1 + drawn % 9000;
      return std::nullopt;
    };
    calls->on_completion = [&](int result) {
      constexpr int kErrors[] = {EINTR, EAGAIN, ECANCELED, EINVAL, EOPNOTSUPP};
      const std::uint32_t drawn = draw();
      if (drawn % 4 == 0) return -kErrors[drawn / 4 % 5];
      if (drawn % 4 == 1) return result / 3;
      return result;
    };
    calls->cached = seed % 2 == 0;
    auto source = ReadAheadSource::open(FileDescriptor(::open(path.c_str(), O_RDONLY)), path,
                                        {offset, size}, options(block_size, seed % 5));
    RC_ASSERT(source.has_value());
    const auto all = drain(*source);
    RC_ASSERT(all.has_value());
    RC_ASSERT(equal(*all, std::span(contents).subspan(offset, size)));
  });
}

TEST_P(ReadAheadFaultsTest, AFileThatShrinksIsAnErrorForEver) {
  for (const std::size_t size : {kBlock * 40, kBlock * 10 + 1, std::size_t{0}}) {
    make_file(64 * kBlock + 5);
    auto source = ReadAheadSource::open(path, options()).value();
    ASSERT_TRUE(ok(source.next()));
    ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(size)), 0);
    EXPECT_TRUE(fails_with(drain(source), IoError::file_changed));
    EXPECT_TRUE(fails_with(source.next(), IoError::file_changed));
    std::byte byte;
    EXPECT_TRUE(fails_with(source.read({&byte, 1}), IoError::file_changed));
  }
}

TEST_P(ReadAheadFaultsTest, AFileThatGrowsIsAnErrorAtItsEnd) {
  const Contents contents = make_file(5 * kBlock + 5);
  auto source = ReadAheadSource::open(path, options()).value();
  ASSERT_TRUE(ok(source.next()));
  std::ofstream(path, std::ios::app) << "more";
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(ok(source.next()));
  EXPECT_EQ(source.remaining(), 0U);
  EXPECT_TRUE(fails_with(source.next(), IoError::file_changed));
}

TEST_P(ReadAheadFaultsTest, AFileWrittenToIsAnErrorAtItsEnd) {
  make_file(5 * kBlock);
  auto source = ReadAheadSource::open(path, options()).value();
  ASSERT_TRUE(ok(source.next()));
  std::filesystem::last_write_time(
      path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_TRUE(fails_with(drain(source), IoError::file_changed));
}

TEST_P(ReadAheadFaultsTest, AFileReplacedUnderItsNameIsReadOn) {
  const Contents contents = make_file(20 * kBlock);
  auto source = ReadAheadSource::open(path, options()).value();
  test::write_file(dir / "other", "other");
  std::filesystem::rename(dir / "other", path);
  const auto all = drain(source);
  ASSERT_TRUE(ok(all));
  EXPECT_TRUE(equal(*all, contents));
}

TEST_P(ReadAheadFaultsTest, AReadErrorComesAfterTheBlocksBeforeIt) {
  const Contents contents = make_file(20 * kBlock);
  calls->cached = false;
  calls->on_read = [](std::uint64_t offset) -> FaultyCalls::Answer {
    if (offset >= 9 * kBlock) return -EIO;
    return kBlock;
  };
  calls->on_completion = [count = 0](int result) mutable { return ++count > 9 ? -EIO : result; };
  auto source = ReadAheadSource::open(path, options()).value();
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(ok(source.next())) << i;
  for (int i = 0; i < 2; ++i) {
    const auto failed = source.next();
    ASSERT_TRUE(fails_with(failed, IoError::io_error));
    EXPECT_EQ(failed.error().os_error(), EIO);
  }
}

TEST_P(ReadAheadFaultsTest, AFileThatRefusesForASecondIsAnErrorAndNoHang) {
  make_file(20 * kBlock);
  calls->cached = false;
  calls->on_read = [](std::uint64_t) { return FaultyCalls::Answer(-EAGAIN); };
  calls->on_completion = [](int) { return -EAGAIN; };
  auto source = ReadAheadSource::open(path, options()).value();
  const auto failed = source.next();
  ASSERT_TRUE(fails_with(failed, IoError::io_error));
  EXPECT_EQ(failed.error().os_error(), EAGAIN);
}

TEST_P(ReadAheadFaultsTest, GoesWithoutIoUringWhereItIsRefused) {
  const Contents contents = make_file(20 * kBlock);
  calls->cached = false;
  for (const int refusal : {-EPERM, -ENOSYS, -ENOMEM}) {
    calls->uring_refusal = refusal;
    auto source = ReadAheadSource::open(path, options()).value();
    const auto all = drain(source);
    ASSERT_TRUE(ok(all));
    EXPECT_TRUE(equal(*all, contents));
    EXPECT_NE(source.backend(), ReadBackend::io_uring);
  }
}

TEST_P(ReadAheadFaultsTest, GoesThroughThePageCacheWhereDirectReadsAreRefused) {
  const Contents contents = make_file(20 * kBlock + 9);
  calls->direct_allowed = false;
  auto source = ReadAheadSource::open(path, options()).value();
  const auto all = drain(source);
  ASSERT_TRUE(ok(all));
  EXPECT_TRUE(equal(*all, contents));
}

TEST(ReadAheadFaults, AFileThatSaysItIsEmptyAndIsNotIsAnError) {
  auto source = ReadAheadSource::open("/proc/thread-self/stat").value();
  EXPECT_TRUE(fails_with(source.next(), IoError::file_changed));
}

}  // namespace
}  // namespace cleave
