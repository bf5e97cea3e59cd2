// The command as its users have it: the real program, in a folder of its own, with a store of its
// own.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run_command.h"
#include "tests/support/tree.h"

namespace cleave::test {

enum Code : int { kDone, kProblems, kUsage, kMalformed, kFailed };  // docs/cli.md

class CliTest : public testing::Test {
 protected:
  CliTest() { std::filesystem::create_directory(work_); }

  // Runs in work(), with store() as CLEAVE_STORE.
  Command command(const std::vector<std::string>& args, std::string_view in = "") const {
    Command command;
    command.program = CLEAVE_COMMAND;
    command.args = args;
    command.in = in;
    command.cwd = work_;
    command.env = {{"CLEAVE_STORE", store().native()},
                   {"HOME", (dir_ / "home").native()},
                   {"TERM", "xterm-256color"},
                   {"TZ", "UTC"},
                   {"NO_COLOR", {}},
                   {"XDG_DATA_HOME", {}},
                   {"CLEAVE_PROFILE", {}}};
    return command;
  }
  Outcome cleave(const std::vector<std::string>& args, std::string_view in = "") const {
    return run(command(args, in));
  }
  // Runs what must succeed.
  std::string done(const std::vector<std::string>& args, std::string_view in = "") const {
    const Outcome outcome = cleave(args, in);
    EXPECT_EQ(outcome.code, kDone) << testing::PrintToString(args) << '\n' << outcome;
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
  }

  // The folder the command runs in, and a path in it.
  const std::filesystem::path& work() const { return work_; }
  std::filesystem::path at(std::string_view name) const { return work_ / name; }
  std::filesystem::path store() const { return dir_ / "store"; }
  const TempDir& dir() const { return dir_; }

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

// It failed with `code`, and says why in one line that has all of `texts`.
inline void expect_failed(const Outcome& outcome, Code code,
                          std::initializer_list<std::string> texts) {
  EXPECT_EQ(outcome.code, code) << outcome;
  EXPECT_EQ(outcome.out, "") << outcome;
  EXPECT_THAT(outcome.err, testing::StartsWith("cleave: "));
  EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome;
  for (const std::string& text : texts) EXPECT_THAT(outcome.err, testing::HasSubstr(text));
}

}  // namespace cleave::test
