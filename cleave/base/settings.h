// What the environment sets, read once.
#pragma once

#include <cstddef>
#include <string>

namespace cleave {

struct Settings {
  // CLEAVE_NUM_THREADS, else RAYON_NUM_THREADS; 0: one per core.
  std::size_t threads = 0;
  // CLEAVE_PROFILE=1: measure the stages' times (see observe/metrics.h).
  bool profile = false;
  // CLEAVE_CPU: the level that kernels are chosen for (see cpu.h); empty: the highest.
  std::string cpu;
};

// The process's settings. Values that make no sense are ignored.
const Settings& settings();

// The value of an environment variable, empty when it is not set.
std::string environment(const char* name);

}  // namespace cleave
