// The cleave command with a store and a folder of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace cleave::test {

// Exit codes, as documented in docs/cli.md.
enum Exit : int { kDone = 0, kProblems = 1, kUsage = 2, kMalformed = 3, kFailed = 4 };

class CommandTest : public testing::Test {
 protected:
  std::vector<std::string> command(const std::vector<std::string>& args) const {
    std::vector<std::string> all = {CLEAVE_COMMAND};
    all.insert(all.end(), args.begin(), args.end());
    return all;
  }
  RunOptions with_store(RunOptions options = {}) const {
    options.env.insert(options.env.begin(), {"CLEAVE_STORE", store.native()});
    return options;
  }
  // Runs the command.
  Outcome cleave(const std::vector<std::string>& args, const RunOptions& options = {}) const {
    return run(command(args), with_store(options));
  }
  // Runs it where it must succeed; returns its output.
  std::string output_of(const std::vector<std::string>& args,
                        const RunOptions& options = {}) const {
    const Outcome outcome = cleave(args, options);
    EXPECT_TRUE(exits_with(outcome, kDone)) << testing::PrintToString(args);
    return outcome.out;
  }
  std::string path(std::string_view name) const { return (dir / name).native(); }

  TempDir dir;
  std::filesystem::path store = dir / "store";
};

// Flags that cut some KiB into many chunks.
inline std::vector<std::string> with_small_chunks(std::vector<std::string> args) {
  args.insert(args.end(), {"--min", "64", "--avg", "256", "--max", "1024"});
  return args;
}

}  // namespace cleave::test
