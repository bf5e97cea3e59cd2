#include "cleave/base/mapped_windows.h"

#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "cleave/base/mapped_file.h"
#include "tests/support/bytes.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

namespace cleave {
namespace {

using test::equal;
using test::fails_with;
using test::ok;
using test::TempDir;

const std::size_t kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

MappedWindowsOptions sizes(std::uint64_t whole_up_to, std::uint64_t window_size) {
  MappedWindowsOptions options;
  options.whole_up_to = whole_up_to;
  options.window_size = window_size;
  return options;
}

class MappedWindowsTest : public testing::Test {
 protected:
  std::vector<std::byte> make_file(std::size_t size) {
    std::vector<std::byte> contents = test::random_bytes(size, size);
    test::write_file(path, as_text(contents));
    return contents;
  }

  MappedWindows open_windows(std::size_t pages) {
    return MappedWindows::open(path, sizes(0, pages * kPage)).value();
  }

  // How much of the file this process has mapped. Mappings that lie side by side may count as one.
  std::size_t mapped_pages() const {
    std::ifstream maps("/proc/self/maps");
    std::size_t size = 0;
    for (std::string line; std::getline(maps, line);) {
      if (!line.ends_with(path.native())) continue;
      std::size_t used = 0;
      const auto begin = std::stoull(line, &used, 16);
      size += std::stoull(line.substr(used + 1), nullptr, 16) - begin;
    }
    return size / kPage;
  }

  TempDir dir;
  const std::filesystem::path path = dir / "file";
};

Result<std::vector<std::byte>> drain(BlockSource& source) {
  std::vector<std::byte> all;
  for (;;) {
    const Bytes block = CLEAVE_TRY(source.next());
    if (block.empty()) return all;
    all.insert(all.end(), block.span().begin(), block.span().end());
  }
}

TEST_F(MappedWindowsTest, FollowEachOther) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kPage - 1, kPage, kPage + 1,
                                 6 * kPage, 6 * kPage + 1, 7 * kPage + 99}) {
    const auto contents = make_file(size);
    MappedWindows windows = open_windows(2);
    EXPECT_EQ(windows.remaining(), size);
    std::size_t at = 0;
    while (at < size) {
      const auto window = windows.next();
      ASSERT_TRUE(ok(window));
      EXPECT_EQ(window->size(), std::min(2 * kPage, size - at));
      EXPECT_TRUE(equal(*window, std::span(contents).subspan(at, window->size())));
      EXPECT_TRUE(ok(window->check()));
      at += window->size();
      EXPECT_EQ(windows.remaining(), size - at);
    }
    EXPECT_TRUE(windows.next()->empty());
    EXPECT_TRUE(windows.next()->empty());
    EXPECT_FALSE(windows.mapping_failure());
  }
}

TEST_F(MappedWindowsTest, AreOneForAFileThatIsNotLarge) {
  make_file(7 * kPage);
  const MappedWindowsOptions options = sizes(7 * kPage, kPage);
  EXPECT_EQ(MappedWindows::open(path, options)->next()->size(), 7 * kPage);
  make_file(7 * kPage + 1);
  EXPECT_EQ(MappedWindows::open(path, options)->next()->size(), kPage);
}

TEST_F(MappedWindowsTest, EndWithTheirLastBytes) {
  make_file(6 * kPage);
  std::optional<MappedWindows> windows = open_windows(2);
  std::optional<Bytes> first = windows->next().value();
  const Bytes second = windows->next().value();
  EXPECT_EQ(mapped_pages(), 4U);
  const Bytes part = first->slice(5, 10);
  first.reset();
  windows.reset();
  EXPECT_EQ(mapped_pages(), 4U);
  EXPECT_EQ(part.size(), 10U);
}

TEST_F(MappedWindowsTest, AreUnmappedWhenNobodyHasThem) {
  make_file(600 * kPage);
  MappedWindows windows = open_windows(1);
  for (int i = 0; i < 600; ++i) {
    const auto window = windows.next();
    ASSERT_TRUE(ok(window));
    ASSERT_LE(mapped_pages(), 1U);
  }
  EXPECT_EQ(mapped_pages(), 0U);
}

TEST_F(MappedWindowsTest, OfAFileThatShrinksReadZerosAndSaySo) {
  make_file(6 * kPage);
  MappedWindows windows = open_windows(2);
  const Bytes first = windows.next().value();
  const Bytes second = windows.next().value();
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(2 * kPage)), 0);
  EXPECT_TRUE(ok(first.check()));
  EXPECT_EQ(second.span().back(), std::byte{0});
  EXPECT_TRUE(fails_with(second.check(), IoError::file_changed));
  const auto rest = drain(windows);
  EXPECT_TRUE(fails_with(rest, IoError::file_changed));
  EXPECT_TRUE(fails_with(windows.next(), IoError::file_changed));
}

TEST_F(MappedWindowsTest, OfAFileThatGrowsAreAnErrorAtTheEnd) {
  make_file(3 * kPage);
  MappedWindows windows = open_windows(2);
  ASSERT_TRUE(ok(windows.next()));
  std::ofstream(path, std::ios::app) << "more";
  EXPECT_EQ(windows.next()->size(), kPage);
  EXPECT_TRUE(fails_with(windows.next(), IoError::file_changed));
}

TEST_F(MappedWindowsTest, AreReadWhereTheyCannotBeMapped) {
  const auto contents = make_file(9 * kPage + 3);
  test::write_file(dir / "other", "one of many");
  MappedWindows windows = open_windows(2);
  const Bytes first = windows.next().value();
  std::vector<Bytes> many;  // until all guards are taken
  const FileDescriptor other = open_file(dir / "other", O_RDONLY).value();
  while (auto bytes = map_file(other.get(), 11, "other")) many.push_back(*std::move(bytes));
  const auto rest = drain(windows);
  ASSERT_TRUE(ok(rest));
  EXPECT_TRUE(equal(*rest, std::span(contents).subspan(2 * kPage)));
  ASSERT_TRUE(windows.mapping_failure());
  EXPECT_TRUE(windows.mapping_failure()->is(IoError::out_of_memory));
  EXPECT_EQ(windows.remaining(), 0U);
}

TEST_F(MappedWindowsTest, OfWhatIsNoRegularFileAreAnError) {
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_TRUE(fails_with(MappedWindows::open(path), IoError::unsupported_file_type));
}

TEST_F(MappedWindowsTest, OpenBlocksReadsOrMaps) {
  const auto contents = make_file(9 * kPage + 3);
  for (const BlockAccess access : {BlockAccess::read, BlockAccess::map}) {
    BlockOptions options;
    options.access = access;
    const auto source = open_blocks(path, options);
    ASSERT_TRUE(ok(source));
    const Bytes bytes = (*source)->next().value();
    EXPECT_EQ(mapped_pages(), access == BlockAccess::map ? 10U : 0U);
    EXPECT_TRUE(equal(bytes, contents));
    EXPECT_TRUE(fails_with(open_blocks(dir / "none", options), IoError::io_error));
  }
}

}  // namespace
}  // namespace cleave
