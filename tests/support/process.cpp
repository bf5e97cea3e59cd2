#include "tests/support/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <system_error>
#include <termios.h>
#include <unistd.h>
#include <utility>

namespace cleave::test {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kStep = 1ms;
constexpr uid_t kNobody = 65534;
constexpr int kNotStarted = 127;

int checked(int result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

void close(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

struct Ends {
  int ours = -1;
  int theirs = -1;
};

Ends open_pipe() {
  std::array<int, 2> fds;
  checked(::pipe2(fds.data(), O_CLOEXEC), "pipe2");
  return {fds[0], fds[1]};
}

Ends open_terminal() {
  Ends ends;
  struct termios raw = {};
  ::cfmakeraw(&raw);
  const struct winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  checked(::openpty(&ends.ours, &ends.theirs, nullptr, &raw, &size), "openpty");
  checked(::fcntl(ends.ours, F_SETFD, FD_CLOEXEC), "fcntl");
  checked(::fcntl(ends.theirs, F_SETFD, FD_CLOEXEC), "fcntl");
  return ends;
}

Ends open_output(const RunOptions& options) {
  if (options.out_to.empty()) return options.out_terminal ? open_terminal() : open_pipe();
  return {-1, checked(::open(options.out_to.c_str(), O_WRONLY | O_CLOEXEC), "open")};
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_with(const RunOptions& options) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!options.env.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : options.env) {
    if (value) all.push_back(name + "=" + *value);
  }
  return all;
}

bool drop_rights() {
  return ::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 && ::setuid(kNobody) == 0;
}

// Appends what can be read now; closes `fd` at its end.
void read_some(int& fd, std::string& into) {
  std::array<char, 65536> buffer;
  const ssize_t n = ::read(fd, buffer.data(), buffer.size());
  if (n > 0) {
    into.append(buffer.data(), static_cast<std::size_t>(n));
  } else if (n == 0 || errno != EINTR) {
    close(fd);  // a terminal whose other end is gone gives EIO
  }
}

}  // namespace

testing::AssertionResult exits_with_any(const Outcome& outcome, const std::vector<int>& codes) {
  const bool expected = std::ranges::find(codes, outcome.exit_code) != codes.end();
  const bool clean = !outcome.timed_out && outcome.signal == 0 &&
                     outcome.err.find("Sanitizer") == std::string::npos;
  if (expected && clean) return testing::AssertionSuccess();
  auto failure = testing::AssertionFailure();
  if (outcome.timed_out) {
    failure << "took too long";
  } else if (outcome.signal != 0) {
    failure << "ended by signal " << outcome.signal;
  } else {
    failure << "exit code " << outcome.exit_code;
  }
  return failure << "\nout: " << outcome.out.substr(0, 2000)
                 << "\nerr: " << outcome.err.substr(0, 4000);
}

testing::AssertionResult exits_with(const Outcome& outcome, int code) {
  return exits_with_any(outcome, {code});
}

Process::Process(const std::vector<std::string>& args, const RunOptions& options)
    : deadline_(Clock::now() + options.timeout) {
  static const auto ignored = std::signal(SIGPIPE, SIG_IGN);  // a program may not read its input
  static_cast<void>(ignored);
  // Between fork() and exec() no memory is to be had.
  std::vector<std::string> arguments = args;
  std::vector<std::string> environment = environment_with(options);
  const std::vector<char*> argv = pointers_to(arguments);
  const std::vector<char*> envp = pointers_to(environment);
  const std::string cwd = options.cwd.empty() ? "." : options.cwd.native();
  const bool unprivileged = options.unprivileged && ::geteuid() == 0;

  const Ends in = open_pipe();
  const Ends out = open_output(options);
  const Ends err = options.err_terminal ? open_terminal() : open_pipe();
  pid_ = checked(::fork(), "fork");
  if (pid_ == 0) {
    ::setpgid(0, 0);
    ::signal(SIGPIPE, SIG_DFL);
    const bool ready = ::dup2(in.ours, STDIN_FILENO) >= 0 &&
                       ::dup2(out.theirs, STDOUT_FILENO) >= 0 &&
                       ::dup2(err.theirs, STDERR_FILENO) >= 0 && ::chdir(cwd.c_str()) == 0 &&
                       (!unprivileged || drop_rights());
    if (ready) ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(kNotStarted);
  }
  ::setpgid(pid_, pid_);
  ::close(in.ours);
  ::close(out.theirs);
  ::close(err.theirs);
  in_ = in.theirs;
  out_ = out.ours;
  err_ = err.ours;
  checked(::fcntl(in_, F_SETFL, O_NONBLOCK), "fcntl");
  write_input(options.in);
  if (!options.hold_input) close_input();
}

Process::~Process() {
  close(in_);
  close(out_);
  close(err_);
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::send(int signal) const {
  if (pid_ > 0) checked(::kill(pid_, signal), "kill");  // -1 would be everyone
}

void Process::write_input(std::string_view text) {
  while (!text.empty() && in_ >= 0 && !time_is_up()) text.remove_prefix(move_bytes(text));
}

void Process::close_input() { close(in_); }

// Returns how much of `input` could be written.
std::size_t Process::move_bytes(std::string_view input) {
  std::array<struct pollfd, 3> fds = {
      {{input.empty() ? -1 : in_, POLLOUT, 0}, {out_, POLLIN, 0}, {err_, POLLIN, 0}}};
  if (::poll(fds.data(), fds.size(), kStep.count()) <= 0) return 0;
  if (fds[1].revents != 0) read_some(out_, outcome_.out);
  if (fds[2].revents != 0) read_some(err_, outcome_.err);
  if (fds[0].revents == 0) return 0;
  const ssize_t n = ::write(in_, input.data(), input.size());
  if (n >= 0) return static_cast<std::size_t>(n);
  if (errno != EAGAIN && errno != EINTR) close_input();  // nobody reads it any more
  return 0;
}

bool Process::wait_until(const std::function<bool()>& done) {
  while (!done()) {
    if (!is_open() || time_is_up()) return false;
    move_bytes();
  }
  return true;
}

bool Process::wait_for(std::string_view text) {
  return wait_until([&] {
    return outcome_.out.find(text) != std::string::npos ||
           outcome_.err.find(text) != std::string::npos;
  });
}

Outcome Process::wait() {
  int status = 0;
  while (checked(::waitpid(pid_, &status, outcome_.timed_out ? 0 : WNOHANG), "waitpid") == 0) {
    outcome_.timed_out = time_is_up();
    if (outcome_.timed_out) ::kill(-pid_, SIGKILL);
    move_bytes();
  }
  pid_ = -1;
  // What is left in the pipes. Someone it started may hold them open: not longer than a moment.
  const auto end = Clock::now() + 2s;
  while (is_open() && Clock::now() < end) move_bytes();
  if (WIFEXITED(status)) outcome_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  return std::move(outcome_);
}

Outcome run(const std::vector<std::string>& args, const RunOptions& options) {
  return Process(args, options).wait();
}

}  // namespace cleave::test
