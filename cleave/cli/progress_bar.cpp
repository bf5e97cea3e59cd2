#include "cleave/cli/progress_bar.h"

#include <algorithm>
#include <chrono>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cleave/cli/output.h"

namespace cleave::cli {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kFirst = 400ms;
constexpr auto kEvery = 100ms;
constexpr std::size_t kMinBar = 5;
constexpr std::size_t kMaxBar = 30;
constexpr std::size_t kBarFrame = 4;  // "  []"

std::size_t terminal_width() {
  struct winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string duration(double seconds) {
  const auto s = static_cast<std::uint64_t>(seconds);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::uint64_t size_of_tree(const fs::path& path, const std::stop_token& stop) {
  std::error_code problem;
  std::uint64_t total = 0;
  if (!fs::is_directory(path, problem)) {
    total = fs::file_size(path, problem);
    return problem ? 0 : total;
  }
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator entry(path, options, problem), end;
       !problem && entry != end && !stop.stop_requested(); entry.increment(problem)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && !entry->is_symlink(ignored)) {
      total += entry->file_size(ignored);
    }
  }
  return total;
}

}  // namespace

ProgressBar::ProgressBar(Context& context, std::string what)
    : progress_(context.progress),
      what_(std::move(what)),
      shown_(is_terminal(stderr) && !context.quiet && !context.json) {
  if (shown_) drawer_ = std::jthread([this](const std::stop_token& stop) { draw_until(stop); });
}

ProgressBar::~ProgressBar() {
  drawer_.request_stop();
  if (drawer_.joinable()) drawer_.join();
  if (drawn_) clear_progress_line();
}

void ProgressBar::estimate(std::vector<std::string> paths) {
  if (!shown_) return;
  estimator_ = std::jthread([this, paths = std::move(paths)](const std::stop_token& stop) {
    std::uint64_t total = 0;
    for (const std::string& path : paths) total += size_of_tree(path, stop);
    if (!stop.stop_requested()) progress_.total.store(total);
  });
}

void clear_progress_line() {
  if (is_terminal(stderr)) fmt::print(stderr, "\r\x1b[K");
}

void ProgressBar::draw_until(const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  auto wait = kFirst;
  while (!wake_.wait_for(lock, stop, wait, [] { return false; }) && !stop.stop_requested()) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    draw(elapsed.count());
    wait = kEvery;
  }
}

void ProgressBar::draw(double seconds) {
  const std::uint64_t done = progress_.done;
  const std::uint64_t total = progress_.total;
  const double rate = static_cast<double>(done) / seconds;
  const std::size_t width = terminal_width() - 1;
  std::string line = fmt::format("{}  {}", what_, human_size(done));
  std::string rest = fmt::format("  {}/s", human_size(static_cast<std::uint64_t>(rate)));
  if (total > done && done > 0) {
    rest += fmt::format("  {} left", duration(static_cast<double>(total - done) / rate));
  }
  if (total >= done && total > 0) {
    const double share = static_cast<double>(done) / static_cast<double>(total);
    line += fmt::format(" of {}", human_size(total));
    rest.insert(0, fmt::format(" {:3.0f} %", 100 * share));
    const std::size_t used = line.size() + rest.size() + kBarFrame;
    const std::size_t bar = std::min(kMaxBar, width - std::min(width, used));
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(bar));
    if (bar >= kMinBar) {
      line += fmt::format("  [{}{}]", std::string(filled, '#'), std::string(bar - filled, '.'));
    }
  }
  line += rest;
  line.resize(std::min(line.size(), width));
  fmt::print(stderr, "\r{}\x1b[K", line);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace cleave::cli
