#include "cleave/nar/nar_source.h"

#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/nar.h"
#include "tests/support/tree.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using namespace test::nar;
using test::make_file;
using test::Rng;
using test::TempDir;

// Reads all, asking for what `next_size` says.
Result<std::string> pack(const fs::path& path, const std::function<std::size_t()>& next_size) {
  NarSource source = CLEAVE_TRY(NarSource::open(path));
  std::string nar;
  for (;;) {
    std::string part(next_size(), '\xee');
    const std::size_t n = CLEAVE_TRY(source.read(std::as_writable_bytes(std::span(part))));
    if (n < part.size()) {
      // Only the end leaves something unfilled, and it stays the end.
      EXPECT_EQ(source.read(std::as_writable_bytes(std::span(part).first(1))).value(), 0u);
      return nar + part.substr(0, n);
    }
    nar += part;
  }
}

Result<std::string> pack(const fs::path& path) {
  return pack(path, [] { return std::size_t{1} << 16; });
}

testing::AssertionResult fails(const fs::path& path, const Error& expected,
                               std::string_view named) {
  const auto result = pack(path);
  if (!result && result.error().name() == expected.name() &&
      result.error().message().find(named) != std::string_view::npos) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << (result ? "no error" : result.error().message());
}

TEST(NarSource, EqualsTheFormat) {
  const TempDir dir;
  make_file(dir / "t/b", "hi", true);
  fs::create_symlink("b", dir / "t/a");
  fs::create_directory(dir / "t/sub");
  make_file(dir / "t/z", "");
  EXPECT_EQ(pack(dir / "t").value(),
            archive(folder(entry("a", symlink("b")) + entry("b", file("hi", kExecutable)) +
                           entry("sub", folder("")) + entry("z", file("")))));
}

TEST(NarSource, EqualsWhatNixMade) {
  const TempDir dir;
  const fs::path data = CLEAVE_TEST_DATA "/nar";
  make_file(dir / "x", "x");
  EXPECT_EQ(pack(dir / "x").value(), test::read_file(data / "file.nar"));
  make_file(dir / "t/b", "hi", true);
  fs::create_symlink("b", dir / "t/a");
  fs::create_directory(dir / "t/sub");
  EXPECT_EQ(pack(dir / "t").value(), test::read_file(data / "folder.nar"));
}

TEST(NarSource, RootMayBeAFileOrSymlink) {
  const TempDir dir;
  make_file(dir / "file", "x");
  make_file(dir / "run", "1234567890", true);
  fs::create_symlink("no/where", dir / "link");
  EXPECT_EQ(pack(dir / "file").value(), archive(file("x")));
  EXPECT_EQ(pack(dir / "run").value(), archive(file("1234567890", kExecutable)));
  EXPECT_EQ(pack(dir / "link").value(), archive(symlink("no/where")));
}

TEST(NarSource, ASlashBehindTheRootDoesNotMatter) {
  const TempDir dir;
  make_file(dir / "t/file", "x");
  EXPECT_EQ(pack(dir.path().native() + "/t/").value(), pack(dir / "t").value());
  EXPECT_EQ(pack(dir.path().native() + "/t/.").value(), pack(dir / "t").value());
}

TEST(NarSource, NamesAreInOrderOfTheirBytes) {
  const TempDir dir;
  for (const char* name : {"b", "a.b", "a-b", "a", "ab", "B", "\xc3\xa9", "~", "a b", "\x01"}) {
    make_file(dir / name, "");
  }
  std::string expected;
  for (const char* name : {"\x01", "B", "a", "a b", "a-b", "a.b", "ab", "b", "~", "\xc3\xa9"}) {
    expected += entry(name, file(""));
  }
  EXPECT_EQ(pack(dir.path()).value(), archive(folder(expected)));
}

TEST(NarSource, OnlyTheOwnersRightToExecuteCounts) {
  const TempDir dir;
  make_file(dir / "file", "x");
  ::chmod((dir / "file").c_str(), 0655);
  EXPECT_EQ(pack(dir / "file").value(), archive(file("x")));
  ::chmod((dir / "file").c_str(), 0744);
  EXPECT_EQ(pack(dir / "file").value(), archive(file("x", kExecutable)));
}

