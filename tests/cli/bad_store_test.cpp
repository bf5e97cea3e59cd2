// Stores that are none, of another version, damaged, or on a full disk: what is said, with which
// exit code, and that nothing half-written stays.
#include <cerrno>
#include <cstring>
#include <sys/mount.h>

#include <nlohmann/json.hpp>

#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

// Everything that needs a store that is there.
const std::vector<std::vector<std::string>> kReading = {{"ls"},
                                                        {"cat", "a"},
                                                        {"get", "a", "-o", "out"},
                                                        {"get", "a", "--nar", "-o", "out"},
                                                        {"rm", "a"},
                                                        {"gc"},
                                                        {"gc", "-n"},
                                                        {"stats"},
                                                        {"verify"},
                                                        {"verify", "--all"}};

class BadStore : public CliTest {
 protected:
  // Every command that needs a store fails.
  void expect_all_fail(const std::string& error, const std::vector<std::string>& texts,
                       const RunOptions& options = {}) const {
    std::vector<std::vector<std::string>> all = kReading;
    all.push_back({"add", "a"});
    all.push_back({"add", "a", "--replace"});
    for (const auto& args : all) {
      SCOPED_TRACE(testing::PrintToString(args));
      expect_failed(cleave(args, options), kFailed, error, texts);
    }
    EXPECT_FALSE(fs::exists(at("out")));
  }

  std::size_t problems_in(const Outcome& verified, const std::string& artifact) const {
    EXPECT_TRUE(exits_with(verified, kProblems));
    const json report = json::parse(verified.out);
    EXPECT_EQ(report["damaged_artifacts"], json::array({artifact}));
    for (const json& problem : report["problems"]) {
      EXPECT_EQ(problem["name"], "pack_damaged");
      EXPECT_THAT(problem["message"].get<std::string>(), HasSubstr(first_pack()));
      EXPECT_EQ(problem["artifacts"], json::array({artifact}));
    }
    return report["problems"].size();
  }
};

