#include "cleave/base/file.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <ostream>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

// Stand-ins for system calls, which file.cpp gets instead of the C library's: they behave as on
// filesystems that this machine does not have.
namespace {
bool without_proc = false;              // no way to name an unnamed file
bool without_rename_noreplace = false;  // as on NFS
int close_says = 0;                     // as on NFS when a write has failed
}  // namespace

extern "C" int access(const char* path, int mode) noexcept {
  if (without_proc && std::string_view(path).starts_with("/proc")) {
    errno = ENOENT;
    return -1;
  }
  return ::faccessat(AT_FDCWD, path, mode, 0);
}

extern "C" int renameat2(int from_dir, const char* from, int to_dir, const char* to,
                         unsigned flags) noexcept {
  if (without_rename_noreplace && flags != 0) {
    errno = EINVAL;
    return -1;
  }
  if (flags != 0 && ::faccessat(to_dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return -1;
  }
  return ::renameat(from_dir, from, to_dir, to);
}

extern "C" int close(int fd) {
  if (::syscall(SYS_close, fd) != 0) return -1;
  errno = close_says;
  return close_says == 0 ? 0 : -1;
}

namespace cleave {
namespace {

using test::fails_with;
using test::message_of;
using test::ok;
using test::read_file;
using test::TempDir;
using test::text_of;
using test::write_file;
using testing::HasSubstr;

TEST(File, ErrorsNameThePathAndTheReason) {
  const TempDir dir;
  const auto missing = open_file(dir / "missing", O_RDONLY);
  ASSERT_TRUE(fails_with(missing, IoError::io_error));
  EXPECT_EQ(missing.error().os_error(), ENOENT);
  EXPECT_THAT(message_of(missing), HasSubstr("missing\", No such file or directory"));
  EXPECT_TRUE(fails_with(file_info(dir / "missing", FollowSymlinks::yes), IoError::io_error));
  EXPECT_TRUE(fails_with(sync_directory(dir / "missing"), IoError::io_error));
  EXPECT_EQ(write_all(-1, as_byte_span("x"), "closed").error().os_error(), EBADF);
}

TEST(File, DescriptorsCloseOnceAndMove) {
  const TempDir dir;
  auto opened = open_file(dir / "a", O_WRONLY | O_CREAT);
  ASSERT_TRUE(ok(opened));
  const int number = opened->get();
  FileDescriptor fd = *std::move(opened);
  EXPECT_FALSE(opened->is_open());  // NOLINT(bugprone-use-after-move): documented
  EXPECT_EQ(fd.get(), number);
  EXPECT_NE(::fcntl(number, F_GETFD) & FD_CLOEXEC, 0);
  FileDescriptor other;
  other = std::move(fd);
  EXPECT_EQ(other.get(), number);
  other.close();
  EXPECT_FALSE(other.is_open());
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST(File, InfoTellsTypeSizeAndExecutable) {
  const TempDir dir;
  write_file(dir / "file", "12345");
  ASSERT_EQ(::chmod((dir / "file").c_str(), 0750), 0);
  std::filesystem::create_symlink("file", dir / "link");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);

  const auto file = file_info(dir / "file", FollowSymlinks::no);
  ASSERT_TRUE(ok(file));
  EXPECT_EQ(file->type, FileType::regular);
  EXPECT_EQ(file->size, 5U);
  EXPECT_TRUE(file->executable);
  EXPECT_EQ(file_type_name(file->mode), "regular file");
  EXPECT_EQ(file_info(dir / "link", FollowSymlinks::no)->type, FileType::symlink);
  const auto followed = file_info(dir / "link", FollowSymlinks::yes);
  EXPECT_EQ(followed->inode, file->inode);
  EXPECT_EQ(followed->device, file->device);
  EXPECT_EQ(file_info(dir.path(), FollowSymlinks::no)->type, FileType::directory);
  const auto fifo = file_info(dir / "fifo", FollowSymlinks::no);
  EXPECT_EQ(fifo->type, FileType::other);
  EXPECT_FALSE(fifo->executable);
  EXPECT_EQ(file_type_name(fifo->mode), "fifo");
}

TEST(File, ReadsExactlyOrSaysWhereItEnded) {
  const TempDir dir;
  write_file(dir / "file", "0123456789");
  const auto fd = open_file(dir / "file", O_RDONLY);
  std::array<std::byte, 4> into;
  EXPECT_TRUE(ok(read_exact_at(fd->get(), into, 6, "file")));
  EXPECT_EQ(text_of(into), "6789");
  for (const std::uint64_t offset : {7U, 10U, 1000U}) {
    const auto past = read_exact_at(fd->get(), into, offset, "file");
    ASSERT_TRUE(fails_with(past, IoError::unexpected_end));
    EXPECT_EQ(past.error().offset(), std::max<std::uint64_t>(offset, 10));
  }
}

TEST(File, WritesAtAnyOffset) {
  const TempDir dir;
  const auto fd = open_file(dir / "file", O_WRONLY | O_CREAT);
  EXPECT_TRUE(ok(write_all(fd->get(), as_byte_span("abcdef"), "file")));
  EXPECT_TRUE(ok(write_all_at(fd->get(), as_byte_span("XY"), 2, "file")));
  EXPECT_TRUE(ok(sync_data(fd->get(), "file")));
  EXPECT_TRUE(ok(sync_directory(dir.path())));
  EXPECT_EQ(read_file(dir / "file"), "abXYef");
}

TEST(File, AFullDiskIsAnError) {
  const auto full = open_file("/dev/full", O_WRONLY);
  ASSERT_TRUE(ok(full));
  EXPECT_EQ(write_all(full->get(), as_byte_span("x"), "/dev/full").error().os_error(), ENOSPC);
  EXPECT_EQ(FileSink(full->get(), "/dev/full").write(as_byte_span("x")).error().os_error(), ENOSPC);
}

TEST(FileSource, ReadsToTheEndAndKnowsWhatRemains) {
  const TempDir dir;
  write_file(dir / "file", "0123456789");
  auto source = FileSource::open(dir / "file");
  ASSERT_TRUE(ok(source));
  EXPECT_EQ(source->remaining(), 10U);
  std::array<std::byte, 7> into;
  EXPECT_EQ(read_full(*source, into), 7U);
  EXPECT_EQ(source->remaining(), 3U);
  write_file(dir / "file", "now it is longer than it was");
  EXPECT_EQ(read_full(*source, into), 7U);
  EXPECT_EQ(source->remaining(), 0U);
}

TEST(FileSource, IsARegularFileOnly) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  const auto fifo = FileSource::open(dir / "fifo");  // must not wait for a writer
  EXPECT_TRUE(fails_with(fifo, IoError::unsupported_file_type));
  EXPECT_THAT(message_of(fifo),
              HasSubstr("unsupported_file_type: fifo where a regular file is needed, path \""));
  EXPECT_TRUE(fails_with(FileSource::open(dir.path()), IoError::unsupported_file_type));
  EXPECT_TRUE(fails_with(FileSource::open("/dev/null"), IoError::unsupported_file_type));
}

enum class Way { unnamed, renamed, linked };

std::string name_of(Way way) {
  return way == Way::unnamed ? "unnamed" : way == Way::renamed ? "renamed" : "linked";
}
std::ostream& operator<<(std::ostream& out, Way way) { return out << name_of(way); }

// Each way that an output gets its name.
class OutputFileTest : public testing::TestWithParam<Way> {
 protected:
  OutputFileTest() {
    without_proc = GetParam() != Way::unnamed;
    without_rename_noreplace = GetParam() == Way::linked;
  }
  ~OutputFileTest() override { without_proc = without_rename_noreplace = false; }

  OutputFile create(Overwrite overwrite) {
    auto file = OutputFile::create(target, overwrite);
    EXPECT_TRUE(ok(file));
    EXPECT_TRUE(ok(file->write(as_byte_span("new content"))));
    return *std::move(file);
  }

  TempDir dir;
  std::filesystem::path target = dir / "target";
};

INSTANTIATE_TEST_SUITE_P(, OutputFileTest, testing::Values(Way::unnamed, Way::renamed, Way::linked),
                         [](const auto& way) { return name_of(way.param); });

TEST_P(OutputFileTest, HasItsNameOnlyAfterCommit) {
  OutputFile file = create(Overwrite::no);
  EXPECT_FALSE(std::filesystem::exists(target));
  EXPECT_EQ(dir.count(), GetParam() == Way::unnamed ? 0U : 1U);
  ASSERT_TRUE(ok(file.write_at(as_byte_span("NEW"), 0)));
  ASSERT_TRUE(ok(file.commit()));
  EXPECT_EQ(read_file(target), "NEW content");
  EXPECT_EQ(dir.count(), 1U);
}

TEST_P(OutputFileTest, LeavesNothingWhenDropped) {
  {
    const OutputFile file = create(Overwrite::no);
  }
  EXPECT_EQ(dir.count(), 0U);
}

TEST_P(OutputFileTest, StaysAfterItsObjectIsGone) {
  {
    ASSERT_TRUE(ok(create(Overwrite::no).commit()));
  }
  EXPECT_EQ(read_file(target), "new content");
}

TEST_P(OutputFileTest, DoesNotReplaceUnlessAsked) {
  write_file(target, "old");
  EXPECT_TRUE(fails_with(OutputFile::create(target, Overwrite::no), IoError::output_exists));
  OutputFile file = create(Overwrite::yes);
  EXPECT_EQ(read_file(target), "old");
  ASSERT_TRUE(ok(file.commit()));
  EXPECT_EQ(read_file(target), "new content");
  EXPECT_EQ(dir.count(), 1U);
}

TEST_P(OutputFileTest, DoesNotReplaceWhatAppearedMeanwhile) {
  {
    OutputFile file = create(Overwrite::no);
    write_file(target, "somebody else's");
    EXPECT_TRUE(fails_with(file.commit(), IoError::output_exists));
  }
  EXPECT_EQ(read_file(target), "somebody else's");
  EXPECT_EQ(dir.count(), 1U);
}

TEST_P(OutputFileTest, HasNoNameWhenAWriteFailsAfterAll) {
  {
    OutputFile file = create(Overwrite::yes);
    close_says = EDQUOT;
    const auto committed = file.commit();
    close_says = 0;
    ASSERT_TRUE(fails_with(committed, IoError::io_error));
    EXPECT_EQ(committed.error().os_error(), EDQUOT);
  }
  EXPECT_EQ(dir.count(), 0U);
}

TEST(File, AClosedDescriptorIsNoProof) {
  EXPECT_TRUE(fails_with(check_written(-1, "name"), IoError::io_error));
}

TEST_P(OutputFileTest, ADanglingSymlinkIsSomethingToo) {
  std::filesystem::create_symlink("nowhere", target);
  EXPECT_TRUE(fails_with(OutputFile::create(target, Overwrite::no), IoError::output_exists));
  ASSERT_TRUE(ok(create(Overwrite::yes).commit()));
  EXPECT_FALSE(std::filesystem::is_symlink(target));
}

TEST_P(OutputFileTest, AFolderIsNotReplaced) {
  std::filesystem::create_directory(target);
  EXPECT_TRUE(fails_with(create(Overwrite::yes).commit(), IoError::io_error));
  EXPECT_TRUE(std::filesystem::is_directory(target));
  EXPECT_EQ(dir.count(), 1U);
}

TEST_P(OutputFileTest, AMissingFolderIsAnError) {
  const auto file = OutputFile::create(dir / "missing" / "target", Overwrite::no);
  ASSERT_TRUE(fails_with(file, IoError::io_error));
  EXPECT_EQ(file.error().os_error(), ENOENT);
}

TEST_P(OutputFileTest, MovesWithItsName) {
  OutputFile file = create(Overwrite::no);
  {
    OutputFile other = *OutputFile::create(dir / "other", Overwrite::no);
    other = std::move(file);
    ASSERT_TRUE(ok(other.commit()));
    file = *OutputFile::create(dir / "third", Overwrite::no);
  }
  EXPECT_EQ(read_file(target), "new content");
  file = *OutputFile::create(dir / "last", Overwrite::no);
  ASSERT_TRUE(ok(file.commit()));
  EXPECT_EQ(dir.count(), 2U);
}

TEST(TemporaryName, IsBesideAndHiddenAndFits) {
  const auto name = temporary_name_beside("/some/where/file.nar");
  EXPECT_EQ(name.parent_path(), "/some/where");
  EXPECT_THAT(name.filename().native(), testing::StartsWith(".file.nar.cleave-"));
  EXPECT_NE(name, temporary_name_beside("/some/where/file.nar"));
  EXPECT_EQ(temporary_name_beside("bare").parent_path(), ".");
  EXPECT_LE(temporary_name_beside(std::string(NAME_MAX, 'n')).filename().native().size(),
            std::size_t{NAME_MAX});
}

}  // namespace
}  // namespace cleave
