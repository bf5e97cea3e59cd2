// A signal in the middle of the work: the command ends, and leaves nothing half-done.
#include <chrono>
#include <csignal>
#include <thread>

#include "tests/cli/cli_test.h"
#include "tests/support/rounds.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class Interrupt : public CliTest {
 protected:
  // A folder that takes a while.
  void make_files(int count) const {
    for (int i = 0; i < count; ++i) {
      make("tree/" + std::to_string(i % 100) + "/" + std::to_string(i),
           text_of(random_bytes(static_cast<unsigned>(i), 5'000)));
    }
  }
  // Whether a temporary of `output` stands beside it.
  bool has_begun(const std::string& output) const {
    for (const std::string& name : names()) {
      if (name.starts_with("." + output + ".cleave-")) return true;
    }
    return false;
  }

  // Interrupts `get tree` while it writes; false when it was faster.
  bool stop_get(int signal) const {
    Process get = start({"get", "tree", "-o", "out", "-j", "1"});
    get.wait_until([&] { return has_begun("out"); });
    get.send(signal);
    const Outcome outcome = get.wait();
    if (outcome.exit_code == kDone) {
      EXPECT_TRUE(trees_equal(at("tree"), at("out")));
      fs::remove_all(at("out"));
      return false;
    }
    expect_failed(outcome, kFailed, "interrupted");
    EXPECT_THAT(names(), ElementsAre("tree"));
    return true;
  }
};

TEST_F(Interrupt, AddThatWaitsForInput) {
  Rng rng(1);
  const std::string text = random_text(rng, 40 << 20);
  for (const int signal : {SIGINT, SIGTERM}) {
    Process add = start({"add", "-", "--name", "a"}, {.hold_input = true});
    add.write_input(text);
    // Its first chunks are in the store, and it waits for more.
    EXPECT_TRUE(add.wait_until([&] {
      std::error_code missing;
      const auto size = fs::file_size(first_pack(), missing);
      return !missing && size > (8 << 20);
    }));
    add.send(signal);
    expect_failed(add.wait(), kFailed, "interrupted");
    EXPECT_EQ(done({"ls"}), "");
    EXPECT_THAT(done({"verify", "--all"}), HasSubstr("all as they were added"));
  }
  EXPECT_THAT(names(), IsEmpty());
  make("b", "contents");
  done({"add", "b"});
  done({"gc"});
  EXPECT_EQ(done({"cat", "b"}), "contents");
}

TEST_F(Interrupt, AddAtAnyTimeLeavesAWholeStore) {
  make("before", "text");
  done({"add", "before"});
  make_files(1'000);
  for (int i = 0; i < rounds(20); ++i) {
    Process add = start({"add", "tree"});
    std::this_thread::sleep_for(i * 3ms);
    const int signal = i % 2 == 0 ? SIGINT : SIGTERM;
    add.send(signal);
    const Outcome outcome = add.wait();
    // Early enough, it still kills.
    ASSERT_TRUE(outcome.signal == signal || exits_with_any(outcome, {kFailed, kDone}));
    EXPECT_EQ(done({"ls", "-1"}), outcome.exit_code == kDone ? "before\ntree\n" : "before\n");
    if (outcome.exit_code == kDone) done({"rm", "tree"});
  }
  done({"verify", "--all"});
}

TEST_F(Interrupt, GetOfAFolder) {
  make_files(6'000);
  done({"add", "tree"});
  for (const int signal : {SIGINT, SIGTERM}) {
    int attempts = 0;
    while (attempts < 20 && !stop_get(signal)) ++attempts;
    EXPECT_LT(attempts, 20);
  }
  done({"verify"});
}

TEST_F(Interrupt, GetOfAFileAtAnyTime) {
  const std::string text = text_of(random_bytes(1, 30'000'000));
  make("file", text);
  done({"add", "file"});
  for (int i = 0; i < rounds(20); ++i) {
    make("out", "old");
    Process get = start({"get", "file", "-f", "-o", "out"});
    std::this_thread::sleep_for(i * 2ms);
    get.send(SIGTERM);
    const Outcome outcome = get.wait();
    ASSERT_TRUE(outcome.signal == SIGTERM || exits_with_any(outcome, {kFailed, kDone}));
    const std::string now = read_file(at("out"));
    EXPECT_TRUE(now == text || (now == "old" && outcome.exit_code != kDone));
    EXPECT_THAT(names(), UnorderedElementsAre("file", "out"));
  }
}

TEST_F(Interrupt, UnpackBeforeMoreInputComes) {
  make_files(200);
  const std::string nar = done({"nar", "pack", "tree"});
  const std::string_view half = std::string_view(nar).substr(0, nar.size() / 2);
  for (const std::string_view more :
       {std::string_view(), std::string_view(nar).substr(half.size())}) {
    Process unpack = start({"nar", "unpack", "-", "-o", "out"}, {.hold_input = true});
    unpack.write_input(half);
    EXPECT_TRUE(unpack.wait_until([&] { return has_begun("out"); }));
    unpack.send(SIGINT);
    unpack.write_input(more);
    expect_failed(unpack.wait(), kFailed, "interrupted");
    EXPECT_THAT(names(), ElementsAre("tree"));
  }
}

TEST_F(Interrupt, WhatLeavesNothingBehindEndsAtOnce) {
  Process chunk = start({"chunk", "-"}, {.hold_input = true});
  chunk.write_input(std::string(1 << 20, 'x'));  // more than a pipe holds: it is at work
  chunk.send(SIGINT);
  EXPECT_EQ(chunk.wait().signal, SIGINT);
}

}  // namespace
}  // namespace cleave::test
