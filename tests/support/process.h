// Runs programs: the command under test, and others that help to test it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <gtest/gtest.h>

namespace cleave::test {

// Exit codes of the command, as documented in docs/cli.md.
enum Exit : int { kDone = 0, kProblems = 1, kUsage = 2, kMalformed = 3, kFailed = 4 };

struct RunOptions {
  // Changes to this process's environment; nullopt takes a variable away.
  std::map<std::string, std::optional<std::string>> env = {};
  std::filesystem::path cwd = {};
  std::string in = {};      // on its standard input
  bool hold_input = false;  // which then stays open until close_input()
  std::string out_to = {};  // a file that standard output goes to, as it is: "/dev/full"
  // 80 columns, raw: what arrives is what was written.
  bool out_terminal = false;
  bool err_terminal = false;
  // As a user without rights, when this process is root.
  bool unprivileged = false;
  // From its start; then it is killed.
  std::chrono::seconds timeout{60};
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

// A running program. Killed, with what it has started, when it is dropped before wait().
class Process {
 public:
  // args[0] is looked for in PATH when it has no slash.
  explicit Process(const std::vector<std::string>& args, const RunOptions& options = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  void send(int signal) const;

  // Returns when the program has read all of it but what fits into a pipe, or reads no more.
  void write_input(std::string_view text);
  void close_input();

  // False when the program ended, or its time was up, before.
  bool wait_until(const std::function<bool()>& done);
  // Until it has written `text`, to either output.
  bool wait_for(std::string_view text);
  // Leaves an input that is held open as it is.
  Outcome wait();

  // What it has written so far.
  const std::string& out() const { return outcome_.out; }
  const std::string& err() const { return outcome_.err; }

 private:
  std::size_t move_bytes(std::string_view input = {});
  bool is_open() const { return out_ >= 0 || err_ >= 0; }
  bool time_is_up() const { return std::chrono::steady_clock::now() >= deadline_; }

  std::chrono::steady_clock::time_point deadline_;
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  Outcome outcome_;
};

Outcome run(const std::vector<std::string>& args, const RunOptions& options = {});

}  // namespace cleave::test
