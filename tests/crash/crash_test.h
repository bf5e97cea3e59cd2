// What the tests of this folder start from: files and folders to add, and stores with some of them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/crash/disk_model.h"
#include "tests/crash/store_check.h"
#include "tests/support/bytes.h"
#include "tests/support/process.h"
#include "tests/support/store.h"
#include "tests/support/tree.h"

namespace cleave::test {

// A run of the command on a store.
struct Job {
  std::string name;
  Image start;  // of a folder with the store in "store"
  std::vector<std::string> args;
  // What the store may hold: states[k] after k artifacts were reported.
  std::vector<Contents> states;
  bool reports = true;  // a line for each, under a header or not

  std::size_t reported(const Outcome& outcome) const {
    if (outcome.exit_code == kDone) return states.size() - 1;
    if (!reports) return 0;
    const auto lines = std::ranges::count(outcome.out, '\n');
    const bool header = outcome.out.find("SIZE") != std::string::npos;
    return static_cast<std::size_t>(lines - (header ? 1 : 0));
  }

  // What is wrong with the store in `base` after the job got so far that `outcome` came of it.
  std::string find_problem(const std::filesystem::path& base, const Outcome& outcome) const {
    const std::size_t done = reported(outcome);
    return test::find_problem(base / "store",
                              {states.begin() + static_cast<std::ptrdiff_t>(done), states.end()},
                              start.empty() && done == 0 ? MayBeUnmade::yes : MayBeUnmade::no);
  }
};

using Variables = std::vector<std::pair<std::string, std::string>>;

class CrashTest : public testing::Test {
 protected:
  CrashTest() {
    write_file(input("one"), one);
    write_file(input("two"), two);
    Rng rng(5);
    random_tree(rng, input("tree"), {.max_entries = 4, .max_depth = 3, .max_file_size = 3000});
    make_file(input("tree/shared"), one.substr(3000));
    tree = nar_of(input("tree"));
  }

  std::string input(const std::string& name) const { return (dir / ("in-" + name)).native(); }

  // Runs the command on the store in `base`, with the file layer under it.
  static Outcome run_on(const std::filesystem::path& base, const std::vector<std::string>& args,
                        const Variables& faults = {}) {
    std::vector<std::string> all = {CLEAVE_COMMAND, "--store", (base / "store").native()};
    all.insert(all.end(), args.begin(), args.end());
    RunOptions options;
    options.timeout = std::chrono::seconds(20);
    if (!faults.empty()) {
      options.env.insert(faults.begin(), faults.end());
      options.env["CLEAVE_FAULT_FOLDER"] = base.native();
      options.env["LD_PRELOAD"] = CLEAVE_FAULT_FILES;
    }
    return run(all, options);
  }

  // A folder with a store that holds `contents` (all as files), in several packs, after `change`.
  template <class Change>
  Image store_with(const Contents& contents, Change change) const {
    const TempDir base;
    const std::string problem = in_child([&] {
      const auto store = open_store(base / "store", {.pack_size = 20'000});
      for (const auto& [name, bytes] : contents) {
        const auto added = add_text(store, name, bytes, medium_chunks());
        if (!added) return message_of(added);
      }
      change(*store);
      return std::string();
    });
    EXPECT_EQ(problem, "");
    return read_image(base.path());
  }
  Image store_with(const Contents& contents) const {
    return store_with(contents, [](Store&) {});
  }

  Job making_a_store() const {
    return {.name = "making a store",
            .start = {},
            .args = add({input("one"), input("tree")}),
            .states = {{}, {{"in-one", one}}, {{"in-one", one}, {"in-tree", tree}}}};
  }

  // Some new, one in place of another.
  Job adding() const {
    Contents state = {{"three", three}, {"in-two", one}};
    Job job{.name = "adding",
            .start = store_with(state),
            .args = add({input("one"), input("tree"), input("two")}),
            .states = {state}};
    for (const auto& [name, bytes] :
         Contents{{"in-one", one}, {"in-tree", tree}, {"in-two", two}}) {
      state[name] = bytes;
      job.states.push_back(state);
    }
    return job;
  }

  Job removing() const {
    const Contents all = {{"a", one}, {"b", two}, {"c", tree}};
    return {.name = "removing",
            .start = store_with(all),
            .args = {"rm", "a"},
            .states = {all, {{"b", two}, {"c", tree}}}};
  }

  // Packs without any use, with some, and a file and bytes that nobody committed.
  Job collecting() const {
    const Contents all = {{"a", one}, {"b", two}, {"c", three}, {"d", tree}};
    Job job{.name = "collecting garbage",
            .start = store_with(all,
                                [](Store& store) {
                                  store.remove("a").value();
                                  store.remove("c").value();
                                }),
            .args = {"gc", "--max-unused", "0"},
            .states = {{{"b", two}, {"d", tree}}},
            .reports = false};
    std::string newest;
    for (const auto& [path, bytes] : job.start) {
      if (path.ends_with(".pack")) newest = path;
    }
    *job.start[newest] += "uncommitted";
    job.start["store/packs/0000000099.pack"] = "left behind";
    return job;
  }

  std::vector<Job> all_jobs() const {
    return {making_a_store(), adding(), removing(), collecting()};
  }

  static std::vector<std::string> add(const std::vector<std::string>& paths) {
    std::vector<std::string> args = {"add", "--replace"};
    args.insert(args.end(), kMediumChunks.begin(), kMediumChunks.end());
    args.insert(args.end(), paths.begin(), paths.end());
    return args;
  }

  static std::string message_of(const auto& result) {
    return std::string(result.error().message());
  }

  // `two` and the tree have chunks of `one`, and each some of its own.
  const std::string one = text_of(random_bytes(1, 12'000)) + std::string(5000, 'x');
  const std::string two = one.substr(0, 9000) + text_of(random_bytes(2, 11'000));
  const std::string three = text_of(random_bytes(3, 15'000));
  std::string tree;
  // Syncs cost nothing in memory.
  const int in_memory = ::setenv("TMPDIR", memory_folder().c_str(), 1);
  TempDir dir;
};

}  // namespace cleave::test
