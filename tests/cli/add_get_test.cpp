// The main job: what was added comes back.
#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class AddGet : public CliTest {};

TEST_F(AddGet, FilesAndFoldersComeBack) {
  make("file.bin", text_of(mixed_bytes(1, 3'000'000)));
  make("empty", "");
  make_tree("tree");
  const std::string added = done({"add", "file.bin", "empty", "tree"});
  EXPECT_THAT(added, StartsWith("      SIZE         NEW      STORED  NAME\n"));
  EXPECT_THAT(added, ContainsRegex("\n   2.9 MiB  [^\n]*  file.bin\n"));
  fs::create_directory(at("out"));

  EXPECT_EQ(done({"get", "file.bin"}, {.cwd = at("out")}), "2.9 MiB  file.bin\n");
  EXPECT_EQ(done({"get", "empty", "-o", "out/empty"}), "0 B  out/empty\n");
  done({"get", "tree", "--output", at("out/tree")});
  EXPECT_TRUE(trees_equal(at("file.bin"), at("out/file.bin")));
  EXPECT_TRUE(trees_equal(at("empty"), at("out/empty")));
  EXPECT_TRUE(trees_equal(at("tree"), at("out/tree")));
  EXPECT_TRUE(done({"get", "file.bin", "-o", "-"}) == read_file(at("file.bin")));
  EXPECT_TRUE(done({"cat", "file.bin", "empty", "file.bin"}) ==
              read_file(at("file.bin")) + read_file(at("file.bin")));
}

TEST_F(AddGet, RandomTreesInSmallChunksComeBack) {
  Rng rng(3);
  for (int i = 0; i < 5; ++i) {
    const std::string tree = "tree" + std::to_string(i);
    random_tree(rng, at(tree));
    done(with_small_chunks({"add", tree}));
    done({"get", tree, "-o", "again" + std::to_string(i)});
    EXPECT_TRUE(trees_equal(at(tree), at("again" + std::to_string(i))));
  }
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
  done({"add", "-", "--name", "from a pipe"}, {.in = bytes});
  done({"get", "from a pipe"});
  EXPECT_TRUE(read_file(at("from a pipe")) == bytes);
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
  done({"add", "a"});
  done({"add", "a", "--name", "x"});
  make("a", "two");
  expect_failed(cleave({"add", "a"}), kFailed, "name_exists", {"\"a\""});
  expect_failed(cleave({"add", "a", "-n", "x"}), kFailed, "name_exists", {"\"x\""});
  EXPECT_EQ(done({"cat", "a", "x"}), "oneone");
  done({"add", "a", "-n", "x", "--replace"});
  EXPECT_EQ(done({"cat", "a", "x"}), "onetwo");
  EXPECT_EQ(done({"ls", "-1"}), "a\nx\n");
}

TEST_F(AddGet, AllFlags) {
  make("file", "abc");
  done({"add", "file", "-n", "x", "--sha256", "--compression-level", "19", "--min=1KiB", "--avg",
        "4k", "--max", "16KB", "--level", "3", "--seed", "18446744073709551615"});
  const std::string list = done({"ls", "--json"});
  for (const char* part : {"\"min\":1024", "\"avg\":4096", "\"max\":16384", "\"level\":3",
                           "\"seed\":\"18446744073709551615\"", "\"sha256\":\"ba7816bf8f01cfea"}) {
    EXPECT_THAT(list, HasSubstr(part));
  }
  EXPECT_EQ(done({"cat", "x"}), "abc");
}

