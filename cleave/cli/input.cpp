#include "cleave/cli/input.h"

#include <poll.h>
#include <unistd.h>

#include "cleave/base/internal/fail.h"

namespace cleave::cli {

namespace {
constexpr int kWaitMs = 100;
}

Result<Input> Input::open(const std::string& path, Progress& progress, Counts counts) {
  if (path == "-") return Input(FileSource::standard_input(), true, progress, counts);
  return Input(CLEAVE_TRY(FileSource::open(path)), false, progress, counts);
}

Result<> Input::check_unchanged() const {
  if (may_wait_) return {};
  return file_.check_unchanged();
}

Result<std::size_t> Input::read(MutableByteSpan into) {
  CLEAVE_TRY(progress_.check());
  if (may_wait_) {
    // 0: nothing to read yet; below 0: a signal came.
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    while (::poll(&input, 1, kWaitMs) <= 0) CLEAVE_TRY(progress_.check());
  }
  const std::size_t n = CLEAVE_TRY(file_.read(into));
  if (counts_ == Counts::yes) progress_.advance(n);
  return n;
}

}  // namespace cleave::cli
