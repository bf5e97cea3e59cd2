#include "tests/support/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace cleave::test {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category());
    read = ends[0];
    write = ends[1];
  }
  int read;
  int write;
};

void close(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_with(const RunOptions& options) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  for (const auto& [name, value] : options.env) {
    const std::string begin = name + "=";
    std::erase_if(all, [&](const std::string& entry) { return entry.starts_with(begin); });
    all.push_back(begin + value);
  }
  return all;
}

// Appends what can be read now; closes `fd` at its end.
void drain(int& fd, std::string& into) {
  char buffer[65536];
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n > 0) {
    into.append(buffer, static_cast<std::size_t>(n));
  } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
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

Process::Process(const std::vector<std::string>& args, RunOptions options)
    : options_(std::move(options)) {
  static const auto ignored = std::signal(SIGPIPE, SIG_IGN);  // a program may not read its input
  static_cast<void>(ignored);
  std::vector<std::string> arguments = args;
  std::vector<std::string> environment = environment_with(options_);
  const std::vector<char*> argv = pointers_to(arguments);
  const std::vector<char*> envp = pointers_to(environment);

  Pipe in;
  Pipe out;
  Pipe err;
  int terminal = -1;
  pid_ = options_.terminal ? ::forkpty(&terminal, nullptr, nullptr, nullptr) : ::fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category());
  if (pid_ == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(in.read, STDIN_FILENO);
    if (!options_.terminal) {
      ::dup2(out.write, STDOUT_FILENO);
      ::dup2(err.write, STDERR_FILENO);
    }
    if (!options_.output_to.empty()) {
      const int file = ::open(options_.output_to.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
      if (file < 0) ::_exit(125);
      ::dup2(file, STDOUT_FILENO);
    }
    if (!options_.working_dir.empty() && ::chdir(options_.working_dir.c_str()) != 0) ::_exit(125);
    if (options_.in_child != nullptr) options_.in_child();
    ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(126);
  }
  close(in.read);
  close(out.write);
  close(err.write);
  in_ = in.write;
  out_ = out.read;
  err_ = err.read;
  if (options_.terminal) {
    close(out_);
    close(err_);
    out_ = terminal;
  }
  for (const int fd : {in_, out_, err_}) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  if (!options_.input.empty()) write_input(options_.input);
  if (!options_.hold_input) close_input();
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close(in_);
  close(out_);
  close(err_);
}

void Process::send(int signal) { ::kill(pid_, signal); }

void Process::write_input(std::string_view text) {
  ::fcntl(in_, F_SETFL, O_NONBLOCK);
  while (!text.empty() && in_ >= 0) {
    const ssize_t n = ::write(in_, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      if (is_open()) read_some(10ms);  // or both sides would wait
    } else if (errno != EINTR) {
      return;
    }
  }
}

void Process::close_input() { close(in_); }

void Process::read_some(std::chrono::milliseconds timeout) {
  pollfd fds[] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
  if (::poll(fds, 2, static_cast<int>(timeout.count())) <= 0) return;
  if (fds[0].revents != 0) drain(out_, outcome_.out);
  if (fds[1].revents != 0) drain(err_, outcome_.err);
}

bool Process::wait_for(std::string_view text, std::chrono::seconds timeout) {
  const auto found = [&] {
    return outcome_.out.find(text) != std::string::npos ||
           outcome_.err.find(text) != std::string::npos;
  };
  for (const auto end = Clock::now() + timeout; is_open() && Clock::now() < end && !found();) {
    read_some(20ms);
  }
  return found();
}

Outcome Process::wait() {
  close_input();
  const auto end = Clock::now() + options_.timeout;
  while (is_open() && Clock::now() < end) read_some(100ms);
  int status = 0;
  pid_t ended = 0;
  for (auto pause = 100us; (ended = ::waitpid(pid_, &status, WNOHANG)) == 0; pause *= 2) {
    if (Clock::now() >= end) {
      outcome_.timed_out = true;
      ::kill(pid_, SIGKILL);
      ended = ::waitpid(pid_, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::min<Clock::duration>(pause, 20ms));
  }
  pid_ = -1;
  if (WIFEXITED(status)) outcome_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  return std::move(outcome_);
}

Outcome run(const std::vector<std::string>& args, const RunOptions& options) {
  return Process(args, options).wait();
}

}  // namespace cleave::test
