// The command on disks that fail, are full, or write a part of what they were asked to.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sys/mount.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crash/crash_test.h"
#include "tests/crash/fault_journal.h"
#include "tests/support/rounds.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kMostOperations = 500;
const int kFullDisks = std::max(8, rounds(25));

class Faults : public CrashTest {
 protected:
  // Runs `job` with these faults and checks what is said and what is left. Returns how many faults
  // there were.
  std::size_t run_with(const Job& job, Variables faults) {
    const std::string what = job.name + ", " + testing::PrintToString(faults);
    const fs::path journal = dir / "journal";
    write_image(job.start, base);
    faults.emplace_back("CLEAVE_FAULT_JOURNAL", journal.native());
    const Outcome outcome = run_on(base, job.args, faults);
    const JournalSummary summary = summarize(journal);
    written = summary.written;
    check(job, outcome, summary.faults > 0, what);
    fs::remove_all(base);
    fs::remove(journal);
    return summary.faults;
  }

  void check(const Job& job, const Outcome& outcome, bool failed, const std::string& what) const {
    EXPECT_TRUE(exits_with(outcome, failed ? kFailed : kDone)) << what;
    if (failed) expect_good_message(outcome.err, what);
    EXPECT_EQ(job.find_problem(base, outcome), "") << what;
  }

  // Names the path, and what the system said.
  void expect_good_message(const std::string& err, const std::string& what) const {
    EXPECT_THAT(err, HasSubstr(base.native())) << what;
    // LMDB takes a short write for an I/O error.
    EXPECT_THAT(err, AnyOf(HasSubstr(std::strerror(EIO)), HasSubstr(std::strerror(ENOSPC))))
        << what;
  }

  // Runs `job` with the fault at the first place, the second, and so on until there is none.
  void fail_everywhere(const Job& job, const std::string& variable, const Variables& more = {}) {
    for (std::size_t n = 0; n < kMostOperations && !HasFailure(); ++n) {
      Variables faults = more;
      faults.emplace_back(variable, std::to_string(n));
      if (run_with(job, faults) == 0) return;
    }
    ADD_FAILURE() << job.name << ": never without a fault";
  }

  const fs::path base = dir / "base";
  std::uint64_t written = 0;  // bytes, in the last run
};

TEST_F(Faults, ShortAndInterruptedWritesDoNoHarm) {
  for (const Job& job : all_jobs()) {
    for (int seed = 0; seed < rounds(8); ++seed) {
      write_image(job.start, base);
      const Outcome outcome = run_on(base, job.args,
                                     {{"CLEAVE_FAULT_SHORT", "1"},
                                      {"CLEAVE_FAULT_EINTR", "1"},
                                      {"CLEAVE_FAULT_SEED", std::to_string(seed)}});
      check(job, outcome, false, job.name + ", seed " + std::to_string(seed));
      fs::remove_all(base);
    }
  }
}

// It takes that for a full disk, which for files it always is.
TEST_F(Faults, AShortWriteOfLmdbIsAnError) {
  for (const Job& job : all_jobs()) {
    for (int seed = 0; seed < rounds(8); ++seed) {
      write_image(job.start, base);
      const Outcome outcome =
          run_on(base, job.args,
                 {{"CLEAVE_FAULT_SHORT", "2"}, {"CLEAVE_FAULT_SEED", std::to_string(seed)}});
      const std::string what = job.name + ", seed " + std::to_string(seed);
      EXPECT_TRUE(exits_with_any(outcome, {kDone, kFailed})) << what;
      if (outcome.exit_code == kFailed) expect_good_message(outcome.err, what);
      EXPECT_EQ(job.find_problem(base, outcome), "") << what;
      fs::remove_all(base);
    }
  }
}

