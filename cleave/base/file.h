// Files: descriptors, whole reads and writes, and outputs that appear complete or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/io.h"

namespace cleave {

// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { close(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  // Returns 0, or what the system has kept to say until now: over a network a write may fail as
  // late as that.
  int close();

 private:
  int fd_ = -1;
};

enum class FileType : std::uint8_t { regular, directory, symlink, other };

struct FileInfo {
  FileType type = FileType::other;
  bool executable = false;    // by its owner
  std::int64_t modified = 0;  // nanoseconds since 1970
  std::uint64_t size = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint32_t mode = 0;  // as in struct stat
};

enum class FollowSymlinks : bool { no, yes };

// "fifo", "block device" …: what `mode` is, for an error text.
std::string_view file_type_name(std::uint32_t mode);

// The calls below retry EINTR and name the path in their errors (IoError::io_error with
// os_error()).
Result<FileDescriptor> open_file(const std::filesystem::path& path, int flags,
                                 unsigned mode = 0666);
Result<FileInfo> file_info(int fd, const std::filesystem::path& name);
Result<FileInfo> file_info(const std::filesystem::path& path, FollowSymlinks follow);
// Opens a regular file to read; anything else is unsupported_file_type.
struct OpenedFile {
  FileDescriptor fd;
  FileInfo info;
};
Result<OpenedFile> open_regular_file(const std::filesystem::path& path);
// IoError::file_changed when the file was written to since it was `opened`, as far as its size and
// time of modification tell.
Result<> check_unchanged(int fd, const FileInfo& opened, const std::filesystem::path& name);
// One read; 0 at the end of the file.
Result<std::size_t> read_some(int fd, MutableByteSpan into, const std::filesystem::path& name);
// Exactly into.size() bytes, or unexpected_end.
Result<> read_exact_at(int fd, MutableByteSpan into, std::uint64_t offset,
                       const std::filesystem::path& name);
Result<> write_all(int fd, ByteSpan bytes, const std::filesystem::path& name);
Result<> write_all_at(int fd, ByteSpan bytes, std::uint64_t offset,
                      const std::filesystem::path& name);
// Finds what the system would say at close() of a file that was written (see
// FileDescriptor::close), without closing it.
Result<> check_written(int fd, const std::filesystem::path& name);
// Flushes the file's data, and what is needed to read it back, to the disk.
Result<> sync_data(int fd, const std::filesystem::path& name);
// Makes names created, renamed or removed in `directory` durable.
Result<> sync_directory(const std::filesystem::path& directory);

// Reads a file descriptor from where it stands.
class FileSource final : public ByteSource {
 public:
  FileSource(FileDescriptor fd, std::filesystem::path name, const FileInfo& info)
      : fd_(std::move(fd)), name_(std::move(name)), info_(info) {}
  // open_regular_file(), from its start.
  static Result<FileSource> open(const std::filesystem::path& path);
  static FileSource standard_input();

  Result<std::size_t> read(MutableByteSpan into) override;
  std::optional<std::uint64_t> remaining() const override;
  const FileInfo& info() const { return info_; }
  Result<> check_unchanged() const { return cleave::check_unchanged(fd_.get(), info_, name_); }

 private:
  FileDescriptor fd_;
  std::filesystem::path name_;
  FileInfo info_;
  std::uint64_t position_ = 0;
};

// Writes to a descriptor it does not own, such as standard output.
class FileSink final : public ByteSink {
 public:
  FileSink(int fd, std::filesystem::path name) : fd_(fd), name_(std::move(name)) {}
  Result<> write(ByteSpan bytes) override { return write_all(fd_, bytes, name_); }

 private:
  int fd_;
  std::filesystem::path name_;
};

enum class Overwrite : bool { no, yes };

// A new file that gets its name only in commit(): until then, and when it is dropped without one,
// nothing stands at `path`. Where the filesystem has unnamed files, not even a kill leaves a trace.
class OutputFile final : public ByteSink {
 public:
  static Result<OutputFile> create(const std::filesystem::path& path, Overwrite overwrite);
  OutputFile(OutputFile&&) = default;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile() override;

  Result<> write(ByteSpan bytes) override { return write_all(fd_.get(), bytes, path_); }
  // May be called from many threads at once, for parts that do not overlap.
  Result<> write_at(ByteSpan bytes, std::uint64_t offset) {
    return write_all_at(fd_.get(), bytes, offset, path_);
  }
  int fd() const { return fd_.get(); }
  // Gives the file its name, if all that was written arrived. Does not sync.
  Result<> commit();

 private:
  OutputFile() = default;

  FileDescriptor fd_;
  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty while the file has no name
  Overwrite overwrite_ = Overwrite::no;
};

// A name beside `path`, not taken a moment ago: ".name.cleave-<random>".
std::filesystem::path temporary_name_beside(const std::filesystem::path& path);

}  // namespace cleave
