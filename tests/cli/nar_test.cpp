// cleave nar: beside the reference, and on archives that are malformed.
#include "tests/support/nar.h"

#include "tests/cli/cli_test.h"
#include "tests/support/oracle.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class NarCommand : public CliTest {
 protected:
  // Without a daemon, a store, or anything of the user's.
  Outcome nix_store(const std::vector<std::string>& args, const std::string& in = {}) const {
    std::vector<std::string> all = {"nix-store", "--store", dir() / "nix"};
    all.insert(all.end(), args.begin(), args.end());
    return run(all, {.env = {{"HOME", (dir() / "home").native()},
                             {"NIX_REMOTE", ""},
                             {"NIX_CONFIG", "build-users-group ="}},
                     .cwd = work(),
                     .in = in});
  }
};

TEST_F(NarCommand, PackEqualsNixStoreDump) {
  CLEAVE_NEED_PROGRAM("nix-store");
  make_tree("tree", 1);
  make_tree("other", 2);
  fs::create_directory(at("empty"));
  for (const char* path : {"tree", "other", "empty", "tree/run", "tree/empty", "tree/link",
                           "/etc/alternatives", "/usr/share/perl5"}) {
    SCOPED_TRACE(path);
    if (!fs::exists(fs::symlink_status(work() / path))) continue;
    const Outcome theirs = nix_store({"--dump", path});
    ASSERT_TRUE(exits_with(theirs, 0));
    EXPECT_TRUE(done({"nar", "pack", path}) == theirs.out);
    done({"nar", "pack", path, "-o", "out.nar", "-f"});
    EXPECT_TRUE(read_file(at("out.nar")) == theirs.out);
  }
}

TEST_F(NarCommand, EachUnpacksWhatTheOtherPacked) {
  CLEAVE_NEED_PROGRAM("nix-store");
  make_tree("tree", 3);
  const std::string packed = done({"nar", "pack", "tree"});
  ASSERT_TRUE(exits_with(nix_store({"--restore", "theirs"}, packed), 0));
  EXPECT_TRUE(trees_equal(at("tree"), at("theirs")));
  done({"nar", "unpack", "-", "-o", "ours"}, {.in = nix_store({"--dump", "tree"}).out});
  EXPECT_TRUE(trees_equal(at("tree"), at("ours")));
}

TEST_F(NarCommand, UnpacksAnyKind) {
  make_tree("tree");
  for (const char* path : {"tree", "tree/run", "tree/empty", "tree/link"}) {
    SCOPED_TRACE(path);
    done({"nar", "pack", path, "-o", "a.nar"});
    EXPECT_EQ(done({"nar", "unpack", "a.nar", "-o", "from-file"}), "");
    done({"nar", "unpack", "-", "-o", "from-input"}, {.in = read_file(at("a.nar"))});
    EXPECT_TRUE(trees_equal(at(path), at("from-file")));
    EXPECT_TRUE(trees_equal(at(path), at("from-input")));
    for (const char* name : {"a.nar", "from-file", "from-input"}) fs::remove_all(at(name));
  }
  EXPECT_THAT(names(), ElementsAre("tree"));
}

TEST_F(NarCommand, LooksInside) {
  const std::string file = CLEAVE_TEST_DATA "/nar/folder.nar";
  const std::string list = done({"nar", "ls", file});
  EXPECT_EQ(list,
            "TYPE  SIZE  PATH\n"
            "dir         .\n"
            "link        a -> b\n"
            "exec     2  b\n"
            "dir         sub\n");
  EXPECT_EQ(done({"nar", "ls", "-"}, {.in = read_file(file)}), list);
  EXPECT_EQ(done({"nar", "cat", file, "b"}), "hi");
  EXPECT_EQ(done({"nar", "cat", "-", "b"}, {.in = read_file(file)}), "hi");
  EXPECT_EQ(done({"nar", "cat", CLEAVE_TEST_DATA "/nar/file.nar", ""}), "x");
}

TEST_F(NarCommand, NamesCannotSpeakToTheTerminal) {
  make("a.nar", nar::archive(nar::folder(nar::entry("\x1b[31m\n", nar::symlink("\x07")))));
  EXPECT_THAT(done({"nar", "ls", "a.nar"}), HasSubstr("link        \\x1b[31m\\x0a -> \\x07\n"));
}

