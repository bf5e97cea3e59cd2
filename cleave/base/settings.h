// What the environment sets, read once.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cleave {

struct Settings {
  // CLEAVE_NUM_THREADS, else RAYON_NUM_THREADS; 0: one per core.
  std::size_t threads = 0;
  // CLEAVE_PROFILE=1: measure the stages' times (see observe/metrics.h).
  bool profile = false;
  // CLEAVE_CPU: the level that kernels are chosen for (see cpu.h); empty: the highest.
  std::string cpu;
  // The next four are also read under the older name CHUNKER_….
  // CLEAVE_READ_SLICE_CAP_BYTES: the most one read asks for, 4 KiB to 256 MiB.
  std::size_t read_slice_cap = std::size_t{16} << 20;
  // CLEAVE_READAHEAD_BYTES: how much of a file is read before it is asked for, up to 1 GiB.
  std::size_t read_ahead = std::size_t{8} << 20;
  // CLEAVE_PARALLEL_THRESHOLD: fewer bytes are worked on by one thread, up to 1 TiB.
  std::size_t parallel_threshold = std::size_t{64} << 10;
  // CLEAVE_ASYNC_BUFFER_LIMIT_BYTES: the most an asynchronous stream of chunks holds in memory;
  // what lies outside of 64 MiB to 3 GiB is taken for the nearer of the two.
  std::size_t async_buffer_limit = std::size_t{2} << 30;
  // Variables whose values make no sense and have no effect, for a program to warn of.
  std::vector<std::string> ignored;
};

// The process's settings.
const Settings& settings();

// The value of an environment variable, empty when it is not set.
std::string environment(const char* name);

}  // namespace cleave
