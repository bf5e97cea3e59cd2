// cleave nar, beside the reference.
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
  Outcome nix_store(const std::vector<std::string>& args, std::string_view in = "") const {
    Command command;
    command.program = "nix-store";
    command.args = {"--store", dir() / "nix"};
    command.args.insert(command.args.end(), args.begin(), args.end());
    command.env = {{"HOME", (dir() / "home").native()},
                   {"NIX_REMOTE", ""},
                   {"NIX_CONFIG", "build-users-group ="}};
    command.cwd = work();
    command.in = in;
    return run(command);
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
    ASSERT_TRUE(theirs.ok()) << theirs;
    EXPECT_TRUE(done({"nar", "pack", path}) == theirs.out);
    done({"nar", "pack", path, "-o", "out.nar", "-f"});
    EXPECT_TRUE(read_file(at("out.nar")) == theirs.out);
  }
}

TEST_F(NarCommand, EachUnpacksWhatTheOtherPacked) {
  CLEAVE_NEED_PROGRAM("nix-store");
  make_tree("tree", 3);
  const std::string packed = done({"nar", "pack", "tree"});
  ASSERT_TRUE(nix_store({"--restore", "theirs"}, packed).ok());
  EXPECT_TRUE(trees_equal(at("tree"), at("theirs")));
  done({"nar", "unpack", "-", "-o", "ours"}, nix_store({"--dump", "tree"}).out);
  EXPECT_TRUE(trees_equal(at("tree"), at("ours")));
}

TEST_F(NarCommand, UnpacksAnyKind) {
  make_tree("tree");
  for (const char* path : {"tree", "tree/run", "tree/empty", "tree/link"}) {
    SCOPED_TRACE(path);
    done({"nar", "pack", path, "-o", "a.nar"});
    EXPECT_EQ(done({"nar", "unpack", "a.nar", "-o", "from-file"}), "");
    done({"nar", "unpack", "-", "-o", "from-input"}, read_file(at("a.nar")));
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
  EXPECT_EQ(done({"nar", "ls", "-"}, read_file(file)), list);
  EXPECT_EQ(done({"nar", "cat", file, "b"}), "hi");
  EXPECT_EQ(done({"nar", "cat", "-", "b"}, read_file(file)), "hi");
  EXPECT_EQ(done({"nar", "cat", CLEAVE_TEST_DATA "/nar/file.nar", ""}), "x");
}

TEST_F(NarCommand, NamesCannotSpeakToTheTerminal) {
  make("a.nar", nar::archive(nar::folder(nar::entry("\x1b[31m\n", nar::symlink("\x07")))));
  EXPECT_THAT(done({"nar", "ls", "a.nar"}), HasSubstr("link        \\x1b[31m\\x0a -> \\x07\n"));
}

}  // namespace
}  // namespace cleave::test
