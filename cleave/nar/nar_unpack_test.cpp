#include "cleave/nar/nar_unpack.h"

#include <csignal>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/nar/nar_source.h"
#include "tests/support/nar.h"
#include "tests/support/tree.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using namespace test::nar;
using test::make_file;
using test::read_file;
using test::Rng;
using test::TempDir;
using test::trees_equal;

Result<> unpack(std::string_view nar, const fs::path& target) {
  MemorySource source(as_byte_span(nar));
  return unpack_nar(source, target);
}

std::string pack(const fs::path& path) {
  NarSource source = NarSource::open(path).value();
  BufferSink sink;
  std::string part(10'000, '\0');
  while (const std::size_t n = source.read(std::as_writable_bytes(std::span(part))).value()) {
    EXPECT_TRUE(sink.write(as_byte_span(std::string_view(part).substr(0, n))));
  }
  return std::string(as_text(sink.buffer.span()));
}

mode_t mode_of(const fs::path& path) {
  struct stat st = {};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st.st_mode & 07777;
}

const std::string kSample =
    archive(folder(entry("bin", folder(entry("run", file("#!/bin/sh\n", kExecutable)))) +
                   entry("empty", file("")) + entry("link", symlink("../../etc/passwd")) +
                   entry("none", folder(""))));

TEST(NarUnpack, MakesTheTree) {
  const TempDir dir;
  ASSERT_TRUE(unpack(kSample, dir / "out"));
  EXPECT_EQ(read_file(dir / "out/bin/run"), "#!/bin/sh\n");
  EXPECT_EQ(read_file(dir / "out/empty"), "");
  EXPECT_EQ(fs::read_symlink(dir / "out/link"), "../../etc/passwd");
  EXPECT_TRUE(fs::is_empty(dir / "out/none"));
  EXPECT_EQ(pack(dir / "out"), kSample);
}

TEST(NarUnpack, RootMayBeAFileOrSymlink) {
  const TempDir dir;
  ASSERT_TRUE(unpack(archive(file("x")), dir / "file"));
  EXPECT_EQ(read_file(dir / "file"), "x");
  ASSERT_TRUE(unpack(archive(symlink("file")), dir / "link"));
  EXPECT_EQ(fs::read_symlink(dir / "link"), "file");
  ASSERT_TRUE(unpack(archive(folder("")), dir.path().native() + "/folder/"));
  EXPECT_TRUE(fs::is_empty(dir / "folder"));
}

TEST(NarUnpack, ModesFollowTheUmask) {
  const TempDir dir;
  const mode_t before = ::umask(027);
  const auto result = unpack(kSample, dir / "out");
  ::umask(before);
  ASSERT_TRUE(result);
  EXPECT_EQ(mode_of(dir / "out"), 0750u);
  EXPECT_EQ(mode_of(dir / "out/bin/run"), 0750u);
  EXPECT_EQ(mode_of(dir / "out/empty"), 0640u);
}

TEST(NarUnpack, ReplacesNothing) {
  const TempDir dir;
  make_file(dir / "file", "old");
  fs::create_directory(dir / "folder");
  fs::create_symlink("nowhere", dir / "link");
  for (const char* name : {"file", "folder", "link", "."}) {
    const auto result = unpack(kSample, dir / name);
    ASSERT_FALSE(result) << name;
    EXPECT_TRUE(result.error().is(IoError::output_exists)) << result.error().message();
  }
  EXPECT_EQ(read_file(dir / "file"), "old");
  EXPECT_TRUE(fs::is_empty(dir / "folder"));
  EXPECT_EQ(fs::read_symlink(dir / "link"), "nowhere");
}

TEST(NarUnpack, ReplacesNothingThatCameMeanwhile) {
  for (const bool folder_came : {false, true}) {
    const TempDir dir;
    {
      NarUnpacker unpacker = NarUnpacker::create(dir / "out").value();
      ASSERT_TRUE(read_nar(as_byte_span(kSample), unpacker));
      if (folder_came) {
        fs::create_directory(dir / "out");
      } else {
        make_file(dir / "out", "other");
      }
      const auto result = unpacker.commit();
      ASSERT_FALSE(result);
      EXPECT_TRUE(result.error().is(IoError::output_exists)) << result.error().message();
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), 1);
    EXPECT_TRUE(folder_came || read_file(dir / "out") == "other");
  }
}

TEST(NarUnpack, NamesWhatIsWrongWithTheTarget) {
  const TempDir dir;
  make_file(dir / "file", "");
  for (const fs::path& target : {dir / "no/out", dir / "file/out", fs::path()}) {
    const auto result = unpack(kSample, target);
    ASSERT_FALSE(result) << target;
    EXPECT_TRUE(result.error().is(IoError::io_error)) << result.error().message();
    EXPECT_NE(result.error().os_error(), 0) << result.error().message();
  }
}

