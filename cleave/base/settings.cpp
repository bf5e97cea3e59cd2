#include "cleave/base/settings.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <system_error>

#include "cleave/base/cpu.h"

namespace cleave {

namespace {

struct Range {
  std::size_t min;
  std::size_t max;
};
constexpr Range kThreads{0, 1024};
constexpr Range kReadSliceCap{std::size_t{4} << 10, std::size_t{256} << 20};
constexpr Range kReadAhead{0, std::size_t{1} << 30};
constexpr Range kParallelThreshold{0, std::size_t{1} << 40};
constexpr Range kAsyncBufferLimit{std::size_t{64} << 20, std::size_t{3} << 30};

std::optional<std::size_t> number(const std::string& text, Range range) {
  std::size_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc() || stop != end) return std::nullopt;
  if (value < range.min || value > range.max) return std::nullopt;
  return value;
}

// The same, but a number outside of `range` stands for its nearer end.
std::optional<std::size_t> clamped(const std::string& text, Range range) {
  std::size_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem == std::errc::invalid_argument || stop != end) return std::nullopt;
  if (problem == std::errc::result_out_of_range) return range.max;
  return std::clamp(value, range.min, range.max);
}

using Parse = std::optional<std::size_t>(const std::string& text, Range range);

// The first of two variables that is set to what `parse` takes.
std::optional<std::size_t> read_number(const char* name, const char* other_name, Range range,
                                       Parse& parse, std::vector<std::string>& ignored) {
  for (const char* variable : {name, other_name}) {
    const std::string text = environment(variable);
    if (text.empty()) continue;
    if (const auto value = parse(text, range)) return value;
    ignored.emplace_back(variable);
  }
  return std::nullopt;
}

// The name of a CPU level that this machine has, or nothing.
std::string read_cpu(std::vector<std::string>& ignored) {
  std::string name = environment("CLEAVE_CPU");
  if (name.empty()) return name;
  const auto level = cpu_level_of_name(name);
  if (level && std::ranges::find(cpu_levels(), *level) != cpu_levels().end()) return name;
  ignored.emplace_back("CLEAVE_CPU");
  return {};
}

Settings read_settings() {
  Settings read;
  const auto set = [&](std::size_t& setting, const char* name, const char* other_name, Range range,
                       Parse& parse = number) {
    setting = read_number(name, other_name, range, parse, read.ignored).value_or(setting);
  };
  set(read.threads, "CLEAVE_NUM_THREADS", "RAYON_NUM_THREADS", kThreads);
  set(read.read_slice_cap, "CLEAVE_READ_SLICE_CAP_BYTES", "CHUNKER_READ_SLICE_CAP_BYTES",
      kReadSliceCap);
  set(read.read_ahead, "CLEAVE_READAHEAD_BYTES", "CHUNKER_READAHEAD_BYTES", kReadAhead);
  set(read.parallel_threshold, "CLEAVE_PARALLEL_THRESHOLD", "CHUNKER_PARALLEL_THRESHOLD",
      kParallelThreshold);
  set(read.async_buffer_limit, "CLEAVE_ASYNC_BUFFER_LIMIT_BYTES",
      "CHUNKER_ASYNC_BUFFER_LIMIT_BYTES", kAsyncBufferLimit, clamped);
  read.profile = environment("CLEAVE_PROFILE") == "1";
  read.cpu = read_cpu(read.ignored);
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