std::string one_file(std::string_view name) {
  return nar::archive(nar::folder(nar::entry(name, nar::file("evil"))));
}

const std::string kGood = nar::archive(
    nar::folder(nar::entry("a", nar::file("aaa")) + nar::entry("b", nar::symlink("somewhere"))));

class MalformedNars : public NarCommand {
 protected:
  // It is refused with `error`, from a file and from standard input, and nothing is left of it.
  void expect_refused(const std::string& error, const std::string& bytes) const {
    SCOPED_TRACE(error + ", " + std::to_string(bytes.size()) + " bytes");
    make("x.nar", bytes);
    for (const std::string input : {"x.nar", "-"}) {
      const RunOptions options = {.in = input == "-" ? bytes : ""};
      expect_failed(cleave({"nar", "unpack", input, "-o", "out"}, options), kMalformed, error);
      EXPECT_TRUE(exits_with(cleave({"nar", "ls", input}, options), kMalformed));
      // What it looks for may stand before what is wrong.
      EXPECT_TRUE(exits_with_any(cleave({"nar", "cat", input, "a"}, options), {kMalformed, kDone}));
    }
    EXPECT_THAT(names(), ElementsAre("x.nar"));
    EXPECT_EQ(dir().count(), 1U);  // the working folder
  }
};

TEST_F(MalformedNars, OfEveryKind) {
  using namespace nar;
  const std::string file_of_length = archive(strs({"(", "type", "regular", "contents"}));
  const std::string name_of_length =
      archive(strs({"(", "type", "directory", "entry", "(", "name"}));
  expect_refused("nar_truncated", "");
  expect_refused("nar_bad_magic", "this is not an archive, and long enough to be one");
  expect_refused("nar_bad_magic", str("nix-archive-2") + file(""));
  for (const std::string_view name :
       {std::string_view(".."), std::string_view("."), std::string_view("a/../../b"),
        std::string_view(""), std::string_view("a\0b", 3)}) {
    expect_refused("nar_invalid_name", one_file(name));
  }
  expect_refused("nar_invalid_name",
                 archive(folder(entry("a", file("1")) + entry("..", file("2")))));
  expect_refused("nar_unsorted_names",
                 archive(folder(entry("b", file("")) + entry("a", file("")))));
  expect_refused("nar_duplicate_name",
                 archive(folder(entry("a", file("1")) + entry("a", file("2")))));
  expect_refused("nar_length_out_of_range", file_of_length + length(std::uint64_t{1} << 63));
  expect_refused("nar_length_out_of_range", file_of_length + length(UINT64_MAX));
  expect_refused("nar_invalid_name", name_of_length + length(std::uint64_t{1} << 63));
  expect_refused("nar_too_deep", nested(5000, folder("")));
  expect_refused("nar_trailing_bytes", kGood + "x");
  expect_refused("nar_unexpected_token", archive(strs({"(", "type", "device", ")"})));
}

TEST_F(MalformedNars, CutOffAnywhere) {
  for (std::size_t size = 8; size < kGood.size(); size += 8) {
    expect_refused("nar_truncated", kGood.substr(0, size));
  }
  make("x.nar", kGood);
  done({"nar", "unpack", "x.nar", "-o", "out"});
  EXPECT_EQ(read_file(at("out/a")), "aaa");
  EXPECT_EQ(fs::read_symlink(at("out/b")), "somewhere");
}

// A malformed NAR is a file like any other to a store.
TEST_F(MalformedNars, AreFilesToo) {
  const std::string cut = one_file("file").substr(0, 100);
  make("cut.nar", cut);
  done({"add", "cut.nar"});
  EXPECT_TRUE(done({"cat", "cut.nar"}) == cut);
}

TEST_F(NarCommand, CatOfWhatIsNoFileInIt) {
  const std::string file = CLEAVE_TEST_DATA "/nar/folder.nar";
  expect_failed(cleave({"nar", "cat", file, "c"}), kFailed, "nar_entry_not_found", {"\"c\""});
  for (const char* path : {"", "sub", "a"}) {
    expect_failed(cleave({"nar", "cat", file, path}), kUsage, "nar_not_a_file",
                  {"\"" + std::string(path) + "\""});
  }
}

}  // namespace
}  // namespace cleave::test
