// Files read ahead of whoever works on their bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/file.h"
#include "cleave/base/io.h"

namespace cleave {

class ReadCalls;

enum class DirectIo : bool { no, yes };

// How blocks are read. All give the same bytes.
enum class ReadBackend : std::uint8_t {
  // `plain` while the page cache has the file, from the first block it lacks `io_uring`; direct
  // reads with `io_uring` at once. Where that is not to be had: `plain`, direct reads `threads`.
  automatic,
  io_uring,  // in the kernel, several at once; where it is not to be had: as `threads`
  threads,   // by one thread of the source's own, several blocks a call; else as `plain`
  plain,     // when asked for; only the kernel's own read-ahead works in advance
};

struct ReadAheadOptions {
  // What one read asks for, a multiple of 4 KiB; others are rounded up, and no block is larger than
  // settings().read_slice_cap.
  std::size_t block_size = std::size_t{1} << 20;
  // How many bytes are on their way while the reader works; at least one block, except with
  // `plain`. Nothing: settings().read_ahead.
  std::optional<std::size_t> read_ahead;
  // Past the page cache (O_DIRECT), where the filesystem lets us; else through it. Pays when a file
  // much larger than memory is read once; what is read again is slower for it.
  DirectIo direct = DirectIo::no;
  ReadBackend backend = ReadBackend::automatic;
  // For tests: stands in for the system. Nothing: the system.
  std::shared_ptr<ReadCalls> calls;
};

// The bytes [offset, offset + size) of a file.
struct FileRange {
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> size;  // nothing: up to the end
};

// Reads a regular file, or a range of it, in blocks at multiples of 4 KiB, some of them ahead of
// the reader, so that a file that is not in the page cache comes at the speed of its device.
// next() gives each block in the memory it was read to; read() copies out of it. The two may be
// mixed. Not for two threads at once, but calls may come from one after the other.
//
// Errors, each for ever: io_error with os_error(); file_changed when the file ended early, or when
// at its end its size or time of modification are no longer what they were at the opening (so bytes
// already given may be wrong: believe them when the end has come). A file that another one replaces
// under its name is read on as it was. A range beyond the file is unexpected_end. Files in /proc
// that say they are empty give file_changed: FileSource reads them.
//
// Memory: what is read ahead, a block at hand, as much again that is kept for use, and all blocks
// whose Bytes the reader keeps: to bound those is the reader's business.
// The destructor waits for reads on their way, and leaves no thread behind.
class ReadAheadSource final : public ByteSource, public BlockSource {
 public:
  static Result<ReadAheadSource> open(const std::filesystem::path& path,
                                      const ReadAheadOptions& options = {});
  // Reads by position: where `fd` stands neither matters nor moves. May change whether its open
  // file bypasses the page cache (O_DIRECT), also for duplicates of it.
  static Result<ReadAheadSource> open(FileDescriptor fd, const std::filesystem::path& name,
                                      FileRange range, const ReadAheadOptions& options = {});
  ReadAheadSource(ReadAheadSource&&) noexcept;
  ReadAheadSource& operator=(ReadAheadSource&&) noexcept;
  ~ReadAheadSource() override;

  Result<Bytes> next() override;
  Result<std::size_t> read(MutableByteSpan into) override;
  std::optional<std::uint64_t> remaining() const override;

  const FileInfo& info() const;
  // What reads at the moment, never `automatic`.
  ReadBackend backend() const;

 private:
  struct State;
  explicit ReadAheadSource(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace cleave
