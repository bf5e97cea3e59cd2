#include "cleave/base/read_ahead.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <mutex>
#include <sys/uio.h>
#include <utility>
#include <vector>

#include "cleave/base/internal/block_reader.h"
#include "cleave/base/internal/fail.h"
#include "cleave/base/settings.h"

namespace cleave {

namespace {

// Memory of blocks that nobody uses, up to a number of them.
class BlockPool {
 public:
  BlockPool(std::size_t block_size, std::size_t max_idle)
      : block_size_(block_size), max_idle_(max_idle) {
    idle_.reserve(max_idle);
  }

  // The one given back last: what is left of it is still in the CPU's cache.
  AlignedMemory take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        AlignedMemory memory = std::move(idle_.back());
        idle_.pop_back();
        return memory;
      }
    }
    return allocate_aligned(block_size_);
  }

  void give_back(AlignedMemory memory) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < max_idle_) idle_.push_back(std::move(memory));
  }

 private:
  std::size_t block_size_;
  std::size_t max_idle_;
  std::mutex mutex_;
  std::vector<AlignedMemory> idle_;
};

struct PooledBlock final : BytesOwner {
  PooledBlock(std::shared_ptr<BlockPool> from, AlignedMemory block)
      : pool(std::move(from)), memory(std::move(block)) {}
  ~PooledBlock() override { pool->give_back(std::move(memory)); }

  std::shared_ptr<BlockPool> pool;
  AlignedMemory memory;
};

// No larger than a read may be, nor than the file needs.
std::size_t block_size_for(const ReadAheadOptions& options, std::uint64_t bytes) {
  const std::uint64_t cap = align_down(settings().read_slice_cap);
  const std::uint64_t wanted = std::min<std::uint64_t>(align_up(options.block_size), cap);
  const std::uint64_t needed = std::max<std::uint64_t>(kReadAlignment, align_up(bytes));
  return static_cast<std::size_t>(
      std::clamp<std::uint64_t>(wanted, kReadAlignment, std::min(needed, cap)));
}

}  // namespace

struct ReadAheadSource::State {
  State(FileDescriptor file, const std::filesystem::path& path, const FileInfo& opened,
        std::uint64_t begin, std::uint64_t size, const ReadAheadOptions& options);

  Result<Bytes> next();
  Result<Bytes> next_block();
  Result<> check_end();
  ReadBlock take_block();
  void start_blocks(std::size_t count);
  Bytes give(ReadBlock block);
  void use(ReadBackend wanted);

  FileDescriptor fd;
  std::filesystem::path name;
  FileInfo info;
  std::uint64_t given;     // offset in the file of the next byte to be given
  std::uint64_t position;  // of the next block to be started
  std::uint64_t end;
  std::size_t block_size;
  std::size_t blocks_ahead;
  ReadBackend backend = ReadBackend::plain;
  FileReads reads;
  std::shared_ptr<BlockPool> pool;
  Bytes current;  // what read() has not copied yet
  std::optional<Error> failure;
  std::deque<ReadBlock> started;        // in the order of the file; the blocks stay in place
  std::unique_ptr<BlockReader> reader;  // none while the page cache has all; ends before `started`
};

ReadAheadSource::State::State(FileDescriptor file, const std::filesystem::path& path,
                              const FileInfo& opened, std::uint64_t begin, std::uint64_t size,
                              const ReadAheadOptions& options)
    : fd(std::move(file)),
      name(path),
      info(opened),
      given(begin),
      position(align_down(begin)),
      end(begin + size),
      block_size(block_size_for(options, end - position)),
      blocks_ahead(std::max<std::size_t>(
          1, options.read_ahead.value_or(settings().read_ahead) / block_size)),
      reads(fd.get(), path, options.calls ? options.calls : std::make_shared<ReadCalls>()),
      pool(std::make_shared<BlockPool>(block_size, blocks_ahead + 1)) {
  if (options.direct == DirectIo::yes) reads.begin_direct();
  if (end - position <= block_size) {
    use(ReadBackend::plain);  // nothing to read ahead
  } else if (options.backend != ReadBackend::automatic || reads.direct()) {
    use(options.backend);
  }
}

// Measured: with io_uring cold files come faster than with plain reads. A thread costs more than it
// brings where the kernel reads ahead by itself, which it does not for direct reads.
void ReadAheadSource::State::use(ReadBackend wanted) {
  const bool automatic = wanted == ReadBackend::automatic;
  if (automatic || wanted == ReadBackend::io_uring) {
    reader = make_uring_reader(reads, blocks_ahead);
    backend = ReadBackend::io_uring;
  }
  const bool thread_pays = automatic ? reads.direct() : wanted != ReadBackend::plain;
  if (!reader && thread_pays) {
    reader = make_thread_reader(reads, blocks_ahead);
    backend = ReadBackend::threads;
  }
  if (!reader) {
    reader = make_plain_reader(reads);
    backend = ReadBackend::plain;
    blocks_ahead = 0;
  }
}

