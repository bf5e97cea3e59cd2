// Runs programs: the command under test, and others that help to test it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace cleave::test {

struct RunOptions {
  // Set in the child, on top of what this process has.
  std::vector<std::pair<std::string, std::string>> env = {};
  std::filesystem::path working_dir = {};
  std::string input = {};      // on its standard input
  std::string output_to = {};  // a file for its standard output, instead of Outcome::out
  // Standard output and error are a terminal; all of it arrives in Outcome::out.
  bool terminal = false;
  // Standard input stays open until close_input().
  bool hold_input = false;
  // After this the program is killed.
  std::chrono::seconds timeout{60};
  // Called in the child before the program starts; only what is safe behind fork().
  void (*in_child)() = nullptr;
};

// How a program ended.
struct Outcome {
  int exit_code = -1;  // -1: by a signal
  int signal = 0;
  bool timed_out = false;
  std::string out;
  std::string err;
};

// The program ended by itself with this code, and no sanitizer had anything to say.
testing::AssertionResult exits_with(const Outcome& outcome, int code);
// The same for one of several codes.
testing::AssertionResult exits_with_any(const Outcome& outcome, const std::vector<int>& codes);

// A running program. Killed when it is dropped before wait().
class Process {
 public:
  // args[0] is looked for in PATH when it has no slash.
  explicit Process(const std::vector<std::string>& args, RunOptions options = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  void send(int signal);
  void write_input(std::string_view text);
  void close_input();
  // Waits until `text` has come out of it; false when it ended, or the time was over, before.
  bool wait_for(std::string_view text, std::chrono::seconds timeout = std::chrono::seconds(30));
  Outcome wait();

 private:
  void read_some(std::chrono::milliseconds timeout);
  bool is_open() const { return out_ >= 0 || err_ >= 0; }

  RunOptions options_;
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  Outcome outcome_;
};

Outcome run(const std::vector<std::string>& args, const RunOptions& options = {});

}  // namespace cleave::test