TEST(NarSource, Counts) {
  const TempDir dir;
  make_file(dir / "a/b", "x");
  make_file(dir / "a/c", "");
  fs::create_symlink("x", dir / "d");
  NarSource source = NarSource::open(dir.path()).value();
  Recorder recorder;
  ASSERT_TRUE(read_nar(source, recorder));
  EXPECT_EQ(source.counts().files, 2u);
  EXPECT_EQ(source.counts().directories, 2u);
  EXPECT_EQ(source.counts().symlinks, 1u);
}

TEST(NarSource, ManyEntries) {
  const TempDir dir;
  std::string expected;
  for (int i = 1000; i < 3000; ++i) {
    const std::string name = "file " + std::to_string(i);
    make_file(dir / name, name);
    expected += entry(name, file(name));
  }
  EXPECT_EQ(pack(dir.path()).value(), archive(folder(expected)));
}

TEST(NarSource, RefusesWhatIsNoFile) {
  const TempDir dir;
  fs::create_directory(dir / "t");
  ASSERT_EQ(::mkfifo((dir / "t/pipe").c_str(), 0666), 0);
  const Error unsupported(IoError::unsupported_file_type);
  const std::string path = dir / "t/pipe";
  EXPECT_TRUE(fails(dir / "t", unsupported, "fifo"));
  EXPECT_TRUE(fails(dir / "t", unsupported, path));
  EXPECT_TRUE(fails(dir / "t/pipe", unsupported, path));
  EXPECT_TRUE(fails("/dev/null", unsupported, "character device, path \"/dev/null\""));

  fs::create_directory(dir / "s");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string name = dir / "s/sock";
  ASSERT_LT(name.size(), sizeof address.sun_path);
  name.copy(address.sun_path, name.size());
  const FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  const void* generic = &address;
  ASSERT_EQ(::bind(fd.get(), static_cast<const sockaddr*>(generic), sizeof address), 0);
  EXPECT_TRUE(fails(dir / "s", unsupported, "socket"));
}

TEST(NarSource, NamesWhatCannotBeRead) {
  const TempDir dir;
  EXPECT_TRUE(fails(dir / "missing", Error(IoError::io_error), "missing"));
  EXPECT_TRUE(fails("", Error(IoError::io_error), "No such file"));
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  make_file(dir / "t/secret", "x");
  ::chmod((dir / "t/secret").c_str(), 0);
  EXPECT_TRUE(fails(dir / "t", Error(IoError::io_error), (dir / "t/secret").native()));
  fs::remove(dir / "t/secret");
  fs::create_directory(dir / "t/closed");
  ::chmod((dir / "t/closed").c_str(), 0);
  EXPECT_TRUE(fails(dir / "t", Error(IoError::io_error), (dir / "t/closed").native()));
  ::chmod((dir / "t/closed").c_str(), 0700);
}

TEST(NarSource, RefusesTreesThatReadersRefuse) {
  const TempDir dir;
  fs::path deep = dir / "d";
  for (std::size_t i = 1; i < kMaxNarDepth; ++i) deep /= "d";
  fs::create_directories(deep);
  const auto nar = pack(dir / "d");
  ASSERT_TRUE(nar) << nar.error().message();
  Recorder recorder;
  EXPECT_TRUE(read_nar(as_byte_span(*nar), recorder));
  make_file(deep / "x", "");
  EXPECT_TRUE(fails(dir / "d", Error(NarError::too_deep), "d/d/x"));
}

