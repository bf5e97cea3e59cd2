// Several processes with one store at once.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <deque>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>

#include <nlohmann/json.hpp>

#include "cleave/base/file.h"
#include "tests/cli/cli_test.h"
#include "tests/support/rounds.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

class Processes : public CliTest {
 protected:
  void start_one(std::deque<Process>& all, const std::vector<std::string>& args) const {
    all.emplace_back(command(args), with_store());
  }
  std::uint64_t pack_bytes() const {
    std::uint64_t size = 0;
    for (const auto& entry : fs::directory_iterator(store() / "packs")) size += entry.file_size();
    return size;
  }
};

// Whether a process has opened the file; the kernel tells.
bool has_open(pid_t pid, const fs::path& file) {
  std::error_code gone;
  for (fs::directory_iterator fd("/proc/" + std::to_string(pid) + "/fd", gone), end;
       !gone && fd != end; fd.increment(gone)) {
    std::error_code closed;
    if (fs::equivalent(fd->path(), file, closed)) return true;
  }
  return false;
}

// They make the store, too.
TEST_F(Processes, ThatBringTheSameStoreItOnce) {
  constexpr std::size_t kProcesses = 4;
  make("file", text_of(random_bytes(1, 3'000'000)));
  const std::string text = read_file(at("file"));
  std::uint64_t alone = 0;
  for (int round = 0; round < std::max(2, rounds(8)); ++round) {
    fs::remove_all(store());
    std::deque<Process> adders;
    const std::size_t count = round == 0 ? 1 : kProcesses;
    for (std::size_t i = 0; i < count; ++i) {
      start_one(adders, {"add", "file", "--name", std::to_string(i), "--json", "--min", "4096",
                         "--avg", "16384", "--max", "65536"});
    }
    std::uint64_t new_bytes = 0;
    for (Process& adder : adders) {
      const Outcome outcome = adder.wait();
      ASSERT_TRUE(exits_with(outcome, kDone));
      new_bytes += json::parse(outcome.out)["added"][0]["new_bytes"].get<std::uint64_t>();
    }
    EXPECT_EQ(new_bytes, text.size());
    if (round == 0) alone = pack_bytes();
    EXPECT_EQ(pack_bytes(), alone);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_TRUE(done({"cat", std::to_string(i)}) == text);
    }
    done({"verify", "--all"});
  }
}

TEST_F(Processes, ThatMakeTheStoreAtOnce) {
  make("file", "text");
  for (int round = 0; round < rounds(15); ++round) {
    fs::remove_all(store());
    std::deque<Process> adders;
    for (int i = 0; i < 5; ++i) start_one(adders, {"add", "file", "--name", std::to_string(i)});
    for (Process& adder : adders) ASSERT_TRUE(exits_with(adder.wait(), kDone));
    EXPECT_EQ(done({"ls", "-1"}), "0\n1\n2\n3\n4\n");
  }
}

TEST_F(Processes, OfThoseWithOneNameOneWins) {
  for (int i = 0; i < 4; ++i) make(std::to_string(i), std::to_string(i));
  for (int round = 0; round < rounds(5); ++round) {
    const std::string name = "name" + std::to_string(round);
    std::deque<Process> adders;
    for (int i = 0; i < 4; ++i) start_one(adders, {"add", std::to_string(i), "--name", name});
    std::string winner;
    for (std::size_t i = 0; i < adders.size(); ++i) {
      const Outcome outcome = adders[i].wait();
      if (outcome.exit_code == kDone) {
        winner += std::to_string(i);
      } else {
        expect_failed(outcome, kFailed, "name_exists");
      }
    }
    EXPECT_EQ(winner.size(), 1U);
    EXPECT_EQ(done({"cat", name}), winner);
  }
}