TEST_F(BadStore, ThereIsNone) {
  for (const auto& args : kReading) {
    SCOPED_TRACE(testing::PrintToString(args));
    expect_failed(cleave(args), kFailed, "no_store", {store().native(), "cleave add"});
  }
  EXPECT_FALSE(fs::exists(store()));
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(BadStore, SomethingElse) {
  make("folder/file", "mine");
  make("a", "");
  for (const char* path : {"folder", "folder/file"}) {
    expect_all_fail("not_a_store", {path}, {.env = {{"CLEAVE_STORE", path}}});
  }
  EXPECT_EQ(read_file(at("folder/file")), "mine");
  EXPECT_EQ(std::distance(fs::directory_iterator(at("folder")), {}), 1);

  done({"add", "a"});
  write_file(store() / "format", "something else\n");
  expect_all_fail("not_a_store", {store().native()});
}

TEST_F(BadStore, OfAnotherVersion) {
  make("a", "contents");
  done({"add", "a"});
  for (const std::string version : {"2", "7"}) {
    write_file(store() / "format", "cleave-store " + version + "\n");
    expect_all_fail("store_version_unsupported", {"version " + version, store().native()});
  }
  write_file(store() / "format", "cleave-store 1\n");
  EXPECT_EQ(done({"cat", "a"}), "contents");
}

TEST_F(BadStore, DamageInOneArtifact) {
  Rng rng(1);
  make("file", random_text(rng, 30'000));
  make("tree/file", random_text(rng, 5'000'000));
  make("good", "good");
  done({"add", "file", "tree", "good"});
  std::string pack = read_file(first_pack());
  pack[pack.size() / 2] = static_cast<char>(pack[pack.size() / 2] ^ 0x10);
  write_file(first_pack(), pack);

  expect_failed(cleave({"get", "tree", "-o", "out"}), kFailed, "pack_damaged",
                {first_pack().native()});
  expect_failed(cleave({"get", "tree", "--nar", "-o", "out"}), kFailed, "pack_damaged");
  make("old", "old");
  expect_failed(cleave({"get", "tree", "--nar", "-f", "-o", "old"}), kFailed, "pack_damaged");
  EXPECT_EQ(read_file(at("old")), "old");
  EXPECT_TRUE(exits_with(cleave({"cat", "tree"}), kFailed));
  EXPECT_THAT(names(), UnorderedElementsAre("file", "tree", "good", "old"));
  EXPECT_TRUE(done({"cat", "file", "good"}) == read_file(at("file")) + "good");

  const Outcome found = cleave({"verify"});
  EXPECT_TRUE(exits_with(found, kProblems));
  EXPECT_THAT(found.out, ContainsRegex("^pack_damaged: .*0000000001.pack.*\n    damages tree\n"));
  EXPECT_THAT(found.out, HasSubstr("1 problems, 1 artifacts damaged\n"));
  EXPECT_THAT(found.out, Not(HasSubstr("damages file")));
  EXPECT_TRUE(exits_with(cleave({"verify", "tree"}), kProblems));
  EXPECT_TRUE(exits_with(cleave({"verify", "file"}), kDone));
  EXPECT_EQ(problems_in(cleave({"verify", "--all", "--json"}), "tree"), 1U);

  // Garbage collection does not carry damage on, and says so.
  done({"rm", "file", "-q"});
  const Outcome gc = cleave({"gc", "--max-unused", "0", "--json"});
  EXPECT_TRUE(exits_with(gc, kProblems));
  EXPECT_THAT(json::parse(gc.out)["problems"][0]["message"].get<std::string>(),
              HasSubstr("0000000001.pack"));
  EXPECT_EQ(done({"cat", "good"}), "good");
}

TEST_F(BadStore, DamagedAndLostPacks) {
  make("a", text_of(random_bytes(1, 5'000)));
  done({"add", "a"});
  const std::string whole = read_file(first_pack());
  const auto flipped = [&](std::size_t at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
  };
  const auto expect_found = [&] {
    for (const std::vector<std::string>& args :
         std::vector<std::vector<std::string>>{{"get", "a", "-o", "out"}, {"cat", "a"}}) {
      expect_failed(cleave(args), kFailed, "pack_damaged", {first_pack().native()});
    }
    EXPECT_GE(problems_in(cleave({"verify", "--json"}), "a"), 1U);
    done({"ls"});
    EXPECT_THAT(names(), ElementsAre("a"));
  };
  for (const std::string& bytes :
       {flipped(1000), flipped(whole.size() - 1), whole.substr(0, 1000), std::string()}) {
    write_file(first_pack(), bytes);
    expect_found();
  }
  fs::remove(first_pack());
  expect_found();
}

TEST_F(BadStore, LostIndex) {
  make("a", "contents");
  done({"add", "a"});
  const fs::path index = store() / "index/data.mdb";
  const std::string whole = read_file(index);
  std::vector<std::string> bad = {"x", std::string(whole.size(), '\0'),
                                  std::string(whole.size(), '\xff')};
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{4096},
                                 std::size_t{5000}, std::size_t{8192}, whole.size() / 2}) {
    bad.push_back(whole.substr(0, size));
  }
  for (const std::string& bytes : bad) {
    SCOPED_TRACE(bytes.size());
    write_file(index, bytes);
    expect_all_fail("index_damaged", {store().native()});
    EXPECT_TRUE(read_file(index) == bytes);
  }
  fs::remove(index);
  expect_all_fail("index_damaged", {store().native()});
  write_file(index, whole);
  EXPECT_EQ(done({"cat", "a"}), "contents");
}

class FullDisk : public CliTest {
 protected:
  void SetUp() override {
    fs::create_directory(store());
    if (!mount(0, "8m")) GTEST_SKIP() << "no mount: " << std::strerror(errno);
    mounted_ = true;
  }
  ~FullDisk() override {
    if (mounted_) ::umount2(store().c_str(), MNT_DETACH);
  }
  bool mount(unsigned long flags, const std::string& size) const {
    return ::mount("tmpfs", store().c_str(), "tmpfs", flags, ("size=" + size).c_str()) == 0;
  }
  // Leaves room for so many bytes.
  void leave(std::uintmax_t room) const {
    const fs::space_info space = fs::space(store());
    ASSERT_TRUE(mount(MS_REMOUNT, std::to_string(space.capacity - space.free + room)));
  }

 private:
  bool mounted_ = false;
};

// LMDB itself calls a write that does not fit an I/O error.
TEST_F(FullDisk, IsCalledSoUnderTheIndex) {
  int failed_index = 0;
  make("first", "text");
  done({"add", "first", "-q"});
  make("file", text_of(random_bytes(1, 50'000)));
  for (std::uintmax_t pages = 0; pages < 60; ++pages) {
    leave(pages * 4096);
    const Outcome outcome = cleave(with_small_chunks({"add", "-q", "file"}));
    ASSERT_TRUE(mount(MS_REMOUNT, "8m"));
    if (outcome.exit_code == kDone) break;
    expect_failed(outcome, kFailed, "io_error", {store().native(), std::strerror(ENOSPC)});
    if (outcome.err.find("disk is full") != std::string::npos) ++failed_index;
  }
  EXPECT_EQ(done({"ls", "-1"}), "file\nfirst\n");
  EXPECT_GT(failed_index, 0);
}

}  // namespace
}  // namespace cleave::test
