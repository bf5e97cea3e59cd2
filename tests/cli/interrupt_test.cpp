// A signal in the middle of the work: the command ends, and leaves nothing half-done.
#include <chrono>
#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/command.h"
#include "tests/support/rounds.h"
#include "tests/support/tree.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::StartsWith;

class CliInterrupt : public CommandTest {
 protected:
  // A folder that takes a while.
  void make_tree(int files) {
    for (int i = 0; i < files; ++i) {
      const std::string name = std::to_string(i % 100) + "/" + std::to_string(i);
      make_file(dir / "tree" / name, text_of(random_bytes(static_cast<unsigned>(i), 5'000)));
    }
  }
  // Whether a temporary of `output` stands beside it.
  bool has_begun(const std::string& output) {
    for (const auto& entry : fs::directory_iterator(dir.path())) {
      if (entry.path().filename().native().starts_with("." + output + ".cleave-")) return true;
    }
    return false;
  }
};

TEST_F(CliInterrupt, GettingAFolderLeavesNothing) {
  make_tree(3'000);
  output_of({"add", path("tree")});
  int stopped = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGINT, SIGTERM}) {
    Process get(command({"get", "tree", "-o", path("out")}), with_store());
    for (int i = 0; i < 100'000 && !has_begun("out") && !fs::exists(dir / "out"); ++i) {
      std::this_thread::sleep_for(100us);
    }
    get.send(signal);
    const Outcome outcome = get.wait();
    ASSERT_TRUE(exits_with_any(outcome, {kFailed, kDone}));
    if (outcome.exit_code == kDone) {  // it was faster
      EXPECT_TRUE(trees_equal(dir / "tree", dir / "out"));
      fs::remove_all(dir / "out");
      continue;
    }
    ++stopped;
    EXPECT_THAT(outcome.err, StartsWith("cleave: interrupted"));
    EXPECT_EQ(dir.count(), 2u);  // the store, the tree
  }
  EXPECT_GT(stopped, 0);
}

TEST_F(CliInterrupt, GettingAFileLeavesNothingOrAll) {
  const std::string text = text_of(random_bytes(1, 30'000'000));
  write_file(dir / "file", text);
  output_of({"add", path("file")});
  write_file(dir / "out", "old");
  for (int i = 0; i < rounds(20); ++i) {
    Process get(command({"get", "file", "-f", "-o", path("out")}), with_store());
    std::this_thread::sleep_for(i * 2ms);
    get.send(SIGTERM);
    const Outcome outcome = get.wait();
    // Early enough, the signal still kills.
    ASSERT_TRUE(outcome.signal == SIGTERM || exits_with_any(outcome, {kFailed, kDone}));
    const std::string now = read_file(dir / "out");
    EXPECT_TRUE(outcome.exit_code == kDone ? now == text : now == text || now == "old");
    EXPECT_EQ(dir.count(), 3u);
    write_file(dir / "out", "old");
  }
}

TEST_F(CliInterrupt, UnpackingLeavesNothing) {
  make_tree(200);
  const std::string nar = output_of({"nar", "pack", path("tree")});
  Process unpack(command({"nar", "unpack", "-", "-o", path("out")}), {.hold_input = true});
  unpack.write_input(nar.substr(0, nar.size() / 2));
  for (int i = 0; i < 100'000 && !has_begun("out"); ++i) std::this_thread::sleep_for(100us);
  unpack.send(SIGINT);
  unpack.write_input(nar.substr(nar.size() / 2));
  EXPECT_TRUE(exits_with(unpack.wait(), kFailed));
  EXPECT_EQ(dir.count(), 1u);  // the tree
}

TEST_F(CliInterrupt, AddingEndsAndLeavesAWholeStore) {
  write_file(dir / "before", "text");
  output_of({"add", path("before")});
  make_tree(1'000);
  for (int i = 0; i < rounds(20); ++i) {
    Process add(command({"add", path("tree")}), with_store());
    std::this_thread::sleep_for(i * 3ms);
    add.send(i % 2 == 0 ? SIGINT : SIGTERM);
    const Outcome outcome = add.wait();
    ASSERT_TRUE(outcome.signal != 0 || exits_with_any(outcome, {kFailed, kDone}));
    EXPECT_EQ(output_of({"ls", "-1"}), outcome.exit_code == kDone ? "before\ntree\n" : "before\n");
    if (outcome.exit_code == kDone) output_of({"rm", "tree"});
  }
  output_of({"verify", "--all"});
}

TEST_F(CliInterrupt, WaitingForInputEndsToo) {
  RunOptions options = with_store();
  options.hold_input = true;
  Process add(command({"add", "-", "--name", "x"}), options);
  add.write_input("some text");
  for (int i = 0; i < 100'000 && !fs::exists(store / "format"); ++i) {
    std::this_thread::sleep_for(100us);
  }
  std::this_thread::sleep_for(100ms);
  add.send(SIGINT);
  EXPECT_TRUE(add.wait_for("interrupted"));
  EXPECT_TRUE(exits_with(add.wait(), kFailed));
  EXPECT_EQ(output_of({"ls"}), "");
}

}  // namespace
}  // namespace cleave::test
