#include "cleave/nar/nar_source.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "cleave/base/internal/fail.h"
#include "cleave/nar/internal/grammar.h"

namespace cleave {

using nar_grammar::encoded;
using nar_grammar::padding;

namespace {

// What one read asks of the kernel at most.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

// O_NONBLOCK: should a FIFO have taken the file's place, opening must not wait for its other end.
constexpr int kOpenFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

int open_at(int directory, const char* name, int flags) {
  int fd;
  do {
    fd = ::openat(directory, name, flags);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// A type as folders list it is the upper part of a mode.
static_assert(DT_REG == S_IFREG >> 12 && DT_DIR == S_IFDIR >> 12 && DT_LNK == S_IFLNK >> 12);

}  // namespace

NarSource::NarSource() {
  directories_.resize(kMaxNarDepth);
  tokens_.reserve(8192);
}

Result<NarSource> NarSource::open(const std::filesystem::path& path) {
  NarSource source;
  source.path_ = path.native();
  source.tokens_ = encoded<"nix-archive-1">();
  CLEAVE_TRY(source.begin_entry(AT_FDCWD, path.c_str(), DT_UNKNOWN));
  return source;
}

Result<std::size_t> NarSource::read(MutableByteSpan into) {
  if (failed_) return fail(*failed_);
  std::size_t done = 0;
  if (Result<> result = fill(into, done); !result) {
    failed_ = result.error();
    return fail(*failed_);
  }
  return done;
}

Result<> NarSource::fill(MutableByteSpan into, std::size_t& done) {
  while (done < into.size()) {
    const MutableByteSpan rest = into.subspan(done);
    if (tokens_taken_ < tokens_.size()) {
      const std::size_t n = std::min(rest.size(), tokens_.size() - tokens_taken_);
      std::memcpy(rest.data(), tokens_.data() + tokens_taken_, n);
      tokens_taken_ += n;
      done += n;
      continue;
    }
    tokens_.clear();
    tokens_taken_ = 0;
    if (file_.is_open()) {
      done += CLEAVE_TRY(read_contents(rest));
    } else if (depth_ > 0) {
      CLEAVE_TRY(next_entry());
    } else {
      break;
    }
  }
  return {};
}

Result<> NarSource::next_entry() {
  Directory& directory = directories_[depth_ - 1];
  path_.resize(directory.path_size);
  if (directory.next == directory.entries.size()) {
    directory.handle.reset();
    --depth_;
    end_object();
    return {};
  }
  const Entry& entry = directory.entries[directory.next++];
  const char* name = directory.names.c_str() + entry.name_begin;
  if (path_.empty() || path_.back() != '/') path_ += '/';
  path_.append(name, entry.name_size);
  if (!nar_grammar::is_valid_name({name, entry.name_size})) {
    return fail(error(NarError::invalid_name).with_subject("path", path_));
  }
  if (depth_ == kMaxNarDepth) {
    return fail(
        error(NarError::too_deep, "more than {} levels", kMaxNarDepth).with_subject("path", path_));
  }
  tokens_ += encoded<"entry", "(", "name">();
  put({name, entry.name_size});
  tokens_ += encoded<"node">();
  return begin_entry(::dirfd(directory.handle.get()), name, entry.type);
}

// Opens nothing but files, folders and symlinks: opening a device may do something.
Result<> NarSource::begin_entry(int directory, const char* name, unsigned char type) {
  std::uint32_t mode = static_cast<std::uint32_t>(type) << 12;
  if (type == DT_UNKNOWN) {
    struct stat st;
    if (::fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return fail(system_error("stat", errno));
    }
    mode = st.st_mode;
  }
  switch (mode & S_IFMT) {
    case S_IFREG: return begin_file(directory, name);
    case S_IFDIR: return begin_directory(directory, name);
    case S_IFLNK: return begin_symlink(directory, name);
    default:
      return fail(error(IoError::unsupported_file_type, "{}", file_type_name(mode))
                      .with_subject("path", path_));
  }
}

Result<> NarSource::begin_file(int directory, const char* name) {
  FileDescriptor fd(open_at(directory, name, kOpenFlags));
  if (!fd.is_open()) return fail(system_error("open", errno));
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return fail(system_error("stat", errno));
  if (!S_ISREG(st.st_mode)) {
    return fail(
        error(IoError::file_changed, "was a regular file, is a {}", file_type_name(st.st_mode))
            .with_subject("path", path_));
  }
  if ((st.st_mode & S_IXUSR) != 0) {
    tokens_ += encoded<"(", "type", "regular", "executable", "", "contents">();
  } else {
    tokens_ += encoded<"(", "type", "regular", "contents">();
  }
  file_ = std::move(fd);
  file_size_ = file_rest_ = static_cast<std::uint64_t>(st.st_size);
  nar_grammar::append_length(tokens_, file_size_);
  ++counts_.files;
  return {};
}

Result<> NarSource::begin_symlink(int directory, const char* name) {
  char target[nar_grammar::kMaxTarget + 1];
  const ssize_t n = ::readlinkat(directory, name, target, sizeof target);
  if (n < 0) return fail(system_error("readlink", errno));
  const std::string_view text(target, static_cast<std::size_t>(n));
  if (!nar_grammar::is_valid_target(text)) {
    return fail(error(NarError::invalid_target).with_subject("path", path_));
  }
  tokens_ += encoded<"(", "type", "symlink", "target">();
  put(text);
  end_object();
  ++counts_.symlinks;
  return {};
}

Result<> NarSource::begin_directory(int directory, const char* name) {
  const int fd = open_at(directory, name, kOpenFlags | O_DIRECTORY);
  if (fd < 0) return fail(system_error("open", errno));
  Directory& opened = directories_[depth_];
  opened.handle.reset(::fdopendir(fd));
  if (!opened.handle) {
    const int number = errno;
    ::close(fd);
    return fail(system_error("open", number));
  }
  opened.path_size = path_.size();
  CLEAVE_TRY(list(opened));
  ++depth_;
  tokens_ += encoded<"(", "type", "directory">();
  ++counts_.directories;
  return {};
}

Result<> NarSource::list(Directory& directory) {
  directory.names.clear();
  directory.entries.clear();
  directory.next = 0;
  for (;;) {
    errno = 0;
    const dirent* found = ::readdir(directory.handle.get());
    if (found == nullptr) {
      if (errno != 0) return fail(system_error("list", errno));
      break;
    }
    const std::string_view name(found->d_name);
    if (name == "." || name == "..") continue;
    directory.entries.push_back({static_cast<std::uint32_t>(directory.names.size()),
                                 static_cast<std::uint16_t>(name.size()), found->d_type});
    directory.names += name;
    directory.names += '\0';
  }
  const char* names = directory.names.data();
  std::ranges::sort(directory.entries, {}, [names](const Entry& entry) {
    return std::string_view(names + entry.name_begin, entry.name_size);
  });
  return {};
}

Result<std::size_t> NarSource::read_contents(MutableByteSpan into) {
  // One byte more than there should be shows, without another call, that the file ends there.
  const auto want = static_cast<std::size_t>(
      std::min<std::uint64_t>({into.size(), file_rest_ + 1, kMaxTransfer}));
  ssize_t got;
  do {
    got = ::read(file_.get(), into.data(), want);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail(system_error("read", errno));
  const auto n = static_cast<std::size_t>(got);
  if (n > file_rest_ || (n == 0 && file_rest_ > 0)) {
    return fail(error(IoError::file_changed, "{} while it was read, from {} bytes",
                      n == 0 ? "shrank" : "grew", file_size_)
                    .with_subject("path", path_));
  }
  file_rest_ -= n;
  if (file_rest_ == 0 && n < want) {
    file_.close();
    tokens_.append(padding(file_size_), '\0');
    end_object();
  }
  return n;
}

Error NarSource::system_error(std::string_view call, int number) const {
  return error(IoError::io_error, "{}", call).with_subject("path", path_).with_os_error(number);
}

void NarSource::put(std::string_view string) {
  nar_grammar::append_length(tokens_, string.size());
  tokens_ += string;
  tokens_.append(padding(string.size()), '\0');
}

// An object's ")", and that of the entry it is in.
void NarSource::end_object() {
  if (depth_ == 0) {
    tokens_ += encoded<")">();
  } else {
    tokens_ += encoded<")", ")">();
  }
}

}  // namespace cleave
