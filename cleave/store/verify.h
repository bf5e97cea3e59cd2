// Finding what is damaged in a store.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cleave/base/error.h"
#include "cleave/base/executor.h"
#include "cleave/observe/progress.h"
#include "cleave/store/store.h"

namespace cleave {

struct VerifyOptions {
  // The artifacts to verify; none means all.
  std::span<const std::string> names;
  // Also what no artifact refers to: every record of the index, every byte of the packs.
  bool everything = false;
};

struct Problem {
  Error error;
  std::vector<std::string> artifacts;  // that cannot be given back because of it, sorted
};

struct VerifyReport {
  std::uint64_t artifacts = 0;  // that were looked at
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;  // before compression
  std::vector<Problem> problems;
  std::vector<std::string> damaged_artifacts;  // sorted
};

// Reads, decodes and hashes every chunk in question once, in the order of the packs, on `executor`.
// Damage is what the report tells; an error means that verifying itself could not go on. Any byte
// that is not as it was written is found, if it belongs to what is verified.
Result<VerifyReport> verify_store(const Store& store, Executor& executor, Progress& progress,
                                  const VerifyOptions& options);

}  // namespace cleave
