// Against the reference: nix-store --dump and --restore (Debian: nix-bin).
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cleave/base/file.h"
#include "cleave/nar/nar_source.h"
#include "cleave/nar/nar_unpack.h"
#include "tests/support/nar.h"
#include "tests/support/oracle.h"
#include "tests/support/tree.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using namespace test::nar;
using test::Rng;
using test::TempDir;
using test::trees_equal;

// Quoted for the shell.
std::string quoted(const fs::path& path) {
  std::string text = "'";
  for (const char c : path.native()) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

class NarOracle : public testing::Test {
 protected:
  void SetUp() override { CLEAVE_NEED_PROGRAM("nix-store"); }

  // Without a daemon, a store, or anything of the user's.
  int nix_store(const std::string& arguments) const {
    const std::string command = "HOME=" + quoted(dir_.path()) +
                                " NIX_REMOTE= NIX_CONFIG='build-users-group =' nix-store --store " +
                                quoted(dir_ / "store") + " " + arguments;
    return std::system(command.c_str());
  }

  fs::path dump(const fs::path& path) const {
    EXPECT_EQ(nix_store("--dump " + quoted(path) + " > " + quoted(dir_ / "oracle.nar")), 0);
    return dir_ / "oracle.nar";
  }

  // Compares piece by piece: real trees may be large.
  void expect_same_nar(const fs::path& tree) const {
    SCOPED_TRACE(tree);
    FileSource theirs = FileSource::open(dump(tree)).value();
    auto ours = NarSource::open(tree);
    ASSERT_TRUE(ours) << ours.error().message();
    Buffer left;
    Buffer right;
    left.resize(1 << 20);
    right.resize(1 << 20);
    for (;;) {
      const auto n = read_full(*ours, left.span());
      ASSERT_TRUE(n) << n.error().message();
      ASSERT_EQ(*n, read_full(theirs, right.span()).value());
      ASSERT_TRUE(std::ranges::equal(left.span().first(*n), right.span().first(*n)));
      if (*n == 0) break;
    }
  }

  void expect_same_tree(const fs::path& nar) const {
    SCOPED_TRACE(nar);
    ASSERT_EQ(nix_store("--restore " + quoted(dir_ / "theirs") + " < " + quoted(nar)), 0);
    FileSource source = FileSource::open(nar).value();
    const auto result = unpack_nar(source, dir_ / "ours");
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_TRUE(trees_equal(dir_ / "theirs", dir_ / "ours"));
    fs::remove_all(dir_ / "theirs");
    fs::remove_all(dir_ / "ours");
  }

  TempDir dir_;
};

TEST_F(NarOracle, RandomTrees) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const fs::path tree = dir_ / "tree";
    test::random_tree(rng, tree, {.max_entries = 12, .max_depth = 6, .max_file_size = 20'000});
    expect_same_nar(tree);
    expect_same_tree(dump(tree));
    fs::remove_all(tree);
  }
}

TEST_F(NarOracle, RealTrees) {
  for (const char* tree :
       {"/usr/lib/python3", "/usr/share/perl5", "/etc/alternatives", "/usr/bin/env"}) {
    if (fs::exists(tree)) expect_same_nar(tree);
  }
  expect_same_tree(dump("/usr/bin/env"));
  expect_same_tree(dump("/etc/alternatives"));
}

// What nix-store refuses, we refuse. (Nix 2.8 accepts some that we do not: names out of order, long
// names, and padding that is not zero.)
TEST_F(NarOracle, BothRefuse) {
  const std::vector<std::string> bad = {
      "not a nar",
      archive(strs({"(", "type", "fifo", ")"})),
      archive(folder(entry("a", file("")) + entry("a", file("")))),
      archive(folder(entry("..", file("")))),
      archive(folder(entry("a/b", file("")))),
      archive(folder(entry("", file("")))),
      archive(folder(entry("a", file("x")))).substr(0, 200),
  };
  for (const std::string& nar : bad) {
    test::make_file(dir_ / "bad.nar", nar);
    EXPECT_NE(nix_store("--restore " + quoted(dir_ / "out") + " < " + quoted(dir_ / "bad.nar") +
                        " 2> /dev/null"),
              0)
        << testing::PrintToString(nar);
    fs::remove_all(dir_ / "out");
    FileSource source = FileSource::open(dir_ / "bad.nar").value();
    EXPECT_FALSE(unpack_nar(source, dir_ / "out"));
    EXPECT_FALSE(fs::exists(dir_ / "out"));
  }
}

}  // namespace
}  // namespace cleave
