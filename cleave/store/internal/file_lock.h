// Advisory locks between processes, and between users of a store within one.
#pragma once

#include <filesystem>
#include <optional>

#include "cleave/base/error.h"
#include "cleave/base/file.h"

namespace cleave {

// Held until destroyed; the system releases it when the process dies.
class FileLock {
 public:
  enum class Kind : bool { shared, exclusive };

  // Waits. The file, or folder, must exist.
  static Result<FileLock> acquire(const std::filesystem::path& path, Kind kind);
  // Nothing when someone holds a lock that excludes it.
  static Result<std::optional<FileLock>> try_acquire(const std::filesystem::path& path, Kind kind);

 private:
  explicit FileLock(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace cleave
