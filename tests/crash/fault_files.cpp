// A shared library for LD_PRELOAD: a file layer that fails, writes short, fills up, stops, and
// writes down what happens. It stands under the real command, so it is under LMDB as well.
//
// It acts only below the folder CLEAVE_FAULT_FOLDER (an absolute path without symlinks). There it
// counts operations: whatever changes a file or a name, and every sync. They run one at a time. The
// environment says what to do to them:
//   CLEAVE_FAULT_JOURNAL=FILE   append each operation that succeeded to FILE (see fault_journal.h)
//   CLEAVE_FAULT_STOP=N         end the process right before operation N, from 0. Right after N is
//                               right before N + 1, but for what the program prints in between.
//   CLEAVE_FAULT_SEED=N         of all that is random here
//   CLEAVE_FAULT_EINTR=1        some writes are interrupted by a signal
//   CLEAVE_FAULT_SHORT=1        some writes write only a part; 2: those of LMDB's data file too
//   CLEAVE_FAULT_SPACE=N        after N bytes were written the disk is full: no more bytes, no more
//   names CLEAVE_FAULT_WRITE=N        write N, from 0, fails with EIO. Through O_DSYNC it fails as
//   in a kernel:
//                               the bytes are in the cache, whether on the disk nobody knows.
//   CLEAVE_FAULT_SYNC=N         sync N, from 0, fails with EIO, and what was written to that file
//   since
//                               its last sync is gone. A write through O_DSYNC is a sync, too.
//   CLEAVE_FAULT_LIE=N          sync N, from 0, is not made, but said to be: to test a test
//   CLEAVE_FAULT_STICKY=1       so do all writes or syncs after that one
//   CLEAVE_FAULT_DELAY=MS       each sync takes so long
//
// It makes system calls by number, never through the C library: so it does not matter who else
// interposes. What it does not see: writes through shared mappings, and stdio.

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

#include "tests/crash/fault_journal.h"

