#include "cleave/nar/nar_unpack.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "cleave/base/internal/system.h"
#include "cleave/nar/internal/grammar.h"
#include "cleave/nar/internal/remove_tree.h"

namespace cleave {

// A name with a NUL behind it, as system calls want it.
class NarUnpacker::Name {
 public:
  explicit Name(std::string_view name) { text_[name.copy(text_, nar_grammar::kMaxName)] = '\0'; }
  const char* get() const { return text_; }

 private:
  char text_[nar_grammar::kMaxName + 1];
};

Result<NarUnpacker> NarUnpacker::create(const std::filesystem::path& target) {
  NarUnpacker unpacker;
  // "out/" means "out".
  unpacker.target_ = target.has_filename() ? target : target.parent_path();
  struct stat st;
  if (::lstat(unpacker.target_.c_str(), &st) == 0) {
    return fail(error(IoError::output_exists).with_subject("path", target.native()));
  }
  if (errno != ENOENT || target.empty()) {
    return fail(error(IoError::io_error, "unpack")
                    .with_subject("path", target.native())
                    .with_os_error(errno));
  }
  const std::filesystem::path temporary = temporary_name_beside(unpacker.target_);
  unpacker.parent_ = CLEAVE_TRY(open_file(temporary.parent_path(), O_RDONLY | O_DIRECTORY));
  unpacker.temporary_ = temporary.filename().native();
  return unpacker;
}

NarUnpacker::~NarUnpacker() {
  if (temporary_.empty() || !parent_.is_open()) return;
  folders_.clear();
  file_.close();
  remove_tree(parent_.get(), temporary_.c_str());
}

Result<> NarUnpacker::commit() {
  if (!complete_) return fail(NarError::truncated);
  const std::string name = target_.filename().native();
  const auto exists = [&] {
    return fail(error(IoError::output_exists).with_subject("path", target_.native()));
  };
  int result = -1;
  errno = EINVAL;
#if defined(RENAME_NOREPLACE)
  result =
      ::renameat2(parent_.get(), temporary_.c_str(), parent_.get(), name.c_str(), RENAME_NOREPLACE);
#endif
  if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
    struct stat st;
    if (::fstatat(parent_.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return exists();
    result = ::renameat(parent_.get(), temporary_.c_str(), parent_.get(), name.c_str());
  }
  if (result != 0) {
    if (errno == EEXIST) return exists();
    return fail(system_error("rename", "", errno));
  }
  temporary_.clear();
  return {};
}

Result<> NarUnpacker::directory_begin(const NarDirectory& directory) {
  const Name name = CLEAVE_TRY(checked_name(directory.path, directory.name));
  if (::mkdirat(folder(), name.get(), 0777) != 0) {
    return fail(system_error("create", directory.path, errno));
  }
  FileDescriptor fd(retry([&] {
    return ::openat(folder(), name.get(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }));
  if (!fd.is_open()) return fail(system_error("open", directory.path, errno));
  folders_.push_back(std::move(fd));
  return {};
}

Result<> NarUnpacker::directory_end() {
  folders_.pop_back();
  complete_ = folders_.empty();
  return {};
}

Result<> NarUnpacker::file_begin(const NarFile& file) {
  const Name name = CLEAVE_TRY(checked_name(file.path, file.name));
  file_path_ = file.path;
  const mode_t mode = file.executable ? 0777 : 0666;
  file_ = FileDescriptor(retry([&] {
    return ::openat(folder(), name.get(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    mode);
  }));
  if (!file_.is_open()) return fail(system_error("create", file.path, errno));
  return {};
}

Result<> NarUnpacker::file_contents(ByteSpan contents) {
  while (!contents.empty()) {
    const ssize_t n = retry([&] {
      return ::write(file_.get(), contents.data(), std::min<std::size_t>(contents.size(), 1 << 30));
    });
    if (n < 0) return fail(system_error("write", file_path_, errno));
    contents = contents.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<> NarUnpacker::file_end() {
  complete_ = folders_.empty();
  if (const int problem = file_.close()) return fail(system_error("write", file_path_, problem));
  return {};
}

Result<> NarUnpacker::symlink(const NarSymlink& symlink) {
  const Name name = CLEAVE_TRY(checked_name(symlink.path, symlink.name));
  char target[nar_grammar::kMaxTarget + 1];
  target[symlink.target.copy(target, nar_grammar::kMaxTarget)] = '\0';
  if (::symlinkat(target, folder(), name.get()) != 0) {
    return fail(system_error("create", symlink.path, errno));
  }
  complete_ = folders_.empty();
  return {};
}

int NarUnpacker::folder() const { return folders_.empty() ? parent_.get() : folders_.back().get(); }

// The reader has checked all names. That everything stays below the target is worth a second look.
Result<NarUnpacker::Name> NarUnpacker::checked_name(std::string_view path,
                                                    std::string_view name) const {
  if (folders_.empty()) return Name(temporary_);
  if (!nar_grammar::is_valid_name(name)) {
    return fail(error(NarError::invalid_name).with_subject("entry", path));
  }
  return Name(name);
}

Error NarUnpacker::system_error(std::string_view call, std::string_view path, int number) const {
  Error made = error(IoError::io_error, "{}", call).with_subject("path", target_.native());
  if (!path.empty()) made.with_subject("entry", path);
  return made.with_os_error(number);
}

Result<> unpack_nar(ByteSource& nar, const std::filesystem::path& target) {
  NarUnpacker unpacker = CLEAVE_TRY(NarUnpacker::create(target));
  CLEAVE_TRY(read_nar(nar, unpacker));
  return unpacker.commit();
}

}  // namespace cleave
