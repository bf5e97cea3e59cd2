// Looking after a store: ls, rm, gc, verify, stats; and where it is.
#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class StoreCommands : public CliTest {};

TEST_F(StoreCommands, Ls) {
  make("b", std::string(2048, 'x'));
  make("a/file", "in a folder");
  done({"add", "b", "a"});
  EXPECT_THAT(done({"ls"}),
              MatchesRegex(" *SIZE +CHUNKS +KIND +ADDED +DIGEST +NAME\n"
                           " *[0-9]+ B +1  folder  [0-9]{4}-[-0-9]+ [:0-9]+  [0-9a-f]{16}  a\n"
                           " *2.0 KiB +1  file    [0-9]{4}-[-0-9]+ [:0-9]+  [0-9a-f]{16}  b\n"));
  EXPECT_EQ(done({"ls", "-1"}), "a\nb\n");
  EXPECT_EQ(done({"ls", "--names"}), "a\nb\n");
  done({"rm", "a", "b"});
  EXPECT_EQ(done({"ls"}), "");
}

TEST_F(StoreCommands, RemovedRoomIsFreed) {
  for (const char* name : {"a", "b"}) {
    make(name, text_of(random_bytes(static_cast<std::uint64_t>(*name), 200'000)));
    done(with_small_chunks({"add", name}));
  }
  EXPECT_EQ(done({"rm", "a"}), "removed  a\n");
  EXPECT_EQ(done({"ls", "-1"}), "b\n");
  EXPECT_THAT(done({"stats"}), ContainsRegex("unused, for gc +[0-9]+ +2[0-9.]+ KiB"));
  EXPECT_THAT(done({"gc", "-n"}), ContainsRegex("^would free 2[0-9.]+ KiB in [0-9]+ chunks"));
  EXPECT_THAT(done({"gc"}), ContainsRegex("^freed 2[0-9.]+ KiB in [0-9]+ chunks"));
  EXPECT_THAT(done({"gc"}), StartsWith("freed 0 B in 0 chunks (0 packs removed, 0 rewritten)"));
  EXPECT_THAT(done({"verify", "--all"}), ContainsRegex("1 artifacts, .*: all as they were added"));
  EXPECT_TRUE(done({"cat", "b"}) == read_file(at("b")));
}

TEST_F(StoreCommands, GcLeavesWhatMayStayUnused) {
  Rng rng(6);
  make("keep", random_text(rng, 300'000));
  make("drop", random_text(rng, 400'000));
  done({"add", "keep", "drop"});
  done({"rm", "drop"});
  EXPECT_THAT(done({"gc", "-n"}), StartsWith("would free 39"));
  EXPECT_THAT(done({"gc", "--max-unused", "100"}),
              MatchesRegex("freed 0 B in 0 chunks .*\n39[0-9.]+ KiB unused stay in packs .*\n"));
  EXPECT_THAT(done({"gc", "--max-unused", "0"}), MatchesRegex("freed 39.*, 1 rewritten\\)\n"));
  EXPECT_TRUE(done({"cat", "keep"}) == read_file(at("keep")));
  done({"verify", "--all"});
}

TEST_F(StoreCommands, Verify) {
  make("a", "one");
  make("b", "three");
  done({"add", "a", "b"});
  EXPECT_EQ(done({"verify"}), "2 artifacts, 2 chunks, 8 B: all as they were added\n");
  EXPECT_EQ(done({"verify", "b"}), "1 artifacts, 1 chunks, 5 B: all as they were added\n");
  EXPECT_THAT(done({"verify", "--all"}), HasSubstr("all as they were added"));
}

TEST_F(StoreCommands, GlobalOptionsStandAnywhere) {
  make("a", "contents");
  const std::string other = dir() / "other";
  EXPECT_EQ(done({"--store", other, "-q", "-j", "1", "add", "a"}), "");
  EXPECT_EQ(done({"ls", "-1", "--store", other}), "a\n");
  EXPECT_EQ(done({"--json", "ls", "--store", other}), done({"ls", "--store=" + other, "--json"}));
  EXPECT_EQ(done({"get", "a", "-o", "out", "--quiet", "--store", other, "--threads", "2"}), "");
  EXPECT_EQ(read_file(at("out")), "contents");
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(StoreCommands, WhereTheStoreIs) {
  make("a", "contents");
  // Set to nothing is not set.
  for (const std::optional<std::string>& none : {std::optional<std::string>(), {""}}) {
    const std::string name = none ? "set" : "unset";
    done({"add", "a", "-n", name},
         {.env = {{"CLEAVE_STORE", none}, {"XDG_DATA_HOME", (dir() / "data").native()}}});
    done({"add", "a", "-n", name}, {.env = {{"CLEAVE_STORE", none}, {"XDG_DATA_HOME", none}}});
  }
  for (const char* path : {"data/cleave", "home/.local/share/cleave"}) {
    EXPECT_EQ(done({"ls", "-1", "--store", dir() / path}), "set\nunset\n");
    EXPECT_EQ(done({"ls", "-1"}, {.env = {{"CLEAVE_STORE", dir() / path}}}), "set\nunset\n");
  }
  EXPECT_FALSE(fs::exists(store()));
}

}  // namespace
}  // namespace cleave::test
