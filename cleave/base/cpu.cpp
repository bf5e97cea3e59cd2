#include "cleave/base/cpu.h"

#include <algorithm>
#include <array>
#include <vector>

#include "cleave/base/settings.h"

namespace cleave {

namespace {

constexpr std::array<std::string_view, 5> kNames = {"scalar", "neon", "avx2", "avx512",
                                                    "avx512vbmi"};

std::vector<CpuLevel> detect() {
  std::vector<CpuLevel> levels = {CpuLevel::scalar};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx2) levels.push_back(CpuLevel::avx2);
  if (avx512) levels.push_back(CpuLevel::avx512);
  if (avx512 && __builtin_cpu_supports("avx512vbmi")) levels.push_back(CpuLevel::avx512vbmi);
#elif defined(__aarch64__)
  levels.push_back(CpuLevel::neon);
#endif
  return levels;
}

// settings() keeps only the name of a level that the machine has.
CpuLevel choose() { return cpu_level_of_name(settings().cpu).value_or(cpu_levels().back()); }

}  // namespace

std::string_view cpu_level_name(CpuLevel level) {
  return kNames.at(static_cast<std::size_t>(level));
}

std::optional<CpuLevel> cpu_level_of_name(std::string_view name) {
  const auto* const found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<CpuLevel>(found - kNames.begin());
}

std::span<const CpuLevel> cpu_levels() {
  static const std::vector<CpuLevel> levels = detect();
  return levels;
}

CpuLevel cpu_level() {
  static const CpuLevel level = choose();
  return level;
}

}  // namespace cleave
