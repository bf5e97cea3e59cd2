// Several processes with one store at once.
#include <chrono>
#include <memory>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/bytes.h"
#include "tests/support/command.h"
#include "tests/support/rounds.h"
#include "tests/support/tree.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class CliProcesses : public CommandTest {
 protected:
  std::unique_ptr<Process> start(const std::vector<std::string>& args, RunOptions options = {}) {
    return std::make_unique<Process>(command(args), with_store(std::move(options)));
  }
  std::uint64_t pack_bytes() const {
    std::uint64_t size = 0;
    for (const auto& entry : fs::directory_iterator(store / "packs")) size += entry.file_size();
    return size;
  }
};

// They make the store, too.
TEST_F(CliProcesses, ThatBringTheSameStoreItOnce) {
  constexpr std::size_t kProcesses = 4;
  const std::string text = text_of(random_bytes(1, 3'000'000));
  write_file(dir / "file", text);
  const std::vector<std::string> cutting = {"--min", "4096", "--avg", "16384", "--max", "65536"};
  std::uint64_t alone = 0;
  for (int round = 0; round < rounds(8); ++round) {
    fs::remove_all(store);
    std::vector<std::unique_ptr<Process>> adders;
    const std::size_t count = round == 0 ? 1 : kProcesses;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<std::string> args = {"add", path("file"), "--name", std::to_string(i), "--json"};
      args.insert(args.end(), cutting.begin(), cutting.end());
      adders.push_back(start(args));
    }
    std::uint64_t new_bytes = 0;
    for (const auto& adder : adders) {
      const Outcome outcome = adder->wait();
      ASSERT_TRUE(exits_with(outcome, kDone));
      new_bytes += json::parse(outcome.out)["added"][0]["new_bytes"].get<std::uint64_t>();
    }
    EXPECT_EQ(new_bytes, text.size());
    if (round == 0) alone = pack_bytes();
    EXPECT_EQ(pack_bytes(), alone);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_TRUE(output_of({"cat", std::to_string(i)}) == text);
    }
    output_of({"verify", "--all"});
  }
}

TEST_F(CliProcesses, ThatMakeTheStoreAtOnce) {
  write_file(dir / "file", "text");
  for (int round = 0; round < rounds(15); ++round) {
    fs::remove_all(store);
    std::vector<std::unique_ptr<Process>> adders;
    for (int i = 0; i < 5; ++i) {
      adders.push_back(start({"add", path("file"), "--name", std::to_string(i)}));
    }
    for (const auto& adder : adders) ASSERT_TRUE(exits_with(adder->wait(), kDone));
    EXPECT_EQ(output_of({"ls", "-1"}), "0\n1\n2\n3\n4\n");
  }
}

TEST_F(CliProcesses, OfThoseWithOneNameOneWins) {
  for (int i = 0; i < 4; ++i) write_file(dir / std::to_string(i), std::to_string(i));
  for (int round = 0; round < rounds(5); ++round) {
    std::vector<std::unique_ptr<Process>> adders;
    const std::string name = "name" + std::to_string(round);
    for (int i = 0; i < 4; ++i) {
      adders.push_back(start({"add", path(std::to_string(i)), "--name", name}));
    }
    std::string winner;
    for (std::size_t i = 0; i < adders.size(); ++i) {
      const Outcome outcome = adders[i]->wait();
      ASSERT_TRUE(exits_with_any(outcome, {kDone, kFailed}));
      if (outcome.exit_code == kDone) winner += std::to_string(i);
      if (outcome.exit_code == kDone) continue;
      EXPECT_THAT(outcome.err, HasSubstr("name_exists"));
    }
    EXPECT_EQ(winner.size(), 1u);
    EXPECT_EQ(output_of({"cat", name}), winner);
  }
}

TEST_F(CliProcesses, WhatIsStoredIsNeverCompressedAgain) {
  write_file(dir / "file", text_of(random_bytes(2, 5'000'000)));
  const RunOptions profile = {.env = {{"CLEAVE_PROFILE", "1"}}};
  EXPECT_THAT(cleave({"add", path("file")}, profile).err, HasSubstr("add.compress"));
  const Outcome again = cleave({"add", path("file"), "--name", "again"}, profile);
  EXPECT_TRUE(exits_with(again, kDone));
  EXPECT_THAT(again.err, HasSubstr("add.hash"));
  EXPECT_THAT(again.err, Not(HasSubstr("add.compress")));
  EXPECT_THAT(again.err, Not(HasSubstr("store.write_pack")));
}

TEST_F(CliProcesses, ReadersDoNotWaitForAnAdder) {
  write_file(dir / "file", "text");
  output_of({"add", path("file")});
  const auto adder = start({"add", "-", "--name", "slow"}, {.hold_input = true});
  adder->write_input(text_of(random_bytes(3, 12'000'000)));  // some of it is committed already
  EXPECT_EQ(output_of({"ls", "-1"}), "file\n");
  EXPECT_EQ(output_of({"cat", "file"}), "text");
  output_of({"verify", "--all"});
  output_of({"add", path("file"), "--name", "meanwhile"});
  const auto collector = start({"gc"});
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(output_of({"cat", "meanwhile"}), "text");
  adder->write_input("the end");
  EXPECT_TRUE(exits_with(adder->wait(), kDone));
  EXPECT_TRUE(exits_with(collector->wait(), kDone));
  EXPECT_EQ(output_of({"cat", "slow"}).size(), 12'000'007u);
  output_of({"verify", "--all"});
}

// What others see of an artifact while it is added, removed and collected: all of it or nothing.
TEST_F(CliProcesses, NobodySeesHalfAnArtifact) {
  Rng rng(5);
  random_tree(rng, dir / "tree", {.max_entries = 10, .max_depth = 3, .max_file_size = 20'000});
  const std::string nar = output_of({"nar", "pack", path("tree")});
  const auto writer = start({"--version"});
  std::jthread writing([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      EXPECT_TRUE(exits_with(cleave(with_small_chunks({"add", path("tree")})), kDone));
      EXPECT_TRUE(exits_with(cleave({"rm", "tree"}), kDone));
      EXPECT_TRUE(exits_with(cleave({"gc", "--max-unused", "0"}), kDone));
    }
  });
  int whole = 0;
  int absent = 0;
  for (int i = 0; i < rounds(300) || (whole < 3 && i < 3000); ++i) {
    const Outcome outcome = cleave({"cat", "tree"});
    ASSERT_TRUE(exits_with_any(outcome, {kDone, kFailed}));
    if (outcome.exit_code == kDone) {
      ASSERT_TRUE(outcome.out == nar);
      ++whole;
    } else {
      ASSERT_EQ(outcome.out, "");
      ASSERT_TRUE(outcome.err.find("no_such_artifact") != std::string::npos ||
                  outcome.err.find("no_store") != std::string::npos)
          << outcome.err;
      ++absent;
    }
  }
  writing.request_stop();
  writing.join();
  EXPECT_GT(whole, 0);
  RecordProperty("whole", whole);
  RecordProperty("absent", absent);
}

}  // namespace
}  // namespace cleave::test
