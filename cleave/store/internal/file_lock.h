// Advisory locks between processes, and between users of a store within one.
#pragma once

#include <filesystem>
#include <optional>

#include "cleave/base/error.h"
#include "cleave/base/file.h"
#include "cleave/store/store.h"

namespace cleave {

// A file that is locked for longer than a moment, and what to do while that keeps somebody waiting.
struct LockFile {
  std::filesystem::path path;
  OnWait on_wait;
};

// Held until destroyed; the system releases it when the process dies.
class FileLock {
 public:
  enum class Kind : bool { shared, exclusive };

  // Waits. The file, or folder, must exist.
  static Result<FileLock> acquire(const std::filesystem::path& path, Kind kind);
  // The same, with calls of `on_wait` when it takes longer than a moment; its error ends the wait.
  static Result<FileLock> acquire(const LockFile& file, Kind kind);
  // Nothing when someone holds a lock that excludes it.
  static Result<std::optional<FileLock>> try_acquire(const std::filesystem::path& path, Kind kind);

 private:
  explicit FileLock(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace cleave
