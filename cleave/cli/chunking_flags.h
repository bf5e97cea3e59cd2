// The flags that say where chunks end.
#pragma once

#include <CLI/CLI.hpp>

#include "cleave/chunk/options.h"

namespace cleave::cli {

inline void add_chunking_flags(CLI::App& command, ChunkingOptions& options) {
  const auto size = [&](const char* flag, std::uint64_t& value, const char* help) {
    command.add_option(flag, value, help)
        ->transform(CLI::AsSizeValue(false))
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
      ->capture_default_str()
      ->group("Chunking");
}

}  // namespace cleave::cli
