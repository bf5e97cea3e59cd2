// Processes that add, remove and collect are killed at random instants. After each kill the store
// is whole, and so is everything that was reported as done.
#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "cleave/hash/blake3.h"
#include "cleave/nar/nar_source.h"
#include "tests/support/process.h"
#include "tests/support/result.h"
#include "tests/support/rounds.h"
#include "tests/support/store.h"
#include "tests/support/tree.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Kills in all tests together; each test asserts its share.
constexpr int kKillsAdding = 90;
constexpr int kKillsCollecting = 80;
constexpr int kKillsTogether = 60;
static_assert(kKillsAdding + kKillsCollecting + kKillsTogether >= 200);

constexpr const char* kPackSize = "60000";

Digest digest_of(ByteSource& source) {
  Blake3 hasher;
  Buffer buffer;
  buffer.resize(1 << 20);
  while (const std::size_t n = source.read(buffer.span()).value()) {
    hasher.update(buffer.span().first(n));
  }
  return hasher.digest();
}

class HashingSink final : public ByteSink {
 public:
  Result<> write(ByteSpan bytes) override {
    hasher_.update(bytes);
    return {};
  }
  Digest digest() const { return hasher_.digest(); }

 private:
  Blake3 hasher_;
};

class KillTest : public testing::Test {
 protected:
  KillTest() {
    // Files and folders that share much of what they hold; one takes more than one commit.
    std::vector<std::string> blocks;
    for (int i = 0; i < 30; ++i) blocks.push_back(random_text(rng_, 1 + below(rng_, 40'000)));
    const auto some_text = [&](std::size_t count) {
      std::string text = random_text(rng_, below(rng_, 2'000));
      for (; count > 0; --count) text += blocks[below(rng_, blocks.size())];
      return text;
    };
    fs::create_directory(dir_ / "in");
    for (std::size_t i = 0; i < 24; ++i) {
      const fs::path path = dir_ / "in" / std::to_string(i);
      if (i % 3 == 0) {
        random_tree(rng_, path, {.max_entries = 5, .max_depth = 3, .max_file_size = 10'000});
        write_file(path / "shared", some_text(4));
      } else {
        write_file(path, i == 1 ? random_text(rng_, 10'000'000) + some_text(2)
                                : some_text(below(rng_, i % 4 == 0 ? 40 : 6)));
      }
      contents_.push_back({path, fs::is_directory(path) ? digest_of_folder(path)
                                                        : blake3(as_byte_span(read_file(path)))});
    }
  }

  struct Content {
    fs::path path;
    Digest digest;
  };
  static Digest digest_of_folder(const fs::path& path) {
    NarSource nar = NarSource::open(path).value();
    return digest_of(nar);
  }

  // A process at work on the store, and what it may come to.
  struct Job {
    std::unique_ptr<Process> process;
    std::map<std::string, std::size_t> adds;
    std::set<std::string> removes;
    std::string kind;
  };

  std::vector<std::string> command(const std::vector<std::string>& args) const {
    std::vector<std::string> all = {CLEAVE_COMMAND, "--store", store_.native()};
    all.insert(all.end(), args.begin(), args.end());
    return all;
  }
  std::vector<std::string> driver() const {
    return {CLEAVE_STORE_DRIVER, store_.native(), kPackSize};
  }
  static void begin(Job& job, const std::vector<std::string>& args) {
    RunOptions options;
    options.timeout = std::chrono::seconds(kSanitized ? 100 : 30);
    job.process = std::make_unique<Process>(args, options);
  }

  // Adds one to four artifacts, with the command, or into small packs.
  Job start_adding() {
    Job job;
    const bool small = below(rng_, 2) == 0;
    std::vector<std::string> args = small ? driver() : command({});
    for (std::size_t n = 1 + below(rng_, 4); n > 0; --n) {
      const std::size_t content = below(rng_, below(rng_, 4) == 0 ? 3 : contents_.size());
      const std::string name = "artifact-" + std::to_string(next_name_++);
      job.adds[name] = content;
      const std::string path = contents_[content].path;
      if (small) {
        args.insert(args.end(), {"add", name, path});
      } else {
        // The command names one at a time.
        args.insert(args.end(), {"add", path, "--name", name, "--min", "1KiB", "--avg", "4KiB",
                                 "--max", "16KiB"});
        break;
      }
    }
    job.kind = small ? "add small" : "add";
    begin(job, args);
    return job;
  }
  Job start_removing() {
    Job job;
    std::vector<std::string> args = driver();
    std::vector<std::string> names = {"rm"};
    for (const auto& [name, content] : present_) {
      if (below(rng_, 3) != 0) continue;
      job.removes.insert(name);
      args.insert(args.end(), {"rm", name});
      names.push_back(name);
    }
    job.kind = "rm";
    const bool by_command = names.size() > 1 && below(rng_, 2) == 0;
    begin(job, by_command ? command(names) : args);
    return job;
  }
  Job start_collecting() {
    Job job;
    job.kind = "gc";
    std::vector<std::string> args = driver();
    args.insert(args.end(), {"gc", "0"});
    begin(job, below(rng_, 4) == 0 ? command({"gc"}) : args);
    return job;
  }

  // Sleeps for a random part of what such a job takes.
  void wait_some(const std::string& kind) {
    const auto usual = durations_.contains(kind) ? durations_[kind] : Clock::duration(100ms);
    std::this_thread::sleep_for(usual / 1000 * (below(rng_, 1'200)));
  }
  // Runs a job to its end, to learn how long such jobs take.
  void run(Job job) {
    const auto start = Clock::now();
    finish(job);
    durations_[job.kind] = Clock::now() - start;
  }
  void kill(Job& job) {
    job.process->send(SIGKILL);
    finish(job);
  }
  // Waits for the end, and takes note of what was reported.
  void finish(Job& job) {
    const Outcome outcome = job.process->wait();
    if (outcome.signal == SIGKILL && !outcome.timed_out) {
      ++kills_;
    } else {
      EXPECT_TRUE(exits_with(outcome, 0)) << job.kind;
    }
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);) {
      if (lines.eof()) break;  // cut off: not reported
      const std::string name = line.substr(line.rfind(' ') + 1);
      if (const auto added = job.adds.find(name); added != job.adds.end()) {
        present_[name] = added->second;
        job.adds.erase(added);
      }
      if (job.removes.erase(name) > 0) present_.erase(name);
    }
    maybe_there_.insert(job.adds.begin(), job.adds.end());
    maybe_gone_.insert(job.removes.begin(), job.removes.end());
    if (outcome.exit_code == 0) {
      EXPECT_TRUE(job.adds.empty()) << "added, and not reported";
      for (const std::string& name : job.removes) present_.erase(name);
    }
  }

  // Everything reported is there and whole; what was not reported is there whole or not at all.
  void check() {
    ASSERT_FALSE(HasFailure());
    const auto store = Store::open(store_, StoreMode::read);
    if (!store && store.error().is(StoreError::no_store)) {
      ASSERT_TRUE(present_.empty());
      return;
    }
    ASSERT_TRUE(ok(store));
    const auto report = verify(**store, Everything::yes);
    ASSERT_TRUE(ok(report));
    for (const Problem& problem : report->problems) ADD_FAILURE() << problem.error.message();
    std::map<std::string, std::size_t> found;
    for (const Artifact& artifact : artifacts_of(**store)) {
      const bool reported = present_.contains(artifact.name);
      ASSERT_TRUE(reported || maybe_there_.contains(artifact.name)) << artifact.name;
      const std::size_t content = (reported ? present_ : maybe_there_).at(artifact.name);
      found[artifact.name] = content;
      HashingSink sink;
      Progress progress;
      ASSERT_TRUE(ok(write_artifact(**store, *executor_, artifact, sink, progress)));
      ASSERT_EQ(sink.digest(), contents_[content].digest) << artifact.name;
    }
    for (const auto& [name, content] : present_) {
      ASSERT_TRUE(found.contains(name) || maybe_gone_.contains(name)) << name << " is lost";
    }
    present_ = std::move(found);
    maybe_there_.clear();
    maybe_gone_.clear();
    if (++checks_ % 20 != 0) return;
    EXPECT_TRUE(exits_with(test::run(command({"verify", "--all"})), 0));
  }

  // Keeps the store small: what is checked after every kill.
  void clean_up() {
    Job job;
    job.kind = "clean up";
    std::vector<std::string> args = driver();
    for (const auto& [name, content] : present_) {
      job.removes.insert(name);
      args.insert(args.end(), {"rm", name});
    }
    args.insert(args.end(), {"gc", "0"});
    begin(job, args);
    finish(job);
    check();
    EXPECT_TRUE(present_.empty());
    EXPECT_TRUE(fs::is_empty(store_ / "packs")) << "leftovers of those that were killed";
  }

  TempDir dir_;
  const fs::path store_ = dir_ / "store";
  Rng rng_{20};
  std::vector<Content> contents_;
  std::unique_ptr<Executor> executor_ = make_thread_executor(2);

  std::map<std::string, std::size_t> present_;      // reported, and which content they have
  std::map<std::string, std::size_t> maybe_there_;  // of additions that were killed
  std::set<std::string> maybe_gone_;                // of removals that were killed
  std::map<std::string, Clock::duration> durations_;
  std::uint64_t next_name_ = 0;
  int kills_ = 0;
  int checks_ = 0;
};

TEST_F(KillTest, Adding) {
  const int wanted = rounds(kKillsAdding);
  for (int round = 0; kills_ < wanted && round < 20 * wanted; ++round) {
    if (round % 10 == 9) run(start_adding());
    Job first = start_adding();
    if (round % 3 != 0) {
      wait_some(first.kind);
      kill(first);
    } else {
      // Two at once, of which one goes on: it must not mind the other's death.
      Job second = start_adding();
      wait_some(first.kind);
      kill(first);
      if (round % 2 == 0) wait_some(second.kind);
      round % 2 == 0 ? kill(second) : finish(second);
    }
    check();
    if (HasFatalFailure()) return;
    if (present_.size() > 12) clean_up();
  }
  EXPECT_GE(kills_, wanted);
  clean_up();
}

TEST_F(KillTest, RemovingAndCollecting) {
  const int wanted = rounds(kKillsCollecting);
  for (int round = 0; kills_ < wanted && round < 20 * wanted; ++round) {
    while (present_.size() < 8) run(start_adding());
    if (round % 10 == 9) run(start_collecting());
    if (round % 4 == 0) {
      Job removing = start_removing();
      std::this_thread::sleep_for(std::chrono::microseconds(below(rng_, 20'000)));
      kill(removing);
      check();
    } else {
      run(start_removing());
    }
    if (HasFatalFailure()) return;
    Job collecting = start_collecting();
    wait_some("gc");
    kill(collecting);
    check();
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(kills_, wanted);
  clean_up();
}

TEST_F(KillTest, EverythingAtOnce) {
  const int wanted = rounds(kKillsTogether);
  for (int round = 0; kills_ < wanted && round < 20 * wanted; ++round) {
    while (present_.size() < 5) run(start_adding());
    std::vector<Job> jobs;
    jobs.push_back(start_adding());
    jobs.push_back(start_removing());
    jobs.push_back(start_collecting());
    jobs.push_back(start_adding());
    wait_some(jobs[0].kind);
    if (round % 2 == 0) {
      for (Job& job : jobs) job.process->send(SIGKILL);
    } else {
      jobs[below(rng_, jobs.size())].process->send(SIGKILL);
    }
    for (Job& job : jobs) finish(job);
    check();
    if (HasFatalFailure()) return;
    if (present_.size() > 15) clean_up();
  }
  EXPECT_GE(kills_, wanted);
  clean_up();
}

}  // namespace
}  // namespace cleave::test
