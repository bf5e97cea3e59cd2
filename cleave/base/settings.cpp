#include "cleave/base/settings.h"

#include <charconv>
#include <cstdlib>

namespace cleave {

namespace {

constexpr std::size_t kMaxThreads = 1024;

std::size_t number(const std::string& text, std::size_t max) {
  std::size_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  return problem == std::errc() && stop == end && value <= max ? value : 0;
}

Settings read_settings() {
  Settings read;
  read.threads = number(environment("CLEAVE_NUM_THREADS"), kMaxThreads);
  if (read.threads == 0) read.threads = number(environment("RAYON_NUM_THREADS"), kMaxThreads);
  read.profile = environment("CLEAVE_PROFILE") == "1";
  read.cpu = environment("CLEAVE_CPU");
  return read;
}

}  // namespace

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT: read once, before threads write it
  return value != nullptr ? value : "";
}

const Settings& settings() {
  static const Settings read = read_settings();
  return read;
}

}  // namespace cleave