namespace {

using cleave::test::Change;
using cleave::test::ChangeHeader;
using cleave::test::kStoppedExit;

struct Overwritten {
  off_t offset;
  std::string bytes;
};
// What brings a file back to its last sync.
struct Unsynced {
  off_t size;
  std::vector<Overwritten> writes;
};

struct Faults {
  std::mutex mutex;
  std::string folder;
  int journal = -1;
  std::optional<std::uint64_t> stop, space, write, sync, lie;
  std::uint64_t short_writes = 0;
  bool interrupts = false;
  useconds_t delay = 0;
  bool sticky = false;
  std::uint64_t random = 1;
  std::uint64_t operations = 0;
  std::uint64_t writes = 0;
  std::uint64_t syncs = 0;
  std::map<std::uint64_t, Unsynced> unsynced;  // by inode
};

std::optional<std::uint64_t> number(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::strtoull(value, nullptr, 10);
}

// Never destroyed: there are writes while the process ends.
Faults& faults() {
  static Faults& only = *[] {
    auto* made = new Faults;
    if (const char* folder = std::getenv("CLEAVE_FAULT_FOLDER")) made->folder = folder;
    if (const char* journal = std::getenv("CLEAVE_FAULT_JOURNAL")) {
      made->journal = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, journal,
                                                 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    }
    made->stop = number("CLEAVE_FAULT_STOP");
    made->space = number("CLEAVE_FAULT_SPACE");
    made->write = number("CLEAVE_FAULT_WRITE");
    made->sync = number("CLEAVE_FAULT_SYNC");
    made->lie = number("CLEAVE_FAULT_LIE");
    made->short_writes = number("CLEAVE_FAULT_SHORT").value_or(0);
    made->interrupts = number("CLEAVE_FAULT_EINTR").value_or(0) != 0;
    made->delay = static_cast<useconds_t>(number("CLEAVE_FAULT_DELAY").value_or(0) * 1000);
    made->sticky = number("CLEAVE_FAULT_STICKY").value_or(0) != 0;
    made->random = (number("CLEAVE_FAULT_SEED").value_or(0) * 2 + 1) * 0x9e3779b97f4a7c15;
    return made;
  }();
  return only;
}

std::uint64_t below(std::uint64_t limit) {
  std::uint64_t& x = faults().random;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return (x >> 16) % limit;
}

// ---- what a call is about ----

std::string path_of(int fd) {
  const std::string name = "/proc/self/fd/" + std::to_string(fd);
  char path[PATH_MAX];
  const long size = ::syscall(SYS_readlinkat, AT_FDCWD, name.c_str(), path, sizeof path);
  return size < 0 ? std::string() : std::string(path, static_cast<std::size_t>(size));
}

std::string path_at(int folder, const char* name) {
  if (*name == '/') return name;
  if (folder != AT_FDCWD) return path_of(folder) + "/" + name;
  char path[PATH_MAX];
  if (::syscall(SYS_getcwd, path, sizeof path) < 0) return name;
  return std::string(path) + "/" + name;
}

bool is_ours(std::string_view path) {
  const std::string& folder = faults().folder;
  return !folder.empty() && path.starts_with(folder) &&
         (path.size() == folder.size() || path[folder.size()] == '/');
}

std::uint64_t inode_of(const std::string& path) {
  struct stat st;
  if (::fstatat(AT_FDCWD, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  return st.st_ino;
}

struct Name {
  explicit Name(std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    const std::size_t slash = path.rfind('/');
    folder = inode_of(std::string(path.substr(0, slash)));
    name = path.substr(slash + 1);
  }
  std::uint64_t folder;
  std::string name;
};

// ---- what happens to every operation ----

// Held while an operation runs.
class Operation {
 public:
  Operation() : lock_(faults().mutex) {
    Faults& all = faults();
    if (all.stop == all.operations) ::_exit(kStoppedExit);
    ++all.operations;
  }

 private:
  std::lock_guard<std::mutex> lock_;
};

void note(const ChangeHeader& about, std::string_view name = {}, std::string_view name2 = {},
          std::string_view data = {}) {
  if (faults().journal < 0) return;
  ChangeHeader header = about;
  header.name_size = static_cast<std::uint32_t>(name.size());
  header.name2_size = static_cast<std::uint32_t>(name2.size());
  header.data_size = data.size();
  std::string record(reinterpret_cast<const char*>(&header), sizeof header);
  record.append(name).append(name2).append(data);
  if (::syscall(SYS_write, faults().journal, record.data(), record.size()) !=
      static_cast<long>(record.size())) {
    std::abort();
  }
}

// The call does not do its work, but says so.
int fail(int number) {
  note({.change = Change::fault, .offset = static_cast<std::uint64_t>(number)});
  errno = number;
  return -1;
}

bool is_due(const std::optional<std::uint64_t>& wanted, std::uint64_t count) {
  return wanted && (count == *wanted || (faults().sticky && count > *wanted));
}

// Whether the sync at hand is only pretended.
bool is_lie() {
  if (faults().lie != faults().syncs) return false;
  note({.change = Change::fault});
  return true;
}

bool disk_is_full() { return faults().space == std::uint64_t{0}; }

// ---- bytes ----

struct stat stat_of(int fd) {
  struct stat st = {};
  ::fstat(fd, &st);
  return st;
}

void remember(int fd, const struct stat& st, off_t offset, std::size_t size) {
  Unsynced& file = faults().unsynced.try_emplace(st.st_ino, Unsynced{st.st_size, {}}).first->second;
  std::string bytes(size, '\0');
  // `fd` may be for writing only.
  const std::string again = "/proc/self/fd/" + std::to_string(fd);
  const long reader = ::syscall(SYS_openat, AT_FDCWD, again.c_str(), O_RDONLY | O_CLOEXEC);
  const long n = ::syscall(SYS_pread64, reader, bytes.data(), size, offset);
  ::syscall(SYS_close, reader);
  bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  file.writes.push_back({offset, std::move(bytes)});
}

// Brings the file back to its last sync.
void lose_unsynced(int fd) {
  const auto found = faults().unsynced.find(stat_of(fd).st_ino);
  if (found == faults().unsynced.end()) return;
  auto& [size, writes] = found->second;
  for (auto write = writes.rbegin(); write != writes.rend(); ++write) {
    ::syscall(SYS_pwrite64, fd, write->bytes.data(), write->bytes.size(), write->offset);
  }
  ::syscall(SYS_ftruncate, fd, size);
  faults().unsynced.erase(found);
}

ssize_t write_bytes(int fd, const iovec* parts, int count, std::optional<off_t> at) {
  if (!is_ours(path_of(fd))) {
    return at ? ::syscall(SYS_pwritev, fd, parts, count, *at, 0)
              : ::syscall(SYS_writev, fd, parts, count);
  }
  const Operation operation;
  Faults& all = faults();
  if (all.interrupts && below(3) == 0) return fail(EINTR);

  std::string data;
  for (int i = 0; i < count; ++i) {
    data.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  }
  const bool of_lmdb = path_of(fd).ends_with("/data.mdb");
  if (data.size() > 1 && all.short_writes > (of_lmdb ? 1U : 0U) && below(2) == 0) {
    data.resize(1 + below(data.size() - 1));
  }
  if (all.space) {
    const bool fits = data.size() <= *all.space;
    if (!fits) data.resize(*all.space);
    if (!fits && data.empty()) return fail(ENOSPC);
    if (!fits) fail(ENOSPC);  // what fits is written; LMDB does not ask for the rest
  }

  const bool synced = (::fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC)) != 0;
  const bool lie = synced && is_lie();
  if (synced && is_due(all.sync, all.syncs++)) return fail(EIO);
  const bool broken = is_due(all.write, all.writes++);
  if (broken && !synced) return fail(EIO);

  const struct stat before = stat_of(fd);
  const bool appends = (::fcntl(fd, F_GETFL) & O_APPEND) != 0;
  const off_t offset = at        ? *at
                       : appends ? before.st_size
                                 : static_cast<off_t>(::syscall(SYS_lseek, fd, 0, SEEK_CUR));
  if (all.sync && !synced) remember(fd, before, offset, data.size());
  const long n = at ? ::syscall(SYS_pwrite64, fd, data.data(), data.size(), *at)
                    : ::syscall(SYS_write, fd, data.data(), data.size());
  if (n < 0) return n;
  const auto written = static_cast<std::size_t>(n);
  if (all.space) *all.space -= written;
  note({.change = Change::write,
        .synced = synced && !broken && !lie ? 1U : 0U,
        .inode = before.st_ino,
        .offset = static_cast<std::uint64_t>(offset)},
       {}, {}, std::string_view(data).substr(0, written));
  return broken ? fail(EIO) : n;
}

ssize_t write_bytes(int fd, const void* bytes, std::size_t size, std::optional<off_t> at) {
  const iovec part = {const_cast<void*>(bytes), size};
  return write_bytes(fd, &part, 1, at);
}

int sync_file(int fd, long call) {
  if (!is_ours(path_of(fd))) return static_cast<int>(::syscall(call, fd));
  const Operation operation;
  Faults& all = faults();
  const bool lie = is_lie();
  if (is_due(all.sync, all.syncs++)) {
    lose_unsynced(fd);
    return fail(EIO);
  }
  if (all.delay > 0) ::usleep(all.delay);
  const long result = ::syscall(call, fd);
  const std::uint64_t inode = stat_of(fd).st_ino;
  if (result == 0) {
    all.unsynced.erase(inode);
    if (!lie) note({.change = Change::sync, .inode = inode});
  }
  return static_cast<int>(result);
}

int resize(int fd, off_t size) {
  if (!is_ours(path_of(fd))) return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  const Operation operation;
  const long result = ::syscall(SYS_ftruncate, fd, size);
  if (result == 0) {
    note({.change = Change::resize,
          .inode = stat_of(fd).st_ino,
          .offset = static_cast<std::uint64_t>(size)});
  }
  return static_cast<int>(result);
}

// ---- names ----

int open_at(int folder, const char* name, int flags, mode_t mode) {
  const auto open = [&] {
    return static_cast<int>(::syscall(SYS_openat, folder, name, flags, mode));
  };
  const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
  if (!unnamed && (flags & (O_CREAT | O_TRUNC)) == 0) return open();
  const std::string path = path_at(folder, name);
  if (!is_ours(path)) return open();

  if (unnamed) {
    const Operation operation;
    if (disk_is_full()) return fail(ENOSPC);
    const int fd = open();
    if (fd >= 0) note({.change = Change::make_unnamed, .inode = stat_of(fd).st_ino});
    return fd;
  }
  if (inode_of(path) != 0) {
    if ((flags & O_TRUNC) == 0) return open();
    const Operation operation;
    const int fd = open();
    if (fd >= 0) note({.change = Change::resize, .inode = stat_of(fd).st_ino});
    return fd;
  }
  if ((flags & O_CREAT) == 0) return open();
  const Operation operation;
  if (disk_is_full()) return fail(ENOSPC);
  const int fd = open();
  if (fd >= 0) {
    const Name made(path);
    note({.change = Change::make_file, .inode = stat_of(fd).st_ino, .folder = made.folder},
         made.name);
  }
  return fd;
}

// Runs a call that gives `path` a name, and notes it as `change`.
template <class Call>
int make_name(const std::string& path, Change change, Call call) {
  if (!is_ours(path)) return static_cast<int>(call());
  const Operation operation;
  if (disk_is_full()) return fail(ENOSPC);
  const long result = call();
  if (result == 0) {
    const Name made(path);
    note({.change = change, .inode = inode_of(path), .folder = made.folder}, made.name);
  }
  return static_cast<int>(result);
}

int rename_at(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  const auto call = [&] {
    return static_cast<int>(::syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
  };
  const std::string from_path = path_at(from_folder, from);
  const std::string to_path = path_at(to_folder, to);
  if (!is_ours(to_path)) return call();
  const Operation operation;
  const Name old_name(from_path);
  const int result = call();
  if (result == 0) {
    const Name new_name(to_path);
    note({.change = Change::rename, .folder = old_name.folder, .folder2 = new_name.folder},
         old_name.name, new_name.name);
  }
  return result;
}

int remove_at(int folder, const char* name, int flags) {
  const auto call = [&] { return static_cast<int>(::syscall(SYS_unlinkat, folder, name, flags)); };
  const std::string path = path_at(folder, name);
  if (!is_ours(path)) return call();
  const Operation operation;
  const int result = call();
  if (result == 0) {
    const Name removed(path);
    note({.change = Change::remove, .folder = removed.folder}, removed.name);
  }
  return result;
}

int link_at(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  return make_name(path_at(to_folder, to), Change::link,
                   [&] { return ::syscall(SYS_linkat, from_folder, from, to_folder, to, flags); });
}

int make_folder_at(int folder, const char* name, mode_t mode) {
  return make_name(path_at(folder, name), Change::make_folder,
                   [&] { return ::syscall(SYS_mkdirat, folder, name, mode); });
}

mode_t mode_from(int flags, va_list& rest) {
  const bool given = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return given ? va_arg(rest, mode_t) : 0;
}

}  // namespace

// What programs and liblmdb call, under all names the C library has for it.
#define CLEAVE_FAULT_OPEN(function)                \
  int function(const char* name, int flags, ...) { \
    va_list rest;                                  \
    va_start(rest, flags);                         \
    const mode_t mode = mode_from(flags, rest);    \
    va_end(rest);                                  \
    return open_at(AT_FDCWD, name, flags, mode);   \
  }
#define CLEAVE_FAULT_OPENAT(function)                          \
  int function(int folder, const char* name, int flags, ...) { \
    va_list rest;                                              \
    va_start(rest, flags);                                     \
    const mode_t mode = mode_from(flags, rest);                \
    va_end(rest);                                              \
    return open_at(folder, name, flags, mode);                 \
  }

extern "C" {

CLEAVE_FAULT_OPEN(open)
CLEAVE_FAULT_OPEN(open64)
CLEAVE_FAULT_OPENAT(openat)
CLEAVE_FAULT_OPENAT(openat64)
int __open_2(const char* name, int flags) { return open_at(AT_FDCWD, name, flags, 0); }
int __open64_2(const char* name, int flags) { return open_at(AT_FDCWD, name, flags, 0); }
int __openat_2(int folder, const char* name, int flags) { return open_at(folder, name, flags, 0); }
int __openat64_2(int folder, const char* name, int flags) {
  return open_at(folder, name, flags, 0);
}
int creat(const char* name, mode_t mode) {
  return open_at(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

ssize_t write(int fd, const void* bytes, std::size_t size) {
  return write_bytes(fd, bytes, size, {});
}
ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t offset) {
  return write_bytes(fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, std::size_t size, off64_t offset) {
  return write_bytes(fd, bytes, size, offset);
}
ssize_t writev(int fd, const iovec* parts, int count) { return write_bytes(fd, parts, count, {}); }
ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  return write_bytes(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const iovec* parts, int count, off64_t offset) {
  return write_bytes(fd, parts, count, offset);
}
int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }
int ftruncate(int fd, off_t size) noexcept { return resize(fd, size); }
int ftruncate64(int fd, off64_t size) noexcept { return resize(fd, size); }

int rename(const char* from, const char* to) noexcept {
  return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return rename_at(from_folder, from, to_folder, to, 0);
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags) noexcept {
  return rename_at(from_folder, from, to_folder, to, flags);
}
int link(const char* from, const char* to) noexcept {
  return link_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  return link_at(from_folder, from, to_folder, to, flags);
}
int unlink(const char* name) noexcept { return remove_at(AT_FDCWD, name, 0); }
int unlinkat(int folder, const char* name, int flags) noexcept {
  return remove_at(folder, name, flags);
}
int rmdir(const char* name) noexcept { return remove_at(AT_FDCWD, name, AT_REMOVEDIR); }
int mkdir(const char* name, mode_t mode) noexcept { return make_folder_at(AT_FDCWD, name, mode); }
int mkdirat(int folder, const char* name, mode_t mode) noexcept {
  return make_folder_at(folder, name, mode);
}

}  // extern "C"
