// add, get, cat, ls, rm, gc, stats and verify, as people use them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/command.h"
#include "tests/support/tree.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using CliStore = CommandTest;

TEST_F(CliStore, AFileComesBack) {
  const std::string text = text_of(mixed_bytes(1, 3'000'000));
  write_file(dir / "file.bin", text);
  const std::string added = output_of({"add", path("file.bin")});
  EXPECT_THAT(added, StartsWith("      SIZE         NEW      STORED  NAME\n"));
  EXPECT_THAT(added, ContainsRegex("2.9 MiB .* file.bin\n$"));
  EXPECT_EQ(output_of({"get", "file.bin", "-o", path("again")}),
            "2.9 MiB  " + path("again") + "\n");
  EXPECT_TRUE(read_file(dir / "again") == text);
  EXPECT_TRUE(output_of({"get", "file.bin", "-o", "-"}) == text);
  EXPECT_TRUE(output_of({"cat", "file.bin"}) == text);
}

TEST_F(CliStore, ATreeComesBack) {
  Rng rng(3);
  for (int i = 0; i < 5; ++i) {
    const std::string tree = path("tree" + std::to_string(i));
    random_tree(rng, tree);
    output_of(with_small_chunks({"add", tree}));
    output_of({"get", "tree" + std::to_string(i), "-o", tree + "-again"});
    EXPECT_TRUE(trees_equal(tree, tree + "-again"));
  }
}

TEST_F(CliStore, GetWithoutOutputWritesHereByTheNamesLastPart) {
  const fs::path work = dir / "work";
  fs::create_directory(work);
  make_file(dir / "tree/file", "in a tree");
  write_file(dir / "plain", "plain");
  output_of({"add", path("tree"), "--name", "releases/tree"});
  output_of({"add", path("plain"), "--name", "../../evil"});
  output_of({"get", "releases/tree"}, {.working_dir = work});
  EXPECT_EQ(read_file(work / "tree/file"), "in a tree");
  output_of({"get", "releases/tree", "--nar"}, {.working_dir = work});
  EXPECT_TRUE(fs::is_regular_file(work / "tree.nar"));
  output_of({"get", "../../evil"}, {.working_dir = work});
  EXPECT_EQ(read_file(work / "evil"), "plain");
  EXPECT_FALSE(fs::exists(dir / "evil"));
}