TEST_F(Faults, AFullDisk) {
  for (const Job& job : all_jobs()) {
    EXPECT_EQ(run_with(job, {{"CLEAVE_FAULT_SPACE", "1000000000"}}), 0U);
    // Not the same in every run: what is queued for the index together is committed together.
    const std::uint64_t needed = written;
    int full = 0;
    for (int i = 0; i < kFullDisks && !HasFailure(); ++i) {
      const std::uint64_t space =
          needed / static_cast<unsigned>(kFullDisks) * static_cast<unsigned>(i);
      full += run_with(job, {{"CLEAVE_FAULT_SPACE", std::to_string(space)}}) > 0 ? 1 : 0;
    }
    EXPECT_GT(full, kFullDisks / 2);
  }
}

TEST_F(Faults, AWriteFails) {
  for (const Job& job : all_jobs()) fail_everywhere(job, "CLEAVE_FAULT_WRITE");
}

TEST_F(Faults, AllWritesFailFromOneOn) {
  for (const Job& job : all_jobs()) {
    fail_everywhere(job, "CLEAVE_FAULT_WRITE", {{"CLEAVE_FAULT_STICKY", "1"}});
  }
}

TEST_F(Faults, ASyncFailsAndItsDataIsLost) {
  for (const Job& job : all_jobs()) fail_everywhere(job, "CLEAVE_FAULT_SYNC");
}

TEST_F(Faults, AllSyncsFailFromOneOn) {
  for (const Job& job : all_jobs()) {
    fail_everywhere(job, "CLEAVE_FAULT_SYNC", {{"CLEAVE_FAULT_STICKY", "1"}});
  }
}

// ---- get ----

class FaultsOfGet : public Faults {
 protected:
  void SetUp() override {
    write_image(store_with({}), base);
    ASSERT_TRUE(exits_with(run_on(base, add({input("one"), input("tree")})), kDone));
  }

  testing::AssertionResult is_whole(const std::string& name) const {
    if (name == "in-tree") return trees_equal(input("tree"), out);
    if (read_file(out) == one) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "other bytes";
  }

  std::set<std::string> names_in_base() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(base)) names.insert(entry.path().filename());
    return names;
  }

  // Returns whether there was a fault, or it was stopped.
  bool get_with(const std::string& name, Variables faults) const {
    const std::string what = name + ", " + testing::PrintToString(faults);
    const fs::path journal = dir / "journal";
    faults.emplace_back("CLEAVE_FAULT_JOURNAL", journal.native());
    const Outcome outcome = run_on(base, {"get", name, "-o", out.native()}, faults);
    const bool failed = summarize(journal).faults > 0;
    const bool stopped = outcome.exit_code == kStoppedExit;
    if (stopped) {
      // What is left has the name of something temporary.
      if (fs::exists(fs::symlink_status(out))) {
        EXPECT_TRUE(is_whole(name)) << what;
      }
    } else if (failed) {
      EXPECT_TRUE(exits_with(outcome, kFailed)) << what;
      expect_good_message(outcome.err, what);
      EXPECT_THAT(names_in_base(), ElementsAre("store")) << what;
    } else {
      EXPECT_TRUE(exits_with(outcome, kDone)) << what;
      EXPECT_TRUE(is_whole(name)) << what;
    }
    fs::remove(journal);
    for (const std::string& left : names_in_base()) {
      if (left != "store") fs::remove_all(base / left);
    }
    return failed || stopped;
  }

  void fail_everywhere(const std::string& variable) {
    for (const std::string name : {"in-one", "in-tree"}) {
      std::size_t n = 0;
      while (get_with(name, {{variable, std::to_string(n)}}) && !HasFailure()) ++n;
      EXPECT_GT(n, 0U);
    }
  }

  const fs::path out = base / "out";
};

