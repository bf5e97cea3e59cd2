#include "cleave/store/internal/file_lock.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <utility>

#include "cleave/base/internal/system.h"

namespace cleave {

namespace {

int operation_of(FileLock::Kind kind) { return kind == FileLock::Kind::shared ? LOCK_SH : LOCK_EX; }

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
  const int result = retry([&] { return ::flock(fd.get(), operation_of(kind) | LOCK_NB); });
  if (result == 0) return FileLock(std::move(fd));
  if (errno == EWOULDBLOCK) return std::nullopt;
  return fail(system_error("lock", path));
}

}  // namespace cleave