TEST_F(CliStore, StandardInput) {
  const std::string text = text_of(mixed_bytes(2, 500'000));
  output_of({"add", "-", "--name", "from a pipe"}, {.input = text});
  EXPECT_TRUE(output_of({"cat", "from a pipe"}) == text);
}

TEST_F(CliStore, CatWritesSeveral) {
  write_file(dir / "a", "aaa");
  write_file(dir / "b", "bbb");
  output_of({"add", path("a"), path("b")});
  EXPECT_EQ(output_of({"cat", "b", "a", "b"}), "bbbaaabbb");
}

TEST_F(CliStore, ListsThem) {
  EXPECT_TRUE(exits_with(cleave({"ls"}), kFailed));  // no store yet
  make_file(dir / "tree/file", "in a tree");
  write_file(dir / "file", std::string(2048, 'x'));
  output_of({"add", path("tree"), path("file")});
  const std::string table = output_of({"ls"});
  EXPECT_THAT(table, ContainsRegex("^ *SIZE +CHUNKS +KIND +ADDED +DIGEST +NAME\n"));
  EXPECT_THAT(table,
              ContainsRegex("2.0 KiB +1 +file +[0-9]{4}-[0-9-]+ [0-9:]+ +[0-9a-f]{16} +file\n"));
  EXPECT_THAT(table, ContainsRegex(" folder .* tree\n"));
  EXPECT_EQ(output_of({"ls", "--names"}), "file\ntree\n");
  EXPECT_EQ(output_of({"ls", "-1"}), "file\ntree\n");
  output_of({"rm", "file", "tree"});
  EXPECT_EQ(output_of({"ls"}), "");
}

TEST_F(CliStore, RemovedRoomIsFreed) {
  for (const char* name : {"a", "b"}) {
    write_file(dir / name, text_of(random_bytes(static_cast<std::uint64_t>(*name), 200'000)));
    output_of(with_small_chunks({"add", path(name)}));
  }
  EXPECT_EQ(output_of({"rm", "a"}), "removed  a\n");
  EXPECT_THAT(output_of({"stats"}), ContainsRegex("unused, for gc +[0-9]+ +2[0-9.]+ KiB"));
  EXPECT_THAT(output_of({"gc", "-n"}), ContainsRegex("^would free 2[0-9.]+ KiB in [0-9]+ chunks"));
  EXPECT_THAT(output_of({"gc"}), ContainsRegex("^freed 2[0-9.]+ KiB in [0-9]+ chunks"));
  EXPECT_THAT(output_of({"gc"}),
              StartsWith("freed 0 B in 0 chunks (0 packs removed, 0 rewritten)"));
  EXPECT_THAT(output_of({"verify", "--all"}),
              ContainsRegex("1 artifacts, .*: all as they were added"));
  EXPECT_TRUE(output_of({"cat", "b"}) == read_file(dir / "b"));
}

TEST_F(CliStore, VerifySaysWhatIsDamaged) {
  for (const char* name : {"a", "b"}) {
    write_file(dir / name, text_of(random_bytes(static_cast<std::uint64_t>(*name), 2'000)));
    output_of({"add", path(name)});
  }
  const fs::path pack = store / "packs/0000000001.pack";
  std::string bytes = read_file(pack);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);  // of "b"
  write_file(pack, bytes);
  const Outcome found = cleave({"verify"});
  EXPECT_TRUE(exits_with(found, kProblems));
  EXPECT_THAT(found.out, ContainsRegex("^pack_damaged: .*0000000001.pack.*\n    damages b\n"));
  EXPECT_THAT(found.out, HasSubstr("1 problems, 1 artifacts damaged"));
  EXPECT_THAT(found.out, Not(HasSubstr("damages a")));
  EXPECT_TRUE(exits_with(cleave({"verify", "b"}), kProblems));
  EXPECT_TRUE(exits_with(cleave({"verify", "a"}), kDone));
  const Outcome get = cleave({"get", "b", "-o", path("out")});
  EXPECT_TRUE(exits_with(get, kFailed));
  EXPECT_THAT(get.err, ContainsRegex("^cleave: pack_damaged: .*0000000001.pack"));
  EXPECT_FALSE(fs::exists(dir / "out"));
  EXPECT_TRUE(exits_with(cleave({"cat", "a"}), kDone));
}

TEST_F(CliStore, FlagsOfAdd) {
  write_file(dir / "file", "one");
  output_of({"add", path("file"), "-n", "x", "--sha256", "--compression-level", "19", "--min=1KiB",
             "--avg", "4k", "--max", "16KB", "--level", "3", "--seed", "18446744073709551615"});
  EXPECT_THAT(output_of({"ls", "--json"}), HasSubstr("\"seed\":\"18446744073709551615\""));
  write_file(dir / "file", "two");
  EXPECT_TRUE(exits_with(cleave({"add", path("file"), "-n", "x"}), kFailed));
  output_of({"add", path("file"), "-n", "x", "--replace"});
  EXPECT_EQ(output_of({"cat", "x"}), "two");
}

TEST_F(CliStore, TheStoreIsChosenByFlagOrEnvironment) {
  write_file(dir / "file", "text");
  const std::string other = path("other");
  output_of({"--store", other, "add", path("file")});
  EXPECT_TRUE(fs::exists(dir / "other/format"));
  EXPECT_FALSE(fs::exists(store));
  EXPECT_EQ(output_of({"cat", "file", "--store", other}), "text");
  EXPECT_EQ(output_of({"cat", "file"}, {.env = {{"CLEAVE_STORE", other}}}), "text");
  const RunOptions home = {
      .env = {{"CLEAVE_STORE", ""}, {"XDG_DATA_HOME", ""}, {"HOME", path("home")}}};
  output_of({"add", path("file")}, home);
  EXPECT_TRUE(fs::exists(dir / "home/.local/share/cleave/format"));
}

TEST_F(CliStore, AnyNumberOfThreads) {
  const std::string text = text_of(mixed_bytes(4, 6'000'000));
  write_file(dir / "file", text);
  for (const char* threads : {"1", "2", "7"}) {
    const std::string at = path(std::string("store") + threads);
    output_of({"-j", threads, "--store", at, "add", path("file")});
    EXPECT_TRUE(output_of({"--store", at, "-j", threads, "cat", "file"}) == text);
    EXPECT_EQ(read_file(at + "/packs/0000000001.pack"),
              read_file(dir / "store1/packs/0000000001.pack"));
  }
}

TEST_F(CliStore, HelpAndVersion) {
  EXPECT_THAT(output_of({"--version"}), ContainsRegex("^cleave [0-9]+\\.[0-9]+\\.[0-9]+\n$"));
  const std::string help = output_of({"--help"});
  for (const char* name :
       {"add", "get", "cat", "ls", "rm", "gc", "verify", "stats", "chunk", "nar", "completion"}) {
    EXPECT_THAT(help, HasSubstr(std::string("\n  ") + name + " ")) << name;
    const std::string own = output_of({name, "--help"});
    EXPECT_THAT(own, Not(IsEmpty()));
  }
  EXPECT_FALSE(fs::exists(store));
}

}  // namespace
}  // namespace cleave::test
