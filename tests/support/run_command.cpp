#include "tests/support/run_command.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <stdexcept>
#include <sys/wait.h>
#include <system_error>
#include <termios.h>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

namespace cleave::test {

namespace {

using namespace std::chrono_literals;

constexpr auto kStep = 5ms;
constexpr uid_t kNobody = 65534;
constexpr int kNotStarted = 127;

int checked(int result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

struct Ends {
  int ours = -1;
  int theirs = -1;
};

Ends output_ends(bool terminal, const std::string& file) {
  if (!file.empty()) return {-1, checked(::open(file.c_str(), O_WRONLY | O_CLOEXEC), "open")};
  if (!terminal) {
    std::array<int, 2> fds;
    checked(::pipe2(fds.data(), O_CLOEXEC), "pipe2");
    return {fds[0], fds[1]};
  }
  Ends ends;
  struct termios raw = {};
  ::cfmakeraw(&raw);
  const struct winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  checked(::openpty(&ends.ours, &ends.theirs, nullptr, &raw, &size), "openpty");
  checked(::fcntl(ends.ours, F_SETFD, FD_CLOEXEC), "fcntl");
  checked(::fcntl(ends.theirs, F_SETFD, FD_CLOEXEC), "fcntl");
  return ends;
}

std::vector<std::string> environment_with(
    const std::map<std::string, std::optional<std::string>>& changes) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!changes.contains(text.substr(0, text.find('=')))) variables.push_back(text);
  }
  for (const auto& [name, value] : changes) {
    if (value) variables.push_back(name + "=" + *value);
  }
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  const auto excerpt = [](const std::string& text) {
    return testing::PrintToString(text.substr(0, 2000));
  };
  return out << "exit code " << outcome.code << ", signal " << outcome.signal
             << "\nstandard output: " << excerpt(outcome.out)
             << "\nstandard error: " << excerpt(outcome.err);
}

RunningCommand::RunningCommand(const Command& command, Input input)
    : in_(command.in),
      keep_input_open_(input == Input::open),
      deadline_(std::chrono::steady_clock::now() + command.timeout) {
  std::signal(SIGPIPE, SIG_IGN);  // a program may end without reading its input
  std::vector<std::string> args = command.args;
  args.insert(args.begin(), command.program);
  std::vector<std::string> variables = environment_with(command.env);
  const std::vector<char*> argv = pointers(args);
  const std::vector<char*> envp = pointers(variables);
  const std::string cwd = command.cwd.empty() ? "." : command.cwd.native();
  const bool drop_rights = command.unprivileged && ::geteuid() == 0;

  std::array<int, 2> in;
  checked(::pipe2(in.data(), O_CLOEXEC), "pipe2");
  const Ends out = output_ends(command.out_terminal, command.out_to);
  const Ends err = output_ends(command.err_terminal, "");
  pid_ = checked(::fork(), "fork");
  if (pid_ == 0) {
    ::setpgid(0, 0);
    ::signal(SIGPIPE, SIG_DFL);
    const bool ready = ::dup2(in[0], STDIN_FILENO) >= 0 && ::dup2(out.theirs, STDOUT_FILENO) >= 0 &&
                       ::dup2(err.theirs, STDERR_FILENO) >= 0 && ::chdir(cwd.c_str()) == 0 &&
                       (!drop_rights || (::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 &&
                                         ::setuid(kNobody) == 0));
    if (ready) ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(kNotStarted);
  }
  ::setpgid(pid_, pid_);
  ::close(in[0]);
  ::close(out.theirs);
  ::close(err.theirs);
  in_fd_ = in[1];
  out_fd_ = out.ours;
  err_fd_ = err.ours;
  checked(::fcntl(in_fd_, F_SETFL, O_NONBLOCK), "fcntl");
}

RunningCommand::~RunningCommand() {
  close_fd(in_fd_);
  close_fd(out_fd_);
  close_fd(err_fd_);
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void RunningCommand::send(int signal) const { checked(::kill(pid_, signal), "kill"); }

void RunningCommand::move_bytes(std::chrono::milliseconds at_most) {
  if (in_.empty() && !keep_input_open_) close_fd(in_fd_);
  std::array<struct pollfd, 3> fds = {
      {{in_.empty() ? -1 : in_fd_, POLLOUT, 0}, {out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}}};
  if (::poll(fds.data(), fds.size(), static_cast<int>(at_most.count())) <= 0) return;
  if (fds[0].revents != 0) {
    const ssize_t n = ::write(in_fd_, in_.data(), in_.size());
    if (n > 0) in_.erase(0, static_cast<std::size_t>(n));
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      close_fd(in_fd_);  // nobody reads it any more
      in_.clear();
    }
  }
  const auto read_from = [](int& fd, short events, std::string& text) {
    if (events == 0) return;
    std::array<char, 65536> buffer;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR)) close_fd(fd);  // a terminal's end is EIO
  };
  read_from(out_fd_, fds[1].revents, outcome_.out);
  read_from(err_fd_, fds[2].revents, outcome_.err);
}

bool RunningCommand::wait_until(const std::function<bool()>& done) {
  while (!done()) {
    if (all_closed() || time_is_up()) return false;
    move_bytes(kStep);
  }
  return true;
}

bool RunningCommand::wait_for(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  return wait_until([&] { return std::chrono::steady_clock::now() >= end; });
}

Outcome RunningCommand::wait() {
  int status = 0;
  pid_t ended = 0;
  while (ended == 0) {
    const bool too_long = time_is_up();
    if (too_long) ::kill(-pid_, SIGKILL);
    move_bytes(kStep);
    ended = ::waitpid(pid_, &status, too_long ? 0 : WNOHANG);
  }
  checked(ended, "waitpid");
  // What it left in the pipes. Someone it started may keep them open: not longer than a moment.
  const auto end = std::chrono::steady_clock::now() + 2s;
  while (!all_closed() && std::chrono::steady_clock::now() < end) move_bytes(kStep);
  pid_ = -1;
  if (WIFEXITED(status)) outcome_.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  return std::move(outcome_);
}

Outcome run(const Command& command) { return RunningCommand(command).wait(); }

}  // namespace cleave::test
