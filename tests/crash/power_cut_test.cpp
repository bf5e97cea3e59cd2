// The power goes at every operation of a job: what was synced is on the disk, of the rest any part.
#include <algorithm>
#include <functional>
#include <iostream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crash/crash_test.h"
#include "tests/crash/disk_model.h"
#include "tests/crash/fault_journal.h"
#include "tests/support/rounds.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostOperations = 500;
constexpr int kMostFailures = 5;

// LMDB writes this one through a mapping. What it holds means nothing when nobody has it open.
Image without_lock_file(Image image) {
  image.erase("store/index/lock.mdb");
  return image;
}

std::size_t hash(const Image& image) {
  std::string all;
  for (const auto& [path, bytes] : image) {
    all += path + (bytes ? "=" + std::to_string(bytes->size()) + ":" + *bytes : "/") + "\n";
  }
  return std::hash<std::string>()(all);
}

class PowerCut : public CrashTest {
 protected:
  // Every cut of `job` that is run once.
  void cut_everywhere(const Job& job) {
    for (std::size_t n = 0; n < kMostOperations && failures_ < kMostFailures; ++n) {
      const fs::path base = dir / "base";
      const fs::path journal = dir / "journal";
      write_image(job.start, base);
      DiskModel disk(base);
      const Outcome outcome = run_on(base, job.args,
                                     {{"CLEAVE_FAULT_STOP", std::to_string(n)},
                                      {"CLEAVE_FAULT_DELAY", "2"},
                                      {"CLEAVE_FAULT_JOURNAL", journal.native()}});
      ASSERT_TRUE(exits_with_any(outcome, {kDone, kStoppedExit})) << "stopped at " << n;
      const bool finished = outcome.exit_code == kDone;
      disk.replay(journal);
      ASSERT_LE(summarize(journal).operations, n);
      // The file layer has seen all there is to see.
      ASSERT_TRUE(without_lock_file(disk.after_power_cut({}, 0)) ==
                  without_lock_file(read_image(base)));
      fs::remove_all(base);
      fs::remove(journal);
      const std::size_t done = finished ? job.states.size() - 1 : job.reported(outcome);
      try_cuts(job, disk, done, "stopped at " + std::to_string(n));
      if (finished) return print_numbers(n);
    }
    FAIL() << (failures_ > 0 ? "too many failures" : "never came to its end");
  }

  // The process is killed at every operation; another one does the job again, to its end; then the
  // power goes. What the first one did not sync, the second one must not have relied on.
  void cut_after_a_kill_everywhere(const Job& job) {
    for (std::size_t n = 0; n < kMostOperations && failures_ < kMostFailures; ++n) {
      const fs::path base = dir / "base";
      const fs::path journal = dir / "journal";
      write_image(job.start, base);
      DiskModel disk(base);
      const Outcome killed = run_on(
          base, job.args,
          {{"CLEAVE_FAULT_STOP", std::to_string(n)}, {"CLEAVE_FAULT_JOURNAL", journal.native()}});
      ASSERT_TRUE(exits_with_any(killed, {kDone, kStoppedExit})) << "killed at " << n;
      if (killed.exit_code == kStoppedExit) {
        const Outcome again = run_on(base, job.args, {{"CLEAVE_FAULT_JOURNAL", journal.native()}});
        ASSERT_TRUE(exits_with(again, kDone)) << "after it was killed at " << n;
      }
      disk.replay(journal);
      fs::remove_all(base);
      fs::remove(journal);
      try_cuts(job, disk, job.states.size() - 1, "killed at " + std::to_string(n) + ", run again");
      if (killed.exit_code == kDone) return print_numbers(n);
    }
    FAIL() << (failures_ > 0 ? "too many failures" : "never came to its end");
  }

  // The syncs of `job`, counted from 0, without which a power cut after its end does harm.
  std::vector<std::size_t> needed_syncs(const Job& job) {
    std::vector<std::size_t> needed;
    for (std::size_t n = 0; n < kMostOperations; ++n) {
      const fs::path base = dir / "base";
      const fs::path journal = dir / "journal";
      write_image(job.start, base);
      DiskModel disk(base);
      const Outcome outcome = run_on(
          base, job.args,
          {{"CLEAVE_FAULT_LIE", std::to_string(n)}, {"CLEAVE_FAULT_JOURNAL", journal.native()}});
      EXPECT_TRUE(exits_with(outcome, kDone));
      disk.replay(journal);
      const bool pretended = summarize(journal).faults > 0;
      fs::remove_all(base);
      fs::remove(journal);
      if (!pretended) break;
      seen_.clear();
      if (!find_problem_in_cuts(job, disk, job.states.size() - 1).empty()) needed.push_back(n);
    }
    return needed;
  }