ReadBlock ReadAheadSource::State::take_block() {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(block_size, end - position));
  ReadBlock block{.memory = pool->take(), .offset = position, .size = size};
  position += size;
  return block;
}

void ReadAheadSource::State::start_blocks(std::size_t count) {
  while (started.size() < count && position < end) {
    started.push_back(take_block());
    reader->start(started.back());
  }
}

Bytes ReadAheadSource::State::give(ReadBlock block) {
  const std::size_t head = static_cast<std::size_t>(given - block.offset);
  const ByteSpan bytes = ByteSpan(block.memory.get(), block.size).subspan(head);
  given += bytes.size();
  return {bytes, std::make_shared<const PooledBlock>(pool, std::move(block.memory))};
}

Result<> ReadAheadSource::State::check_end() {
  CLEAVE_TRY(check_unchanged(fd.get(), info, name));
  if (info.size > 0) return {};
  // Files in /proc and the like say they are empty.
  std::byte byte;
  const iovec part{&byte, 1};
  if (reads.calls().preadv(fd.get(), {&part, 1}, 0) <= 0) return {};
  return fail(error(IoError::file_changed, "it has bytes and says it is empty")
                  .with_subject("path", name.native()));
}

Result<Bytes> ReadAheadSource::State::next_block() {
  if (given == end) {
    CLEAVE_TRY(check_end());
    return Bytes();
  }
  if (!reader) {
    ReadBlock block = take_block();
    if (reads.fill_cached(block)) return give(std::move(block));
    use(ReadBackend::automatic);
    started.push_back(std::move(block));
    reader->start(started.back());
  }
  start_blocks(std::max<std::size_t>(1, blocks_ahead));
  CLEAVE_TRY(reader->wait(started.front()));
  ReadBlock block = std::move(started.front());
  started.pop_front();
  start_blocks(blocks_ahead);
  return give(std::move(block));
}

Result<Bytes> ReadAheadSource::State::next() {
  if (failure) return fail(*failure);
  Result<Bytes> bytes = next_block();
  if (!bytes) failure = bytes.error();
  return bytes;
}

ReadAheadSource::ReadAheadSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
ReadAheadSource::ReadAheadSource(ReadAheadSource&&) noexcept = default;
ReadAheadSource& ReadAheadSource::operator=(ReadAheadSource&&) noexcept = default;
ReadAheadSource::~ReadAheadSource() = default;

Result<ReadAheadSource> ReadAheadSource::open(const std::filesystem::path& path,
                                              const ReadAheadOptions& options) {
  OpenedFile file = CLEAVE_TRY(open_regular_file(path));
  // With O_NONBLOCK, io_uring would rather refuse than wait for the disk.
  ::fcntl(file.fd.get(), F_SETFL, 0);
  return open(std::move(file.fd), path, {}, options);
}

Result<ReadAheadSource> ReadAheadSource::open(FileDescriptor fd, const std::filesystem::path& name,
                                              FileRange range, const ReadAheadOptions& options) {
  const FileInfo info = CLEAVE_TRY(file_info(fd.get(), name));
  const std::uint64_t rest = info.size - std::min(info.size, range.offset);
  if (range.offset > info.size || range.size.value_or(0) > rest) {
    return fail(error(IoError::unexpected_end, "a range beyond the end of the file")
                    .with_subject("path", name.native())
                    .with_offset(range.offset)
                    .with_limit(info.size));
  }
  return ReadAheadSource(std::make_unique<State>(std::move(fd), name, info, range.offset,
                                                 range.size.value_or(rest), options));
}

Result<Bytes> ReadAheadSource::next() {
  if (!state_->current.empty()) return std::exchange(state_->current, {});
  return state_->next();
}

Result<std::size_t> ReadAheadSource::read(MutableByteSpan into) {
  Bytes& current = state_->current;
  if (current.empty()) current = CLEAVE_TRY(state_->next());
  const std::size_t n = std::min(into.size(), current.size());
  if (n > 0) std::memcpy(into.data(), current.data(), n);
  current = n < current.size() ? current.slice(n, current.size() - n) : Bytes();
  return n;
}

std::optional<std::uint64_t> ReadAheadSource::remaining() const {
  return state_->end - state_->given + state_->current.size();
}

const FileInfo& ReadAheadSource::info() const { return state_->info; }
ReadBackend ReadAheadSource::backend() const { return state_->backend; }

}  // namespace cleave