TEST_F(FaultsOfGet, ShortAndInterruptedWritesDoNoHarm) {
  for (const std::string name : {"in-one", "in-tree"}) {
    for (int seed = 0; seed < rounds(8); ++seed) {
      const Outcome outcome = run_on(base, {"get", name, "-o", out.native()},
                                     {{"CLEAVE_FAULT_SHORT", "2"},
                                      {"CLEAVE_FAULT_EINTR", "1"},
                                      {"CLEAVE_FAULT_SEED", std::to_string(seed)}});
      EXPECT_TRUE(exits_with(outcome, kDone));
      EXPECT_TRUE(is_whole(name));
      fs::remove_all(out);
    }
  }
}

TEST_F(FaultsOfGet, AWriteFails) { fail_everywhere("CLEAVE_FAULT_WRITE"); }

TEST_F(FaultsOfGet, Stopped) { fail_everywhere("CLEAVE_FAULT_STOP"); }

TEST_F(FaultsOfGet, AFullDisk) {
  for (const std::string name : {"in-one", "in-tree"}) {
    for (std::uint64_t space = 0; get_with(name, {{"CLEAVE_FAULT_SPACE", std::to_string(space)}});
         space += 997) {
      ASSERT_FALSE(HasFailure());
    }
  }
}

// ---- a real disk that is full ----

class FullDisk : public Faults {
 protected:
  void SetUp() override {
    fs::create_directory(base);
    if (!mount(0, "64k")) GTEST_SKIP() << "no mount: " << std::strerror(errno);
    mounted = true;
  }
  ~FullDisk() override {
    if (mounted) ::umount2(base.c_str(), MNT_DETACH);
  }

  bool mount(unsigned long flags, const std::string& size) const {
    return ::mount("tmpfs", base.c_str(), "tmpfs", flags, ("size=" + size).c_str()) == 0;
  }
  void resize(const std::string& size) const { ASSERT_TRUE(mount(MS_REMOUNT, size)); }
  void clear() const {
    for (const auto& entry : fs::directory_iterator(base)) fs::remove_all(entry.path());
  }
  void fill() const {
    std::ofstream filler(base / "filler", std::ios::binary);
    const std::string block(4096, 'f');
    while (filler.write(block.data(), 4096).flush()) {
    }
  }

  bool mounted = false;
};

// LMDB writes its lock file through a mapping: without room for it that would be a SIGBUS.
TEST_F(FullDisk, OfEverySize) {
  for (const Job& job : {making_a_store(), adding()}) {
    bool enough = false;
    for (int pages = 1; !enough && pages < 200; ++pages) {
      const std::string what = job.name + ", " + std::to_string(pages) + " pages to spare";
      resize("4m");
      clear();
      write_image(job.start, base);
      const auto space = fs::space(base);
      resize(std::to_string(space.capacity - space.free +
                            std::uintmax_t{4096} * static_cast<unsigned>(pages)));
      const Outcome outcome = run_on(base, job.args);
      enough = outcome.exit_code == kDone;
      resize("4m");
      check(job, outcome, !enough, what);
      ASSERT_FALSE(HasFailure()) << what;
    }
    EXPECT_TRUE(enough);
  }
}

TEST_F(FullDisk, WithoutAnyRoomForAStore) {
  fill();
  const Job job = making_a_store();
  const Outcome outcome = run_on(base, job.args);
  resize("4m");
  check(job, outcome, true, "full");
}

TEST_F(FullDisk, StillGivesEverythingBack) {
  resize("4m");
  const Job job = removing();
  write_image(job.start, base);
  fill();
  EXPECT_TRUE(exits_with(run_on(base, {"ls"}), kDone));
  EXPECT_TRUE(exits_with(run_on(base, {"stats"}), kDone));
  EXPECT_TRUE(exits_with(run_on(base, {"verify", "--all"}), kDone));
  EXPECT_EQ(run_on(base, {"cat", "b"}).out, two);
  const Outcome outcome = run_on(base, job.args);
  EXPECT_TRUE(exits_with_any(outcome, {kDone, kFailed}));
  resize("8m");
  EXPECT_EQ(job.find_problem(base, outcome), "");
}

}  // namespace
}  // namespace cleave::test
