// How a ReadAheadSource gets its blocks: the system calls, and the three ways to use them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <sys/types.h>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"

struct io_uring;
struct iovec;

namespace cleave {

// Offsets and lengths of reads are multiples of this, and the memory is aligned to it: what any
// block device asks of direct reads.
inline constexpr std::size_t kReadAlignment = 4096;

constexpr std::uint64_t align_down(std::uint64_t n) { return n / kReadAlignment * kReadAlignment; }
constexpr std::uint64_t align_up(std::uint64_t n) { return align_down(n + kReadAlignment - 1); }

struct AlignedDelete {
  void operator()(std::byte* memory) const {
    ::operator delete[](memory, std::align_val_t(kReadAlignment));
  }
};
using AlignedMemory = std::unique_ptr<std::byte[], AlignedDelete>;

inline AlignedMemory allocate_aligned(std::size_t size) {
  return AlignedMemory(new (std::align_val_t(kReadAlignment)) std::byte[size]);
}

// The system calls that reading takes; a test puts faults in their place. Each is as the system's.
class ReadCalls {
 public:
  ReadCalls() = default;
  ReadCalls(const ReadCalls&) = delete;
  ReadCalls& operator=(const ReadCalls&) = delete;
  virtual ~ReadCalls() = default;

  virtual ssize_t preadv(int fd, std::span<const iovec> parts, std::uint64_t offset);
  // preadv() of what the page cache has; EAGAIN when that is nothing.
  virtual ssize_t preadv_cached(int fd, std::span<const iovec> parts, std::uint64_t offset);
  virtual bool set_direct(int fd, bool direct);
  // Returns -errno, as liburing does.
  virtual int uring_init(unsigned entries, io_uring* ring);
  // What a completed read returned: bytes, or -errno.
  virtual int uring_result(int result) { return result; }
};

// A block of a file on its way into memory.
struct ReadBlock {
  AlignedMemory memory;  // align_up(size) bytes
  std::uint64_t offset;  // in the file, aligned
  std::size_t size;
  std::size_t done = 0;  // bytes read
  // For the reader that was given the block.
  bool landed = false;
  int os_error = 0;
};

// Blocking reads of one file: interrupted ones tried again, short ones continued.
class FileReads {
 public:
  FileReads(int fd, std::filesystem::path name, std::shared_ptr<ReadCalls> calls);

  // Goes past the page cache from now on, unless the filesystem refuses.
  void begin_direct();
  bool direct() const { return direct_; }
  void end_direct();

  // Reads what is still missing in `blocks`, which follow each other in the file. file_changed when
  // the file ends before.
  Result<> fill(std::span<ReadBlock* const> blocks);
  Result<> fill(ReadBlock& block);
  // Reads what the page cache has of a block; false when something is missing.
  bool fill_cached(ReadBlock& block);

  // The length to ask for where `size` bytes are wanted.
  std::size_t length(std::size_t size) const { return direct_ ? align_up(size) : size; }
  Error failed(int os_error) const;
  int fd() const { return fd_; }
  ReadCalls& calls() const { return *calls_; }

 private:
  Result<> recover(int os_error);

  int fd_;
  std::filesystem::path name_;
  std::shared_ptr<ReadCalls> calls_;
  bool direct_ = false;
  int refused_ = 0;  // times in a row that the kernel said EAGAIN
};

// Reads blocks that follow each other in a file. They stay where they are from start() until wait()
// or the reader's end, whose destructor returns when nobody writes to them any more.
class BlockReader {
 public:
  BlockReader() = default;
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;
  virtual ~BlockReader() = default;

  virtual void start(ReadBlock& block) = 0;
  // For each block once, in the order they were started.
  virtual Result<> wait(ReadBlock& block) = 0;
};

// Each of these uses `reads` alone until it ends. Nothing where it is not to be had.
std::unique_ptr<BlockReader> make_plain_reader(FileReads& reads);
std::unique_ptr<BlockReader> make_thread_reader(FileReads& reads, std::size_t blocks_ahead);
std::unique_ptr<BlockReader> make_uring_reader(FileReads& reads, std::size_t blocks_ahead);

}  // namespace cleave
