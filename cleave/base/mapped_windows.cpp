#include "cleave/base/mapped_windows.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "cleave/base/internal/system.h"
#include "cleave/base/mapped_file.h"

namespace cleave {

namespace {

std::uint64_t whole_pages(std::uint64_t size) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return std::max<std::uint64_t>(1, (size + page - 1) / page) * page;
}

// Advice for this window only: asking for the next one early (WILLNEED) was measured to take twice
// the time, as the kernel's own read-ahead does it already.
void advise_sequential(ByteSpan window) {
  // NOLINTNEXTLINE: advice does not write
  ::madvise(const_cast<std::byte*>(window.data()), window.size(), MADV_SEQUENTIAL);
}

}  // namespace

MappedWindows::MappedWindows(OpenedFile file, std::filesystem::path name,
                             const MappedWindowsOptions& options)
    : file_(std::move(file)),
      name_(std::move(name)),
      reading_(options.reading),
      window_size_(file_.info.size <= options.whole_up_to ? whole_pages(file_.info.size)
                                                          : whole_pages(options.window_size)) {}

Result<MappedWindows> MappedWindows::open(const std::filesystem::path& path,
                                          const MappedWindowsOptions& options) {
  OpenedFile file = CLEAVE_TRY(open_regular_file(path));
  return MappedWindows(std::move(file), path, options);
}

Result<> MappedWindows::begin_reading(const Error& why) {
  mapping_failure_ = why;
  FileDescriptor fd(::fcntl(file_.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd.is_open()) return fail(system_error("duplicate descriptor", name_));
  const FileRange range{position_, file_.info.size - std::min(file_.info.size, position_)};
  rest_ = CLEAVE_TRY(ReadAheadSource::open(std::move(fd), name_, range, reading_));
  return {};
}

Result<Bytes> MappedWindows::next_window() {
  if (!rest_ && position_ < file_.info.size) {
    const std::uint64_t size = std::min(window_size_, file_.info.size - position_);
    auto window = map_file_range(file_.fd.get(), position_, size, name_);
    if (window) {
      advise_sequential(*window);
      position_ += size;
      return window;
    }
    CLEAVE_TRY(begin_reading(window.error()));
  }
  if (rest_) {
    Bytes block = CLEAVE_TRY(rest_->next());
    position_ += block.size();
    if (!block.empty()) return block;
  }
  CLEAVE_TRY(check_unchanged(file_.fd.get(), file_.info, name_));
  return Bytes();
}

Result<Bytes> MappedWindows::next() {
  if (failure_) return fail(*failure_);
  Result<Bytes> bytes = next_window();
  if (!bytes) failure_ = bytes.error();
  return bytes;
}

std::optional<std::uint64_t> MappedWindows::remaining() const {
  return file_.info.size - position_;
}

Result<std::unique_ptr<BlockSource>> open_blocks(const std::filesystem::path& path,
                                                 const BlockOptions& options) {
  if (options.access == BlockAccess::read) {
    return std::make_unique<ReadAheadSource>(
        CLEAVE_TRY(ReadAheadSource::open(path, options.reading)));
  }
  MappedWindowsOptions mapping = options.mapping;
  mapping.reading = options.reading;
  return std::make_unique<MappedWindows>(CLEAVE_TRY(MappedWindows::open(path, mapping)));
}

}  // namespace cleave
