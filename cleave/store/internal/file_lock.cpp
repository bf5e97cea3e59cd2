#include "cleave/store/internal/file_lock.h"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <utility>

#include "cleave/base/internal/system.h"

namespace cleave {

namespace {

using Clock = std::chrono::steady_clock;

// What nobody needs to be told of.
constexpr std::chrono::milliseconds kMoment{500};
constexpr std::chrono::milliseconds kBetweenTries{10};

int operation_of(FileLock::Kind kind) { return kind == FileLock::Kind::shared ? LOCK_SH : LOCK_EX; }

// False when somebody else holds it.
Result<bool> try_lock(const FileDescriptor& fd, FileLock::Kind kind,
                      const std::filesystem::path& path) {
  const int result = retry([&] { return ::flock(fd.get(), operation_of(kind) | LOCK_NB); });
  if (result == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  return fail(system_error("lock", path));
}

}  // namespace

Result<FileLock> FileLock::acquire(const std::filesystem::path& path, Kind kind) {
  FileDescriptor fd = CLEAVE_TRY(open_file(path, O_RDONLY));
  const int result = retry([&] { return ::flock(fd.get(), operation_of(kind)); });
  if (result != 0) return fail(system_error("lock", path));
  return FileLock(std::move(fd));
}

Result<std::optional<FileLock>> FileLock::try_acquire(const std::filesystem::path& path,
                                                      Kind kind) {
  FileDescriptor fd = CLEAVE_TRY(open_file(path, O_RDONLY));
  if (!CLEAVE_TRY(try_lock(fd, kind, path))) return std::nullopt;
  return FileLock(std::move(fd));
}

// Asks again and again: a flock() that waits cannot call anybody.
Result<FileLock> FileLock::acquire(const LockFile& file, Kind kind) {
  if (!file.on_wait) return acquire(file.path, kind);
  FileDescriptor fd = CLEAVE_TRY(open_file(file.path, O_RDONLY));
  const Clock::time_point start = Clock::now();
  for (;;) {
    if (CLEAVE_TRY(try_lock(fd, kind, file.path))) return FileLock(std::move(fd));
    if (Clock::now() - start >= kMoment) CLEAVE_TRY(file.on_wait());
    std::this_thread::sleep_for(kBetweenTries);
  }
}

}  // namespace cleave