// The first bytes of the NAR of `path`, and the source in the middle of it.
struct Begun {
  explicit Begun(const fs::path& path, std::size_t size)
      : source(NarSource::open(path).value()), begin(size, '\0') {
    EXPECT_EQ(source.read(std::as_writable_bytes(std::span(begin))).value(), size);
  }
  Result<std::size_t> rest() {
    std::string more(1 << 20, '\0');
    return source.read(std::as_writable_bytes(std::span(more)));
  }
  testing::AssertionResult fails(IoError code, std::string_view named) {
    const auto result = rest();
    if (result) return testing::AssertionFailure() << "no error";
    const auto again = rest();
    EXPECT_FALSE(again) << "an error must stay";
    const std::string_view message = result.error().message();
    if (result.error().is(code) && message.find(named) != message.npos) {
      return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << message;
  }
  NarSource source;
  std::string begin;
};

TEST(NarSource, NoticesFilesThatShrink) {
  const TempDir dir;
  const fs::path path = dir / "t/file";
  make_file(path, std::string(10'000, 'x'));
  for (const std::size_t to : {0u, 4999u, 9999u}) {
    make_file(path, std::string(10'000, 'x'));
    Begun begun(dir / "t", 5000);
    ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(to)), 0);
    EXPECT_TRUE(begun.fails(IoError::file_changed, path.native()));
  }
  // Not yet read at all.
  make_file(path, std::string(10'000, 'x'));
  Begun begun(path, 96);
  ASSERT_EQ(::truncate(path.c_str(), 0), 0);
  EXPECT_TRUE(begun.fails(IoError::file_changed, "shrank while it was read, from 10000 bytes"));
}

TEST(NarSource, NoticesFilesThatGrow) {
  const TempDir dir;
  const fs::path path = dir / "file";
  // 10 096: all of the contents, not yet known to be all.
  for (const std::size_t read : {96u, 5000u, 10'096u}) {
    make_file(path, std::string(10'000, 'x'));
    Begun begun(path, read);
    ASSERT_EQ(::truncate(path.c_str(), 10'001), 0);
    EXPECT_TRUE(begun.fails(IoError::file_changed, "grew while it was read, from 10000 bytes"));
  }
  make_file(path, "");
  Begun begun(path, 96);
  make_file(path, "x");
  EXPECT_TRUE(begun.fails(IoError::file_changed, "grew"));
}

TEST(NarSource, NoticesEntriesThatBecomeOthers) {
  const TempDir dir;
  const fs::path path = dir / "t/file";
  const auto begin = [&] {
    fs::remove_all(path);
    make_file(path, "x");
    return Begun(dir / "t", 24);  // the folder is listed
  };
  {
    Begun begun = begin();
    fs::remove(path);
    EXPECT_TRUE(begun.fails(IoError::io_error, path.native()));
  }
  {
    Begun begun = begin();
    fs::remove(path);
    fs::create_symlink("/etc/passwd", path);
    EXPECT_TRUE(begun.fails(IoError::io_error, path.native()));
  }
  {
    Begun begun = begin();
    fs::remove(path);
    ASSERT_EQ(::mkfifo(path.c_str(), 0666), 0);
    EXPECT_TRUE(begun.fails(IoError::file_changed, "is a fifo"));
  }
  {
    Begun begun = begin();
    fs::remove(path);
    fs::create_directory(path);
    EXPECT_TRUE(begun.fails(IoError::file_changed, "is a folder"));
  }
}

TEST(NarSource, MayBeMovedAndDroppedHalfway) {
  const TempDir dir;
  make_file(dir / "a/b/c", std::string(5000, 'x'));
  const std::string whole = pack(dir.path()).value();
  Begun begun(dir.path(), 1000);
  NarSource moved = std::move(begun.source);
  std::string rest(whole.size(), '\0');
  const std::size_t n = moved.read(std::as_writable_bytes(std::span(rest))).value();
  EXPECT_EQ(begun.begin + rest.substr(0, n), whole);
  const Begun dropped(dir.path(), 1000);
}

RC_GTEST_PROP(NarSource, SizesOfReadsDoNotMatter, (std::uint64_t seed)) {
  Rng rng(seed);
  const TempDir dir;
  test::random_tree(rng, dir / "t");
  const std::string whole = pack(dir / "t").value();
  const std::size_t most = test::below(rng, 2) == 0 ? 20 : 5000;
  RC_ASSERT(pack(dir / "t", [&] { return 1 + test::below(rng, most); }).value() == whole);
  // What it makes is what the reader takes.
  Recorder recorder;
  RC_ASSERT(read_nar(as_byte_span(whole), recorder).has_value());
}

}  // namespace
}  // namespace cleave
