#include "cleave/base/file.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <fcntl.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

#include "cleave/base/internal/system.h"

namespace cleave {

namespace {

namespace fs = std::filesystem;

// What one read or write asks of the kernel at most; Linux itself stops at 2 GiB.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

FileInfo to_info(const struct stat& st) {
  FileInfo info;
  info.mode = st.st_mode;
  info.type = S_ISREG(st.st_mode)   ? FileType::regular
              : S_ISDIR(st.st_mode) ? FileType::directory
              : S_ISLNK(st.st_mode) ? FileType::symlink
                                    : FileType::other;
  info.executable = (st.st_mode & S_IXUSR) != 0;
#if defined(__APPLE__)
  const struct timespec& modified = st.st_mtimespec;
#else
  const struct timespec& modified = st.st_mtim;
#endif
  info.modified = modified.tv_sec * std::int64_t{1'000'000'000} + modified.tv_nsec;
  info.size = static_cast<std::uint64_t>(st.st_size);
  info.device = st.st_dev;
  info.inode = st.st_ino;
  return info;
}

// rename() that fails with EEXIST where it would replace something.
int rename_to_new(const fs::path& from, const fs::path& to) {
#if defined(RENAME_NOREPLACE)
  const int result = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  if (result == 0 || (errno != EINVAL && errno != ENOSYS)) return result;
#endif
  // Not every filesystem has that (NFS).
  if (::link(from.c_str(), to.c_str()) != 0) return -1;
  ::unlink(from.c_str());
  return 0;
}

fs::path directory_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

int FileDescriptor::close() {
  const int fd = std::exchange(fd_, -1);
  if (fd < 0 || ::close(fd) == 0) return 0;
  return errno == EINTR ? 0 : errno;  // interrupted or not, it is closed
}

std::string_view file_type_name(std::uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "regular file";
    case S_IFDIR: return "folder";
    case S_IFLNK: return "symlink";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFBLK: return "block device";
    case S_IFCHR: return "character device";
    default: return "file of unknown type";
  }
}

Result<FileDescriptor> open_file(const fs::path& path, int flags, unsigned mode) {
  const int fd = retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return fail(system_error("open", path));
  return FileDescriptor(fd);
}

Result<FileInfo> file_info(int fd, const fs::path& name) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return fail(system_error("stat", name));
  return to_info(st);
}

Result<FileInfo> file_info(const fs::path& path, FollowSymlinks follow) {
  struct stat st;
  const int flags = follow == FollowSymlinks::yes ? 0 : AT_SYMLINK_NOFOLLOW;
  if (::fstatat(AT_FDCWD, path.c_str(), &st, flags) != 0) return fail(system_error("stat", path));
  return to_info(st);
}

Result<OpenedFile> open_regular_file(const fs::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for its other end.
  FileDescriptor fd = CLEAVE_TRY(open_file(path, O_RDONLY | O_NONBLOCK));
  const FileInfo info = CLEAVE_TRY(file_info(fd.get(), path));
  if (info.type != FileType::regular) {
    return fail(error(IoError::unsupported_file_type, "{} where a regular file is needed",
                      file_type_name(info.mode))
                    .with_subject("path", path.native()));
  }
  return OpenedFile{std::move(fd), info};
}

Result<> check_unchanged(int fd, const FileInfo& opened, const fs::path& name) {
  const FileInfo now = CLEAVE_TRY(file_info(fd, name));
  if (now.size == opened.size && now.modified == opened.modified) return {};
  return fail(error(IoError::file_changed, "it was written to while it was read")
                  .with_subject("path", name.native()));
}

Result<std::size_t> read_some(int fd, MutableByteSpan into, const fs::path& name) {
  const std::size_t want = std::min(into.size(), kMaxTransfer);
  const ssize_t n = retry([&] { return ::read(fd, into.data(), want); });
  if (n < 0) return fail(system_error("read", name));
  return static_cast<std::size_t>(n);
}

Result<> read_exact_at(int fd, MutableByteSpan into, std::uint64_t offset, const fs::path& name) {
  while (!into.empty()) {
    const std::size_t want = std::min(into.size(), kMaxTransfer);
    const ssize_t n =
        retry([&] { return ::pread(fd, into.data(), want, static_cast<off_t>(offset)); });
    if (n < 0) return fail(system_error("read", name));
    if (n == 0) {
      return fail(
          error(IoError::unexpected_end).with_subject("path", name.native()).with_offset(offset));
    }
    into = into.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<> write_all(int fd, ByteSpan bytes, const fs::path& name) {
  while (!bytes.empty()) {
    const std::size_t want = std::min(bytes.size(), kMaxTransfer);
    const ssize_t n = retry([&] { return ::write(fd, bytes.data(), want); });
    if (n < 0) return fail(system_error("write", name));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<> write_all_at(int fd, ByteSpan bytes, std::uint64_t offset, const fs::path& name) {
  while (!bytes.empty()) {
    const std::size_t want = std::min(bytes.size(), kMaxTransfer);
    const ssize_t n =
        retry([&] { return ::pwrite(fd, bytes.data(), want, static_cast<off_t>(offset)); });
    if (n < 0) return fail(system_error("write", name));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<> check_written(int fd, const fs::path& name) {
  // Closing any descriptor of the file tells.
  FileDescriptor again(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  const int problem = again.is_open() ? again.close() : errno;
  if (problem != 0) return fail(system_error("write", name, problem));
  return {};
}

Result<> sync_data(int fd, const fs::path& name) {
  // Not retried on any error: after a failed sync the kernel may call lost pages clean.
#if defined(__linux__)
  if (::fdatasync(fd) != 0) return fail(system_error("sync", name));
#else
  if (::fsync(fd) != 0) return fail(system_error("sync", name));
#endif
  return {};
}

Result<> sync_directory(const fs::path& directory) {
  const FileDescriptor fd = CLEAVE_TRY(open_file(directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return fail(system_error("sync", directory));
  return {};
}

Result<FileSource> FileSource::open(const fs::path& path) {
  OpenedFile file = CLEAVE_TRY(open_regular_file(path));
  return FileSource(std::move(file.fd), path, file.info);
}

FileSource FileSource::standard_input() {
  // Not a regular file as far as hints go: its position is unknown.
  return {FileDescriptor(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)), "standard input", FileInfo()};
}

Result<std::size_t> FileSource::read(MutableByteSpan into) {
  const std::size_t n = CLEAVE_TRY(read_some(fd_.get(), into, name_));
  position_ += n;
  return n;
}

std::optional<std::uint64_t> FileSource::remaining() const {
  if (info_.type != FileType::regular) return std::nullopt;
  return info_.size - std::min(info_.size, position_);
}

fs::path temporary_name_beside(const fs::path& path) {
  std::random_device random;
  std::string name = "." + path.filename().native();
  name.resize(std::min<std::size_t>(name.size(), NAME_MAX - 32));
  name += fmt::format(".cleave-{:08x}{:08x}", random(), random());
  return directory_of(path) / name;
}

Result<OutputFile> OutputFile::create(const fs::path& path, Overwrite overwrite) {
  struct stat st;
  if (overwrite == Overwrite::no && ::lstat(path.c_str(), &st) == 0) {
    return fail(error(IoError::output_exists).with_subject("path", path.native()));
  }
  OutputFile file;
  file.path_ = path;
  file.overwrite_ = overwrite;
#if defined(O_TMPFILE)
  // An unnamed file gets its name through /proc.
  if (::access("/proc/self/fd", X_OK) == 0) {
    if (auto fd = open_file(directory_of(path), O_WRONLY | O_TMPFILE)) {
      file.fd_ = *std::move(fd);
      return file;
    }
  }
#endif
  file.temporary_ = temporary_name_beside(path);
  file.fd_ = CLEAVE_TRY(open_file(file.temporary_, O_WRONLY | O_CREAT | O_EXCL));
  return file;
}

Result<> OutputFile::commit() {
  CLEAVE_TRY(check_written(fd_.get(), path_));
  if (temporary_.empty()) {
    const std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
    const auto link_as = [&](const fs::path& name) {
      return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW);
    };
    if (link_as(path_) == 0) return {};
    if (errno != EEXIST) return fail(system_error("create", path_));
    if (overwrite_ == Overwrite::no) {
      return fail(error(IoError::output_exists).with_subject("path", path_.native()));
    }
    // A link cannot replace a file, a rename can.
    const fs::path temporary = temporary_name_beside(path_);
    if (link_as(temporary) != 0) return fail(system_error("create", temporary));
    temporary_ = temporary;
  }
  const int result = overwrite_ == Overwrite::yes ? ::rename(temporary_.c_str(), path_.c_str())
                                                  : rename_to_new(temporary_, path_);
  if (result != 0 && errno == EEXIST && overwrite_ == Overwrite::no) {
    return fail(error(IoError::output_exists).with_subject("path", path_.native()));
  }
  if (result != 0) return fail(system_error("create", path_));
  temporary_.clear();
  fd_.close();
  return {};
}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  // What this one held is dropped with `other`.
  std::swap(fd_, other.fd_);
  path_.swap(other.path_);
  temporary_.swap(other.temporary_);
  std::swap(overwrite_, other.overwrite_);
  return *this;
}

OutputFile::~OutputFile() {
  if (!temporary_.empty() && fd_.is_open()) ::unlink(temporary_.c_str());
}

}  // namespace cleave
