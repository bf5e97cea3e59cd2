// The command as its users have it: the real program, in a folder of its own, with a store of its
// own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/process.h"
#include "tests/support/tree.h"

namespace cleave::test {

class CliTest : public testing::Test {
 protected:
  CliTest() { std::filesystem::create_directory(work_); }

  static std::vector<std::string> command(const std::vector<std::string>& args) {
    std::vector<std::string> all = {CLEAVE_COMMAND};
    all.insert(all.end(), args.begin(), args.end());
    return all;
  }
  // In work(), with store() as CLEAVE_STORE, unless `options` say otherwise.
  RunOptions with_store(RunOptions options = {}) const {
    if (options.cwd.empty()) options.cwd = work_;
    options.env.insert({{"CLEAVE_STORE", store().native()},
                        {"HOME", (dir_ / "home").native()},
                        {"TERM", "xterm-256color"},
                        {"TZ", "UTC"},
                        {"NO_COLOR", {}},
                        {"XDG_DATA_HOME", {}},
                        {"CLEAVE_PROFILE", {}}});
    return options;
  }
  Process start(const std::vector<std::string>& args, RunOptions options = {}) const {
    return Process(command(args), with_store(std::move(options)));
  }
  Outcome cleave(const std::vector<std::string>& args, RunOptions options = {}) const {
    return start(args, std::move(options)).wait();
  }
  // Runs what must succeed.
  std::string done(const std::vector<std::string>& args, RunOptions options = {}) const {
    Outcome outcome = cleave(args, std::move(options));
    EXPECT_TRUE(exits_with(outcome, kDone)) << testing::PrintToString(args);
    EXPECT_EQ(outcome.err, "");
    return std::move(outcome.out);
  }

  // The folder the command runs in, and a path in it.
  const std::filesystem::path& work() const { return work_; }
  std::filesystem::path at(std::string_view name) const { return work_ / name; }
  const TempDir& dir() const { return dir_; }
  std::filesystem::path store() const { return dir_ / "store"; }
  std::filesystem::path first_pack() const { return store() / "packs/0000000001.pack"; }

  void make(std::string_view path, std::string_view contents, bool executable = false) const {
    make_file(at(path), contents, executable);
  }
  // A folder with what folders have.
  void make_tree(std::string_view path, std::uint64_t seed = 1) const {
    Rng rng(seed);
    random_tree(rng, at(path), {.max_entries = 10, .max_file_size = 40'000});
    make(std::string(path) + "/run", "#!/bin/sh\n", true);
    make(std::string(path) + "/empty", "");
    std::filesystem::create_symlink("run", at(path) / "link");
  }

  // What is in the working folder, hidden names too.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(work_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

 private:
  TempDir dir_;
  std::filesystem::path work_ = dir_ / "work";
};

// It failed with `code`, and says why in one line that begins with the error's name and has all of
// `texts`.
inline void expect_failed(const Outcome& outcome, Exit code, const std::string& error,
                          const std::vector<std::string>& texts = {}) {
  EXPECT_TRUE(exits_with(outcome, code));
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, testing::StartsWith("cleave: " + error));
  EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  for (const std::string& text : texts) EXPECT_THAT(outcome.err, testing::HasSubstr(text));
}

// Flags that cut some KiB into many chunks.
inline std::vector<std::string> with_small_chunks(std::vector<std::string> args) {
  args.insert(args.end(), {"--min", "64", "--avg", "256", "--max", "1024"});
  return args;
}

}  // namespace cleave::test
