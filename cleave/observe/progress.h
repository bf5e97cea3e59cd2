// Progress: how far a long job is, and the way to stop it.
#pragma once

#include <atomic>
#include <cstdint>

#include "cleave/base/error.h"

namespace cleave {

// Written by the job, read by whoever shows it; every member may be used from any thread.
struct Progress {
  std::atomic<std::uint64_t> done = 0;   // bytes
  std::atomic<std::uint64_t> total = 0;  // bytes; 0 while nobody knows
  std::atomic<bool> stop = false;        // set it to end the job with IoError::interrupted

  void advance(std::uint64_t bytes) { done.fetch_add(bytes, std::memory_order_relaxed); }
  // What a job calls between its steps.
  Result<> check() const;
};

}  // namespace cleave
