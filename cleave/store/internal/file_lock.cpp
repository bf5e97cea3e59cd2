#include "cleave/store/internal/file_lock.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>

#include "cleave/base/internal/fail.h"

namespace cleave {

namespace {

// Locks an open file: 0 or the error number.
int lock(const FileDescriptor& fd, int operation) {
  while (::flock(fd.get(), operation) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int operation_of(FileLock::Kind kind) { return kind == FileLock::Kind::shared ? LOCK_SH : LOCK_EX; }

}  // namespace

Result<FileLock> FileLock::acquire(const std::filesystem::path& path, Kind kind) {
  FileDescriptor fd = CLEAVE_TRY(open_file(path, O_RDONLY));
  if (const int code = lock(fd, operation_of(kind))) {
    return fail(
        error(IoError::io_error, "lock").with_subject("path", path.native()).with_os_error(code));
  }
  return FileLock(std::move(fd));
}

Result<std::optional<FileLock>> FileLock::try_acquire(const std::filesystem::path& path,
                                                      Kind kind) {
  FileDescriptor fd = CLEAVE_TRY(open_file(path, O_RDONLY));
  const int code = lock(fd, operation_of(kind) | LOCK_NB);
  if (code == EWOULDBLOCK) return std::nullopt;
  if (code != 0) {
    return fail(
        error(IoError::io_error, "lock").with_subject("path", path.native()).with_os_error(code));
  }
  return FileLock(std::move(fd));
}

}  // namespace cleave
