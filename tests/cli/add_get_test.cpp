// The main job: what was added comes back, and the store is looked after.
#include <sys/stat.h>

#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

class AddGet : public CliTest {};

TEST_F(AddGet, FilesAndFoldersComeBack) {
  Rng rng(3);
  make("file.bin", random_text(rng, 700'000));
  make("empty", "");
  make_tree("tree");
  done({"add", "file.bin", "empty", "tree"});
  fs::create_directory(at("out"));

  Command get = command({"get", "file.bin"});
  get.cwd = at("out");
  EXPECT_EQ(run(get).out, "683.6 KiB  file.bin\n");
  done({"get", "empty", "-o", "out/empty"});
  done({"get", "tree", "--output", "out/tree"});
  EXPECT_TRUE(trees_equal(at("file.bin"), at("out/file.bin")));
  EXPECT_TRUE(trees_equal(at("empty"), at("out/empty")));
  EXPECT_TRUE(trees_equal(at("tree"), at("out/tree")));
  EXPECT_TRUE(done({"get", "file.bin", "-o", "-"}) == read_file(at("file.bin")));
  EXPECT_TRUE(done({"cat", "file.bin", "empty", "file.bin"}) ==
              read_file(at("file.bin")) + read_file(at("file.bin")));
}

TEST_F(AddGet, FoldersAsNars) {
  make_tree("tree");
  done({"add", "tree"});
  const std::string nar = done({"nar", "pack", "tree"});
  EXPECT_TRUE(done({"cat", "tree"}) == nar);
  EXPECT_TRUE(done({"get", "tree", "-o", "-"}) == nar);
  done({"get", "tree", "--nar"});
  EXPECT_TRUE(read_file(at("tree.nar")) == nar);
  done({"get", "tree", "--nar", "-o", "other"});
  EXPECT_TRUE(read_file(at("other")) == nar);
}

TEST_F(AddGet, StandardInput) {
  Rng rng(4);
  const std::string bytes = random_text(rng, 3'000'000);
  done({"add", "-", "--name", "from/input"}, bytes);
  done({"get", "from/input"});  // the name's last part
  EXPECT_TRUE(read_file(at("input")) == bytes);
}

TEST_F(AddGet, SymlinksAreFollowedAtTheTopOnly) {
  make("target/file", "contents");
  fs::create_symlink("file", at("target/inner"));
  fs::create_symlink("target", at("to-folder"));
  fs::create_symlink("target/file", at("to-file"));
  done({"add", "to-folder", "to-file"});
  EXPECT_EQ(done({"cat", "to-file"}), "contents");
  done({"get", "to-folder", "-o", "out"});
  EXPECT_TRUE(trees_equal(at("target"), at("out")));
}

TEST_F(AddGet, NamesAndReplace) {
  make("a", "one");
  done({"add", "a", "--name", "x"});
  make("a", "two");
  EXPECT_EQ(cleave({"add", "a", "-n", "x"}).code, kFailed);
  EXPECT_EQ(done({"cat", "x"}), "one");
  done({"add", "a", "-n", "x", "--replace"});
  EXPECT_EQ(done({"cat", "x"}), "two");
  EXPECT_EQ(done({"ls", "-1"}), "x\n");
}

TEST_F(AddGet, ExistingOutputNeedsForce) {
  make("a", "new");
  done({"add", "a"});
  make("out", "old");
  expect_failed(cleave({"get", "a", "-o", "out"}), kFailed, {"output_exists", "\"out\""});
  EXPECT_EQ(read_file(at("out")), "old");
  done({"get", "a", "-o", "out", "-f"});
  EXPECT_EQ(read_file(at("out")), "new");

  make("tree/file", "");
  done({"add", "tree"});
  expect_failed(cleave({"get", "tree"}), kFailed, {"output_exists", "\"tree\""});
  EXPECT_EQ(names().size(), 3U);
}

TEST_F(AddGet, TheSameAgainTakesNoRoom) {
  Rng rng(5);
  make("a", random_text(rng, 500'000));
  EXPECT_THAT(done({"add", "a"}), MatchesRegex(" +SIZE +NEW +STORED +NAME\n"
                                               " +488.3 KiB +488.3 KiB +48[0-9.]+ KiB +a\n"));
  EXPECT_THAT(done({"add", "a", "-n", "b"}), HasSubstr(" 488.3 KiB         0 B         0 B  b\n"));
  EXPECT_THAT(done({"stats"}), MatchesRegex(".*\nartifacts +2 +976.6 KiB +100.0 %\n"
                                            "distinct chunks +[0-9]+ +488.3 KiB +50.0 %\n(.|\n)*"));
}

TEST_F(AddGet, ListsArtifacts) {
  EXPECT_THAT(cleave({"ls"}).err, HasSubstr("no_store"));
  make("b", "123");
  make("a/file", "");
  done({"add", "b", "a"});
  EXPECT_EQ(done({"ls", "-1"}), "a\nb\n");
  EXPECT_EQ(done({"ls", "--names"}), "a\nb\n");
  EXPECT_THAT(done({"ls"}), MatchesRegex(" *SIZE +CHUNKS +KIND +ADDED +DIGEST +NAME\n"
                                         " *[0-9]+ B +1  folder  [-0-9]+ [:0-9]+  [0-9a-f]+  a\n"
                                         " +3 B +1  file    [-0-9]+ [:0-9]+  [0-9a-f]+  b\n"));
}

TEST_F(AddGet, RmAndGc) {
  Rng rng(6);
  make("keep", random_text(rng, 300'000));
  make("drop", random_text(rng, 400'000));
  done({"add", "keep", "drop"});
  EXPECT_EQ(done({"rm", "drop"}), "removed  drop\n");
  EXPECT_EQ(done({"ls", "-1"}), "keep\n");
  EXPECT_THAT(done({"gc", "-n"}), StartsWith("would free 39"));
  EXPECT_THAT(done({"gc", "--max-unused", "0"}), StartsWith("freed 39"));
  EXPECT_THAT(done({"gc"}), StartsWith("freed 0 B in 0 chunks"));
  EXPECT_TRUE(done({"cat", "keep"}) == read_file(at("keep")));
  done({"verify", "--all"});
}

TEST_F(AddGet, Verify) {
  make("a", "one");
  make("b", "three");
  done({"add", "a", "b"});
  EXPECT_EQ(done({"verify"}), "2 artifacts, 2 chunks, 8 B: all as they were added\n");
  EXPECT_EQ(done({"verify", "b"}), "1 artifacts, 1 chunks, 5 B: all as they were added\n");
  EXPECT_THAT(done({"verify", "--all"}), HasSubstr("all as they were added"));
  EXPECT_EQ(cleave({"verify", "b", "--all"}).code, kUsage);
}

TEST_F(AddGet, GlobalOptionsStandAnywhere) {
  make("a", "contents");
  const std::string other = dir() / "other";
  EXPECT_EQ(done({"--store", other, "-q", "-j", "1", "add", "a"}), "");
  EXPECT_EQ(done({"ls", "-1", "--store", other}), "a\n");
  EXPECT_EQ(done({"--json", "ls", "--store", other}), done({"ls", "--store=" + other, "--json"}));
  EXPECT_EQ(done({"get", "a", "-o", "out", "--quiet", "--store", other, "--threads", "2"}), "");
  EXPECT_EQ(read_file(at("out")), "contents");
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(AddGet, WhereTheStoreIs) {
  make("a", "contents");
  Command add = command({"add", "a"});
  add.env["CLEAVE_STORE"] = {};
  add.env["XDG_DATA_HOME"] = (dir() / "data").native();
  EXPECT_TRUE(run(add).ok());
  EXPECT_TRUE(fs::exists(dir() / "data/cleave/format"));
  add.env["XDG_DATA_HOME"] = {};
  EXPECT_TRUE(run(add).ok());
  EXPECT_TRUE(fs::exists(dir() / "home/.local/share/cleave/format"));
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(AddGet, ThreadsChangeNothing) {
  make_tree("tree");
  for (const char* threads : {"1", "3"}) {
    Command add = command({"add", "tree", "--json", "-j", threads});
    add.env["CLEAVE_STORE"] = (dir() / threads).native();
    ASSERT_TRUE(run(add).ok());
  }
  EXPECT_TRUE(done({"--store", dir() / "1", "cat", "tree"}) ==
              done({"--store", dir() / "3", "cat", "tree"}));
  std::vector<std::string> packs;
  for (const char* threads : {"1", "3"}) {
    packs.push_back(read_file(dir() / threads / "packs/0000000001.pack"));
  }
  EXPECT_TRUE(packs[0] == packs[1]);
}

TEST_F(AddGet, AFailureDoesNotStopTheOthers) {
  make("a", "1");
  make("b", "2");
  const Outcome added = cleave({"add", "a", "missing", "b"});
  EXPECT_EQ(added.code, kFailed);
  EXPECT_THAT(added.err, HasSubstr("\"missing\""));
  EXPECT_EQ(done({"ls", "-1"}), "a\nb\n");
  const Outcome removed = cleave({"rm", "a", "missing", "b"});
  EXPECT_EQ(removed.code, kFailed);
  EXPECT_THAT(removed.err, HasSubstr("\"missing\""));
  EXPECT_EQ(removed.out, "removed  a\nremoved  b\n");
  EXPECT_THAT(done({"ls"}), IsEmpty());
}

TEST_F(AddGet, Chunk) {
  make("file", std::string(3000, 'x'));
  EXPECT_THAT(done({"chunk", "file", "--min", "1KiB", "--avg", "1KiB", "--max", "2KiB"}),
              MatchesRegex("OFFSET +LENGTH +HASH\n +0 +2048  [0-9a-f]+\n +2048 +952  [0-9a-f]+\n"));
  EXPECT_EQ(done({"chunk", "-"}, std::string(3000, 'x')), done({"chunk", "file"}));
  EXPECT_EQ(names(), std::vector<std::string>{"file"});
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(AddGet, HelpAndVersion) {
  EXPECT_THAT(done({"--version"}), MatchesRegex("cleave [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(done({"-V"}), done({"--version"}));
  EXPECT_THAT(done({"--help"}), HasSubstr("add"));
  for (const char* name :
       {"add", "get", "cat", "ls", "rm", "gc", "verify", "stats", "chunk", "nar", "completion"}) {
    EXPECT_THAT(done({"--help"}), HasSubstr(std::string("\n  ") + name + " "));
    EXPECT_THAT(done({name, "--help"}), HasSubstr("--help"));
  }
}

TEST_F(AddGet, Profile) {
  make("a", "contents");
  Command add = command({"add", "a"});
  add.env["CLEAVE_PROFILE"] = "1";
  const Outcome outcome = run(add);
  EXPECT_TRUE(outcome.ok());
  EXPECT_THAT(outcome.err, HasSubstr("add.hash"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("add.hash")));
}

}  // namespace
}  // namespace cleave::test