TEST(NarUnpack, LeavesNothingOfATruncatedNar) {
  const TempDir dir;
  for (std::size_t size = 0; size < kSample.size(); size += 7) {
    EXPECT_FALSE(unpack(kSample.substr(0, size), dir / "out")) << size;
    ASSERT_TRUE(fs::is_empty(dir.path())) << size;
  }
  EXPECT_FALSE(unpack(kSample + "x", dir / "out"));
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(NarUnpack, CommitsOnlyWhatIsComplete) {
  const TempDir dir;
  for (std::size_t size : {std::size_t{0}, std::size_t{100}, kSample.size() - 80}) {
    NarUnpacker unpacker = NarUnpacker::create(dir / "out").value();
    NarReader reader(unpacker);
    ASSERT_TRUE(reader.feed(as_byte_span(kSample).first(size)));
    EXPECT_FALSE(unpacker.commit());
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(NarUnpack, RemovesWhatIsDropped) {
  const TempDir dir;
  {
    NarUnpacker unpacker = NarUnpacker::create(dir / "out").value();
    ASSERT_TRUE(read_nar(as_byte_span(kSample), unpacker));
    EXPECT_FALSE(fs::exists(dir / "out"));
    EXPECT_FALSE(fs::is_empty(dir.path()));
    const NarUnpacker moved = std::move(unpacker);
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));
  // Paths longer than the system takes in one call.
  std::string deep = file("x");
  for (std::size_t i = 1; i < kMaxNarDepth; ++i) deep = folder(entry(std::string(255, 'n'), deep));
  EXPECT_FALSE(unpack(archive(deep) + "x", dir / "out"));
  EXPECT_TRUE(fs::is_empty(dir.path()));
  ASSERT_TRUE(unpack(archive(deep), dir / "out"));
  EXPECT_EQ(pack(dir / "out"), archive(deep));
}

TEST(NarUnpack, AFullDiskLeavesNothing) {
  const TempDir dir;
  // A limit on sizes of files is the full disk that needs no other disk.
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 5000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto result =
      unpack(archive(folder(entry("big", file(std::string(10'000, 'x'))))), dir / "out");
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().os_error(), EFBIG);
  EXPECT_NE(result.error().message().find("entry \"big\""), std::string_view::npos);
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(NarUnpack, StaysInItsFolderWhoeverDrivesIt) {
  const TempDir dir;
  fs::create_directory(dir / "in");
  NarUnpacker unpacker = NarUnpacker::create(dir / "in/out").value();
  ASSERT_TRUE(unpacker.directory_begin({"", ""}));
  using namespace std::string_view_literals;
  for (const std::string_view name : {".."sv, "."sv, "../x"sv, "/x"sv, ""sv, "a/b"sv, "a\0b"sv}) {
    EXPECT_FALSE(unpacker.file_begin({.path = name, .name = name}));
    EXPECT_FALSE(unpacker.directory_begin({name, name}));
    EXPECT_FALSE(unpacker.symlink({.path = name, .name = name, .target = "t"}));
  }
  // A name twice does not write through what the first one made.
  make_file(dir / "outside", "safe");
  ASSERT_TRUE(unpacker.symlink({.path = "l", .name = "l", .target = "../../outside"}));
  EXPECT_FALSE(unpacker.file_begin({.path = "l", .name = "l"}));
  ASSERT_TRUE(unpacker.symlink({.path = "m", .name = "m", .target = "../.."}));
  EXPECT_FALSE(unpacker.directory_begin({"m", "m"}));
  EXPECT_EQ(read_file(dir / "outside"), "safe");
}

RC_GTEST_PROP(NarUnpack, PackAndUnpackAreInverse, (std::uint64_t seed)) {
  Rng rng(seed);
  const TempDir dir;
  test::random_tree(rng, dir / "t");
  const std::string nar = pack(dir / "t");
  // In slices, so that contents come in pieces.
  NarUnpacker unpacker = NarUnpacker::create(dir / "out").value();
  NarReader reader(unpacker);
  for (std::string_view rest = nar; !rest.empty();) {
    const std::size_t n = std::min(rest.size(), 1 + test::below(rng, 3000));
    RC_ASSERT(reader.feed(as_byte_span(rest.substr(0, n))).has_value());
    rest.remove_prefix(n);
  }
  RC_ASSERT(reader.finish().has_value());
  RC_ASSERT(unpacker.commit().has_value());
  const testing::AssertionResult equal = trees_equal(dir / "t", dir / "out");
  if (!equal) RC_FAIL(equal.message());
  RC_ASSERT(pack(dir / "out") == nar);
}

}  // namespace
}  // namespace cleave