TEST_F(Processes, ReadersDoNotWaitForAnAdder) {
  make("file", "text");
  done({"add", "file"});
  Process adder = start({"add", "-", "--name", "slow"}, {.hold_input = true});
  adder.write_input(text_of(random_bytes(3, 12'000'000)));  // some of it is committed already
  EXPECT_EQ(done({"ls", "-1"}), "file\n");
  EXPECT_EQ(done({"cat", "file"}), "text");
  done({"verify", "--all"});
  done({"add", "file", "--name", "meanwhile"});
  // Nor for garbage collection, which does wait.
  Process collector = start({"gc"});
  EXPECT_TRUE(
      collector.wait_until([&] { return has_open(collector.pid(), store() / "writers.lock"); }));
  EXPECT_EQ(done({"cat", "meanwhile"}), "text");
  adder.write_input("the end");
  adder.close_input();
  EXPECT_TRUE(exits_with(adder.wait(), kDone));
  EXPECT_TRUE(exits_with(collector.wait(), kDone));
  EXPECT_EQ(done({"cat", "slow"}).size(), 12'000'007U);
  done({"verify", "--all"});
}

// What others see of an artifact while it is added, removed and collected: all of it or nothing.
TEST_F(Processes, NobodySeesHalfAnArtifact) {
  Rng rng(5);
  random_tree(rng, at("tree"), {.max_entries = 10, .max_depth = 3, .max_file_size = 20'000});
  const std::string nar = done({"nar", "pack", "tree"});
  std::jthread writing([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      done(with_small_chunks({"add", "tree"}));
      done({"rm", "tree"});
      done({"gc", "--max-unused", "0"});
    }
  });
  int whole = 0;
  for (int i = 0; i < rounds(300) || (whole < 3 && i < 3000); ++i) {
    const Outcome outcome = cleave({"cat", "tree"});
    if (outcome.exit_code == kDone) {
      ASSERT_TRUE(exits_with(outcome, kDone));
      ASSERT_TRUE(outcome.out == nar);
      ++whole;
    } else {
      expect_failed(outcome, kFailed, "no_");
      ASSERT_THAT(outcome.err, AnyOf(HasSubstr("no_such_artifact"), HasSubstr("no_store")));
    }
  }
  writing.request_stop();
  writing.join();
  EXPECT_GT(whole, 0);
  RecordProperty("whole", whole);
}

// What a process does while another one holds the store.
class Waiting : public CliTest {
 protected:
  void SetUp() override {
    make("file", "text");
    done({"add", "file"});
  }
  // As one holds it that collects garbage.
  FileDescriptor lock_writers() const {
    FileDescriptor lock = open_file(store() / "writers.lock", O_RDONLY).value();
    EXPECT_EQ(::flock(lock.get(), LOCK_EX), 0);
    return lock;
  }
  static bool says_a_line(Process& process) {
    return process.wait_until([&] { return process.err().ends_with('\n'); });
  }
  static bool runs_for(Process& process, std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    return process.wait_until([&] { return std::chrono::steady_clock::now() >= end; });
  }
};

TEST_F(Waiting, IsSaidOnceAndEndsWithTheLock) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"gc"}, {"add", "file", "--replace"}}) {
    SCOPED_TRACE(args[0]);
    FileDescriptor lock = lock_writers();
    Process waiting = start(args);
    ASSERT_TRUE(says_a_line(waiting));
    EXPECT_TRUE(runs_for(waiting, 100ms));
    lock.close();
    const Outcome outcome = waiting.wait();
    EXPECT_TRUE(exits_with(outcome, kDone));
    EXPECT_THAT(outcome.err, StartsWith("cleave: waiting for another process"));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  }
}

TEST_F(Waiting, IsNotSaidWhereNobodyReadsIt) {
  for (const char* flag : {"-q", "--json"}) {
    SCOPED_TRACE(flag);
    FileDescriptor lock = lock_writers();
    Process waiting = start({"gc", flag});
    EXPECT_TRUE(runs_for(waiting, 700ms));
    lock.close();
    const Outcome outcome = waiting.wait();
    EXPECT_TRUE(exits_with(outcome, kDone));
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(Waiting, EndsWithASignal) {
  const FileDescriptor lock = lock_writers();
  Process waiting = start({"gc"});
  ASSERT_TRUE(says_a_line(waiting));
  waiting.send(SIGINT);
  const Outcome outcome = waiting.wait();
  EXPECT_TRUE(exits_with(outcome, kFailed));
  EXPECT_THAT(outcome.err, HasSubstr("\ncleave: interrupted"));
}

}  // namespace
}  // namespace cleave::test
