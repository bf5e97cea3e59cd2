// The flags that say where chunks end.
#pragma once

#include <charconv>
#include <string>

#include <CLI/CLI.hpp>

#include "cleave/chunk/options.h"

namespace cleave::cli {

// CLI11 takes -1 for the largest number, and numbers that are too large as well.
inline std::string check_not_negative(const std::string& text) {
  return text.starts_with('-') ? "must not be negative" : "";
}
inline std::string check_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, seed);
  return problem == std::errc() && stop == end ? "" : "must be a number from 0 to 2^64 - 1";
}

inline void add_chunking_flags(CLI::App& command, ChunkingOptions& options) {
  const auto size = [&](const char* flag, std::uint64_t& value, const char* help) {
    command.add_option(flag, value, help)
        ->transform(CLI::AsSizeValue(false))
        ->transform(CLI::Validator(check_not_negative, ""))
        ->type_name("SIZE")
        ->capture_default_str()
        ->group("Chunking");
  };
  size("--min", options.min_size, "Smallest chunk (bytes, or with a suffix as in 64KiB)");
  size("--avg", options.avg_size, "Average chunk");
  size("--max", options.max_size, "Largest chunk");
  command
      .add_option("--level", options.level, "How strongly sizes are drawn to the average, 0 to 3")
      ->capture_default_str()
      ->group("Chunking");
  command.add_option("--seed", options.seed, "Change all cut points")
      ->check(CLI::Validator(check_seed, ""))
      ->capture_default_str()
      ->group("Chunking");
}

}  // namespace cleave::cli
