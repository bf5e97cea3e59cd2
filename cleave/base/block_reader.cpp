#include "cleave/base/internal/block_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/uio.h>
#include <thread>
#include <utility>

#include "cleave/base/internal/system.h"
#include "cleave/base/settings.h"

namespace cleave {

namespace {

constexpr std::size_t kMaxParts = 64;
// A regular file has no reason to say EAGAIN for long: after a second it is an error.
constexpr int kMaxRefused = 1000;
constexpr std::chrono::milliseconds kRefusedPause(1);

using Parts = std::array<iovec, kMaxParts>;

// What is missing in `blocks`, as far as one read may ask for it.
std::span<const iovec> missing_parts(std::span<ReadBlock* const> blocks, const FileReads& reads,
                                     Parts& parts) {
  const std::size_t cap = settings().read_slice_cap;
  std::size_t count = 0;
  std::size_t total = 0;
  for (const ReadBlock* block : blocks.first(std::min(blocks.size(), kMaxParts))) {
    const std::size_t length = reads.length(block->size - block->done);
    if (count > 0 && total + length > cap) break;
    parts[count++] = {block->memory.get() + block->done, length};
    total += length;
  }
  return std::span(parts).first(count);
}

// Notes that `n` bytes were read; returns the blocks in which some are still missing.
std::span<ReadBlock* const> note_read(std::span<ReadBlock* const> blocks, std::size_t n) {
  while (!blocks.empty()) {
    ReadBlock& block = *blocks.front();
    const std::size_t taken = std::min(n, block.size - block.done);
    block.done += taken;
    n -= taken;
    if (block.done < block.size) break;
    blocks = blocks.subspan(1);
  }
  return blocks;
}

class PlainReader final : public BlockReader {
 public:
  explicit PlainReader(FileReads& reads) : reads_(&reads) {}
  void start(ReadBlock& /*block*/) override {}
  Result<> wait(ReadBlock& block) override { return reads_->fill(block); }

 private:
  FileReads* reads_;
};

}  // namespace

ssize_t ReadCalls::preadv(int fd, std::span<const iovec> parts, std::uint64_t offset) {
  return ::preadv(fd, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset));
}

ssize_t ReadCalls::preadv_cached([[maybe_unused]] int fd,
                                 [[maybe_unused]] std::span<const iovec> parts,
                                 [[maybe_unused]] std::uint64_t offset) {
#if defined(RWF_NOWAIT)
  return ::preadv2(fd, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset),
                   RWF_NOWAIT);
#else
  errno = EOPNOTSUPP;
  return -1;
#endif
}

bool ReadCalls::set_direct([[maybe_unused]] int fd, [[maybe_unused]] bool direct) {
#if defined(O_DIRECT)
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
#else
  return false;
#endif
}

FileReads::FileReads(int fd, std::filesystem::path name, std::shared_ptr<ReadCalls> calls)
    : fd_(fd), name_(std::move(name)), calls_(std::move(calls)) {}

void FileReads::begin_direct() { direct_ = calls_->set_direct(fd_, true); }

void FileReads::end_direct() {
  calls_->set_direct(fd_, false);
  direct_ = false;
}

Error FileReads::failed(int os_error) const { return system_error("read", name_, os_error); }

Result<> FileReads::recover(int os_error) {
  if (os_error == EINTR) return {};
  if (os_error == EINVAL && direct_) {
    end_direct();  // a filesystem that opens files for direct reads, and then has none
    return {};
  }
  if (os_error != EAGAIN || ++refused_ > kMaxRefused) return fail(failed(os_error));
  std::this_thread::sleep_for(kRefusedPause);
  return {};
}

Result<> FileReads::fill(std::span<ReadBlock* const> blocks) {
  Parts parts;
  blocks = note_read(blocks, 0);
  while (!blocks.empty()) {
    const ReadBlock& first = *blocks.front();
    if (direct_ && first.done % kReadAlignment != 0) end_direct();
    const std::uint64_t offset = first.offset + first.done;
    const ssize_t n = calls_->preadv(fd_, missing_parts(blocks, *this, parts), offset);
    if (n < 0) {
      CLEAVE_TRY(recover(errno));
      continue;
    }
    if (n == 0) {
      return fail(error(IoError::file_changed, "it became shorter while it was read")
                      .with_subject("path", name_.native())
                      .with_offset(offset));
    }
    refused_ = 0;
    blocks = note_read(blocks, static_cast<std::size_t>(n));
  }
  return {};
}

Result<> FileReads::fill(ReadBlock& block) {
  ReadBlock* const one = &block;
  return fill(std::span(&one, 1));
}

bool FileReads::fill_cached(ReadBlock& block) {
  ReadBlock* const one = &block;
  Parts parts;
  const auto missing = missing_parts(std::span(&one, 1), *this, parts);
  const ssize_t n = calls_->preadv_cached(fd_, missing, block.offset + block.done);
  return n > 0 && note_read(std::span(&one, 1), static_cast<std::size_t>(n)).empty();
}

std::unique_ptr<BlockReader> make_plain_reader(FileReads& reads) {
#if defined(POSIX_FADV_SEQUENTIAL)
  // Doubles the kernel's read-ahead. WILLNEED, block by block, was measured to slow reading down.
  if (!reads.direct()) ::posix_fadvise(reads.fd(), 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
  return std::make_unique<PlainReader>(reads);
}

}  // namespace cleave
