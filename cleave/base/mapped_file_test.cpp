#include "cleave/base/mapped_file.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/base/file.h"
#include "tests/support/bytes.h"
#include "tests/support/death_test.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

namespace cleave {
namespace {

using test::fails_with;
using test::message_of;
using test::ok;
using test::TempDir;
using test::text_of;
using test::write_file;

const std::size_t kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

void shrink(const std::filesystem::path& path, std::size_t size) {
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(size)), 0);
}

// A mapping that nobody guards, of a file that is gone.
const volatile char* broken_mapping(const TempDir& dir) {
  const auto path = dir / "broken";
  write_file(path, "x");
  const auto fd = open_file(path, O_RDONLY);
  const void* memory = ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd->get(), 0);
  shrink(path, 0);
  return static_cast<const volatile char*>(memory);
}

TEST(MappedFile, OutlivesItsDescriptorAndItsName) {
  const TempDir dir;
  write_file(dir / "file", "mapped bytes");
  Result<Bytes> bytes;
  {
    const auto fd = open_file(dir / "file", O_RDONLY);
    bytes = map_file(fd->get(), 12, "file");
  }
  std::filesystem::remove(dir / "file");
  ASSERT_TRUE(ok(bytes));
  EXPECT_EQ(text_of(*bytes), "mapped bytes");
  EXPECT_TRUE(ok(bytes->check()));
}

TEST(MappedFile, ReadsZerosAndSaysSoWhenItsFileShrank) {
  const TempDir dir;
  write_file(dir / "file", std::string(10 * kPage, 'a'));
  const auto bytes = open_bytes(dir / "file");
  ASSERT_TRUE(ok(bytes));
  shrink(dir / "file", 3 * kPage);
  const Bytes middle = bytes->slice(2 * kPage, 2 * kPage);
  EXPECT_EQ(text_of(middle), std::string(kPage, 'a') + std::string(kPage, '\0'));
  EXPECT_TRUE(std::ranges::all_of(bytes->span().subspan(4 * kPage),
                                  [](std::byte b) { return b == std::byte{0}; }));
  EXPECT_TRUE(fails_with(bytes->check(), IoError::file_changed));
  EXPECT_TRUE(fails_with(middle.check(), IoError::file_changed));
}

TEST(MappedFile, SaysThatItsFileShrankInsideItsLastPage) {
  const TempDir dir;
  write_file(dir / "file", std::string(kPage + 1000, 'a'));
  const auto bytes = open_bytes(dir / "file");
  ASSERT_TRUE(ok(bytes->check()));
  shrink(dir / "file", kPage + 999);
  EXPECT_EQ(bytes->span().back(), std::byte{0});
  EXPECT_TRUE(fails_with(bytes->check(), IoError::file_changed));
}

TEST(MappedFile, DoesNotMindThatItsFileGrew) {
  const TempDir dir;
  write_file(dir / "file", "short");
  const auto bytes = open_bytes(dir / "file");
  std::ofstream(dir / "file", std::ios::app) << " and more";
  EXPECT_EQ(text_of(*bytes), "short");
  EXPECT_TRUE(ok(bytes->check()));
}

TEST(MappedFile, DoesNotSufferFromAnotherOne) {
  const TempDir dir;
  write_file(dir / "shrinks", std::string(2 * kPage, 'a'));
  write_file(dir / "stays", std::string(2 * kPage, 'b'));
  const auto shrinks = open_bytes(dir / "shrinks");
  const auto stays = open_bytes(dir / "stays");
  shrink(dir / "shrinks", 0);
  EXPECT_EQ(shrinks->span().front(), std::byte{0});
  EXPECT_EQ(text_of(*stays), std::string(2 * kPage, 'b'));
  EXPECT_TRUE(fails_with(shrinks->check(), IoError::file_changed));
  EXPECT_TRUE(ok(stays->check()));
}

TEST(MappedFile, TakesThePlaceOfABrokenOneUnharmed) {
  const TempDir dir;
  write_file(dir / "file", std::string(kPage, 'a'));
  for (int i = 0; i < 3; ++i) {
    write_file(dir / "broken", std::string(kPage, 'b'));
    const auto broken = open_bytes(dir / "broken");
    shrink(dir / "broken", 0);
    EXPECT_EQ(broken->span().front(), std::byte{0});
    EXPECT_FALSE(ok(broken->check()));
  }
  const auto bytes = open_bytes(dir / "file");
  EXPECT_EQ(text_of(*bytes), std::string(kPage, 'a'));
  EXPECT_TRUE(ok(bytes->check()));
}

TEST(MappedFile, IsCopiedWhenTooManyAreMapped) {
  const TempDir dir;
  write_file(dir / "file", "one of many");
  {
    std::vector<Bytes> many;
    for (int i = 0; i < 600; ++i) {
      auto bytes = open_bytes(dir / "file");
      ASSERT_TRUE(ok(bytes)) << i;
      many.push_back(*std::move(bytes));
    }
    for (const Bytes& bytes : many) EXPECT_EQ(text_of(bytes), "one of many");
    const auto fd = open_file(dir / "file", O_RDONLY);
    EXPECT_TRUE(fails_with(map_file(fd->get(), 11, "file"), IoError::out_of_memory));
  }
  const auto fd = open_file(dir / "file", O_RDONLY);
  EXPECT_TRUE(ok(map_file(fd->get(), 11, "file")));
}