// A name does not choose where it is written to.
TEST_F(AddGet, OutputHasTheNamesLastPart) {
  make("file", "plain");
  make("tree/file", "in a tree");
  done({"add", "tree", "--name", "releases/tree"});
  for (const char* name : {"../evil", "/etc/cleave-evil", "/etc/../tmp/.."}) {
    done({"add", "file", "-n", name});
  }
  fs::create_directory(at("out"));
  for (const char* name : {"releases/tree", "../evil", "/etc/cleave-evil"}) {
    done({"get", name}, {.cwd = at("out")});
  }
  done({"get", "releases/tree", "--nar"}, {.cwd = at("out")});
  expect_failed(cleave({"get", "/etc/../tmp/.."}, {.cwd = at("out")}), kUsage, "invalid_name",
                {"-o"});
  done({"get", "/etc/../tmp/..", "-o", "b"}, {.cwd = at("out")});

  EXPECT_TRUE(trees_equal(at("tree"), at("out/tree")));
  for (const char* name : {"out/evil", "out/cleave-evil", "out/b"}) {
    EXPECT_EQ(read_file(at(name)), "plain");
  }
  EXPECT_TRUE(fs::is_regular_file(at("out/tree.nar")));
  EXPECT_EQ(std::distance(fs::directory_iterator(at("out")), {}), 5);
  EXPECT_THAT(names(), UnorderedElementsAre("file", "tree", "out"));
}

TEST_F(AddGet, ExistingOutputNeedsForce) {
  make("a", "new");
  done({"add", "a"});
  make("out", "old");
  expect_failed(cleave({"get", "a", "-o", "out"}), kFailed, "output_exists", {"\"out\""});
  EXPECT_EQ(read_file(at("out")), "old");
  done({"get", "a", "-o", "out", "-f"});
  EXPECT_EQ(read_file(at("out")), "new");
  EXPECT_EQ(names().size(), 2U);
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

TEST_F(AddGet, WhatIsStoredIsNeverCompressedAgain) {
  make("file", text_of(random_bytes(2, 5'000'000)));
  const RunOptions profile = {.env = {{"CLEAVE_PROFILE", "1"}}};
  EXPECT_THAT(cleave({"add", "file"}, profile).err, HasSubstr("add.compress"));
  const Outcome again = cleave({"add", "file", "--name", "again"}, profile);
  EXPECT_TRUE(exits_with(again, kDone));
  EXPECT_THAT(again.err, HasSubstr("add.hash"));
  EXPECT_THAT(again.err, Not(HasSubstr("add.compress")));
  EXPECT_THAT(again.err, Not(HasSubstr("store.write_pack")));
}

TEST_F(AddGet, ThreadsChangeNothing) {
  make("file", text_of(mixed_bytes(4, 6'000'000)));
  make_tree("tree");
  for (const std::string path : {"file", "tree"}) {
    std::vector<std::string> packs;
    std::vector<std::string> contents;
    for (const char* threads : {"1", "2", "3", "7"}) {
      const std::string store = dir() / (path + threads);
      done({"-j", threads, "--store", store, "add", path});
      packs.push_back(read_file(store + "/packs/0000000001.pack"));
      contents.push_back(done({"--store", store, "-j", threads, "cat", path}));
    }
    for (std::size_t i = 1; i < packs.size(); ++i) {
      EXPECT_TRUE(packs[i] == packs[0]);
      EXPECT_TRUE(contents[i] == contents[0]);
    }
    EXPECT_TRUE(contents[0] ==
                (path == "file" ? read_file(at(path)) : done({"nar", "pack", path})));
  }
}

TEST_F(AddGet, AFailureDoesNotStopTheOthers) {
  make("a", "1");
  make("b", "2");
  const Outcome added = cleave({"add", "a", "missing", "b"});
  EXPECT_TRUE(exits_with(added, kFailed));
  EXPECT_THAT(added.err, HasSubstr("\"missing\""));
  EXPECT_EQ(done({"ls", "-1"}), "a\nb\n");
  const Outcome removed = cleave({"rm", "a", "missing", "b"});
  EXPECT_TRUE(exits_with(removed, kFailed));
  EXPECT_THAT(removed.err, HasSubstr("\"missing\""));
  EXPECT_EQ(removed.out, "removed  a\nremoved  b\n");
  EXPECT_THAT(done({"ls"}), IsEmpty());
}

}  // namespace
}  // namespace cleave::test