 private:
  void try_cuts(const Job& job, const DiskModel& disk, std::size_t done, const std::string& when) {
    const std::string problem = find_problem_in_cuts(job, disk, done);
    if (problem.empty()) return;
    ADD_FAILURE() << when << ", " << done << " reported, " << problem;
    ++failures_;
  }

  // The first one.
  std::string find_problem_in_cuts(const Job& job, const DiskModel& disk, std::size_t done) {
    // All, nothing; data before names; names and sizes before data; data before sizes.
    std::vector<Survival> cuts = {{1, 1, 1}, {0, 0, 0}, {1, 1, 0}, {0, 1, 1}, {1, 0, 1}};
    for (int i = 0; i < random_cuts_; ++i) cuts.push_back({0.5, 0.5, 0.5});
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      const Image image = disk.after_power_cut(cuts[i], i);
      ++cuts_;
      if (!seen_.insert({done, hash(image)}).second) continue;
      const fs::path base = dir / "cut";
      write_image(image, base);
      const std::string problem = find_problem_after_cut(job, base, done);
      fs::remove_all(base);
      if (!problem.empty()) return "cut " + std::to_string(i) + ": " + problem;
    }
    return {};
  }

  std::string find_problem_after_cut(const Job& job, const fs::path& base, std::size_t done) {
    const bool unmade = job.start.empty() && done == 0;
    if (!unmade) {
      const Outcome verified = run_on(base, {"verify", "--all"});
      if (const auto fine = exits_with(verified, kDone); !fine) {
        return std::string("verify --all: ") + fine.message();
      }
    }
    const std::vector<Contents> allowed(job.states.begin() + static_cast<std::ptrdiff_t>(done),
                                        job.states.end());
    return find_problem(base / "store", allowed, unmade ? MayBeUnmade::yes : MayBeUnmade::no);
  }

  void print_numbers(std::size_t operations) const {
    std::cout << operations << " operations, " << cuts_ << " cuts, " << seen_.size()
              << " different states of the disk\n";
  }

  std::set<std::pair<std::size_t, std::size_t>> seen_;  // how much was reported, what of the disk
  std::size_t cuts_ = 0;
  int failures_ = 0;

 protected:
  int random_cuts_ = rounds(12);
};

TEST_F(PowerCut, MakingAStore) { cut_everywhere(making_a_store()); }

TEST_F(PowerCut, Adding) { cut_everywhere(adding()); }

// Takes several commits; until the last one its chunks belong to nothing.
TEST_F(PowerCut, AddingALargeFile) {
  const std::string large = text_of(random_bytes(7, 9'500'000));
  write_file(input("large"), large);
  Contents state = {{"three", three}};
  Job job{.name = "adding a large file",
          .start = store_with(state),
          .args = {"add", input("large"), input("one")},
          .states = {state}};
  for (const auto& [name, bytes] : {std::pair("in-large", large), std::pair("in-one", one)}) {
    state[name] = bytes;
    job.states.push_back(state);
  }
  random_cuts_ = 1;
  cut_everywhere(job);
}

TEST_F(PowerCut, Removing) {
  Job job = removing();
  job.args.push_back("c");
  job.states.push_back({{"b", two}});
  cut_everywhere(job);
}

TEST_F(PowerCut, CollectingGarbage) { cut_everywhere(collecting()); }

// These tests see a sync that is missing.
TEST_F(PowerCut, WithoutASyncThereIsHarm) {
  Job job = adding();
  job.args = add({input("two")});
  job.states = {{{"three", three}, {"in-two", two}}};
  // 0: the store's folder, in case who made it did not; 1: the pack; 2: the index; 3: its root.
  EXPECT_THAT(needed_syncs(job), testing::ElementsAre(1, 2, 3));

  job = making_a_store();
  job.args = add({input("one")});
  job.states.resize(2);
  // The store's name; the index's names; "format"; the store's names; the pack, its name; the
  // index, its root. Not: what is synced once more later on.
  EXPECT_THAT(needed_syncs(job), testing::SizeIs(testing::Ge(7U)));
}

TEST_F(PowerCut, AfterAKillWhileMakingAStore) { cut_after_a_kill_everywhere(making_a_store()); }

TEST_F(PowerCut, AfterAKillWhileAdding) { cut_after_a_kill_everywhere(adding()); }

TEST_F(PowerCut, AfterAKillWhileCollectingGarbage) { cut_after_a_kill_everywhere(collecting()); }

}  // namespace
}  // namespace cleave::test
