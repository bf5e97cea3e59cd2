// Runs a program: with arguments, standard input, environment, and its output on pipes or
// terminals.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace cleave::test {

struct Command {
  std::string program;
  std::vector<std::string> args;
  // Changes to this process's environment; nullopt takes a variable away.
  std::map<std::string, std::optional<std::string>> env;
  std::filesystem::path cwd;
  std::string in;
  std::string out_to;         // a file to write standard output to, as it is: "/dev/full"
  bool out_terminal = false;  // 80 columns, raw: what arrives is what was written
  bool err_terminal = false;
  // As a user without rights, when this process is root.
  bool unprivileged = false;
  std::chrono::seconds timeout{60};
};

struct Outcome {
  int code = -1;   // -1: ended by a signal
  int signal = 0;  // SIGKILL when it took longer than the timeout
  std::string out;
  std::string err;

  bool ok() const { return code == 0; }
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

class RunningCommand {
 public:
  enum class Input : bool { closed, open };  // behind command.in
  explicit RunningCommand(const Command& command, Input input = Input::closed);
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;
  ~RunningCommand();  // kills it if it still runs

  void write(std::string_view input) { in_ += input; }
  void close_input() { keep_input_open_ = false; }
  void send(int signal) const;

  // Moves input and output until `done` holds; false when the program ended, or time is up, before.
  bool wait_until(const std::function<bool()>& done);
  bool wait_for(std::chrono::milliseconds time);
  Outcome wait();

  const std::string& out() const { return outcome_.out; }
  const std::string& err() const { return outcome_.err; }

 private:
  bool all_closed() const { return out_fd_ < 0 && err_fd_ < 0; }
  void move_bytes(std::chrono::milliseconds at_most);
  bool time_is_up() const { return std::chrono::steady_clock::now() >= deadline_; }

  pid_t pid_ = -1;
  int in_fd_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  std::string in_;
  bool keep_input_open_;
  std::chrono::steady_clock::time_point deadline_;
  Outcome outcome_;
};

Outcome run(const Command& command);

}  // namespace cleave::test