TEST(OpenBytes, ReadsWhatCannotBeMapped) {
  const TempDir dir;
  const auto fifo = dir / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string content(300'000, 'f');
  const std::jthread writer([&] { write_file(fifo, content); });
  const auto bytes = open_bytes(fifo);
  ASSERT_TRUE(ok(bytes));
  EXPECT_TRUE(text_of(*bytes) == content);
}

TEST(OpenBytes, ReadsFilesThatSayTheyAreEmpty) {
  const auto bytes = open_bytes("/proc/thread-self/stat");
  ASSERT_TRUE(ok(bytes));
  EXPECT_THAT(text_of(*bytes), testing::StartsWith(std::to_string(::getpid())));
}

TEST(OpenBytes, OfAnEmptyFileAreEmpty) {
  const TempDir dir;
  write_file(dir / "empty", "");
  const auto bytes = open_bytes(dir / "empty");
  ASSERT_TRUE(ok(bytes));
  EXPECT_TRUE(bytes->empty());
}

TEST(OpenBytes, CopiesNoMoreThanItsLimit) {
  const TempDir dir;
  const auto fifo = dir / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const std::uint64_t limit : {1000U, 999U}) {
    const std::jthread writer([&] { write_file(fifo, std::string(1000, 'x')); });
    const auto bytes = open_bytes(fifo, limit);
    if (limit == 1000) {
      ASSERT_TRUE(ok(bytes));
      EXPECT_EQ(bytes->size(), 1000U);
    } else {
      ASSERT_TRUE(fails_with(bytes, IoError::out_of_memory));
      EXPECT_EQ(bytes.error().limit(), 999U);
    }
  }
}

// Nor does it read more, to find that there is too much.
TEST(OpenBytes, TakesNoMoreThanItsLimitFromAPipe) {
  const TempDir dir;
  const auto fifo = dir / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const auto ends = open_file(fifo, O_RDWR);
  ASSERT_TRUE(ok(ends));
  constexpr std::size_t kWritten = 5000;  // what every pipe has room for
  ASSERT_TRUE(ok(write_all(ends->get(), as_byte_span(std::string(kWritten, 'x')), fifo)));
  ASSERT_TRUE(fails_with(open_bytes(fifo, 1000), IoError::out_of_memory));
  int left = 0;
  ASSERT_EQ(::ioctl(ends->get(), FIONREAD, &left), 0);
  EXPECT_EQ(left, kWritten - 1001);
}

TEST(OpenBytes, AFolderIsAnError) {
  const TempDir dir;
  EXPECT_EQ(message_of(open_bytes(dir.path())),
            "io_error: read, path \"" + dir.path().native() + "\", Is a directory");
}

TEST(MappingGuard, GuardsAMappingThatSomebodyElseMade) {
  const TempDir dir;
  write_file(dir / "file", std::string(2 * kPage, 'a'));
  const auto fd = open_file(dir / "file", O_RDONLY);
  void* memory = ::mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd->get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  {
    const MappingGuard guard(memory, 2 * kPage);
    ASSERT_TRUE(guard.active());
    EXPECT_FALSE(guard.damaged());
    shrink(dir / "file", kPage);
    EXPECT_EQ(static_cast<const volatile char*>(memory)[0], 'a');
    EXPECT_FALSE(guard.damaged());
    EXPECT_EQ(static_cast<const volatile char*>(memory)[kPage], '\0');
    EXPECT_TRUE(guard.damaged());
  }
  ::munmap(memory, 2 * kPage);
}

class BusErrorDeathTest : public testing::Test {
 protected:
  // A child that starts afresh: nobody has installed a handler yet.
  BusErrorDeathTest() { test::die_in_new_processes(); }

  void map_something() {
    write_file(dir / "mapped", "m");
    if (!open_bytes(dir / "mapped")) std::exit(0);
  }

  TempDir dir;
};

TEST_F(BusErrorDeathTest, OutsideOfMappingsStillKills) {
  EXPECT_DEATH(
      {
        map_something();
        [[maybe_unused]] const char read = *broken_mapping(dir);
        std::_Exit(0);
      },
      "");
}

TEST_F(BusErrorDeathTest, SentByAnotherProcessStillKills) {
  EXPECT_DEATH(
      {
        map_something();
        ::kill(::getpid(), SIGBUS);
        std::_Exit(0);
      },
      "");
}

TEST_F(BusErrorDeathTest, GoesToTheHandlerThatWasThereBefore) {
  EXPECT_EXIT(
      {
        std::signal(SIGBUS, [](int) { std::_Exit(42); });
        map_something();
        [[maybe_unused]] const char read = *broken_mapping(dir);
        std::_Exit(0);
      },
      testing::ExitedWithCode(42), "");
}

TEST_F(BusErrorDeathTest, GoesToTheHandlerThatWasThereBeforeWithItsAddress) {
  static const volatile char* expected = nullptr;
  EXPECT_EXIT(
      {
        struct sigaction action = {};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = [](int, siginfo_t* info, void*) {
          std::_Exit(info->si_addr == expected ? 42 : 1);
        };
        ::sigaction(SIGBUS, &action, nullptr);
        map_something();
        expected = broken_mapping(dir);
        [[maybe_unused]] const char read = *expected;
        std::_Exit(0);
      },
      testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace cleave
