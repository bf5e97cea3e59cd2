// Blocks read by the kernel's io_uring. Whatever a completion leaves undone (short, interrupted,
// refused, or cancelled because the thread that started it has ended) a blocking read finishes.
// TSan does not see the kernel write to a block. There is nothing for it to see: from start() until
// its completion nobody else touches the block, and blocks change hands under the pool's lock.
#include "cleave/base/internal/block_reader.h"

#if CLEAVE_WITH_URING

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include <liburing.h>

#include "cleave/base/internal/fail.h"

namespace cleave {

int ReadCalls::uring_init(unsigned entries, io_uring* ring) {
  return ::io_uring_queue_init(entries, ring, 0);
}

namespace {

constexpr std::size_t kMaxEntries = 1024;

// Errors of the request and not of the file; EINVAL also where a kernel lacks the operation.
bool is_worth_a_blocking_read(int os_error) {
  return os_error == EINTR || os_error == EAGAIN || os_error == ECANCELED || os_error == EINVAL ||
         os_error == EOPNOTSUPP;
}

class UringReader final : public BlockReader {
 public:
  explicit UringReader(FileReads& reads) : reads_(&reads) {}

  bool open(std::size_t blocks_ahead) {
    // One more, for the request that cancels.
    const std::size_t entries = std::min(blocks_ahead + 1, kMaxEntries);
    open_ = reads_->calls().uring_init(static_cast<unsigned>(entries), &ring_) >= 0;
    return open_;
  }

  ~UringReader() override {
    if (!open_) return;
    if (in_flight_ > 0) cancel_all();
    while (in_flight_ > 0) reap();
    ::io_uring_queue_exit(&ring_);
  }

  void start(ReadBlock& block) override {
    io_uring_sqe* request = open_ ? ::io_uring_get_sqe(&ring_) : nullptr;
    if (request == nullptr) {
      block.landed = true;  // as a read of no bytes: wait() does the rest
      return;
    }
    const auto length = static_cast<unsigned>(reads_->length(block.size - block.done));
    ::io_uring_prep_read(request, reads_->fd(), block.memory.get() + block.done, length,
                         block.offset + block.done);
    ::io_uring_sqe_set_data(request, &block);
    ++queued_;
    submit();
  }

  Result<> wait(ReadBlock& block) override {
    while (open_ && !block.landed) {
      submit();
      if (in_flight_ > 0) {
        reap();
      } else {
        close();
      }
    }
    if (block.os_error != 0) return fail(reads_->failed(block.os_error));
    return reads_->fill(block);
  }

 private:
  void submit() {
    while (queued_ > 0) {
      const int n = ::io_uring_submit(&ring_);
      if (n == -EINTR) continue;
      if (n <= 0) return;  // the kernel is out of something: wait() tries again
      queued_ -= n;
      in_flight_ += n;
    }
  }

  // Takes one completion; there must be a request in flight.
  void reap() {
    io_uring_cqe* completion = nullptr;
    int result = 0;
    while ((result = ::io_uring_wait_cqe(&ring_, &completion)) < 0) {
      // To leave while the kernel may write to a block is no choice, whatever the error is.
      if (result != -EINTR) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    auto* block = static_cast<ReadBlock*>(::io_uring_cqe_get_data(completion));
    if (block != nullptr) land(*block, reads_->calls().uring_result(completion->res));
    ::io_uring_cqe_seen(&ring_, completion);
    --in_flight_;
  }

  static void land(ReadBlock& block, int result) {
    block.landed = true;
    if (result >= 0) {
      block.done += std::min(static_cast<std::size_t>(result), block.size - block.done);
    } else if (!is_worth_a_blocking_read(-result)) {
      block.os_error = -result;
    }
  }

  void cancel_all() {
    io_uring_sqe* request = ::io_uring_get_sqe(&ring_);
    if (request == nullptr) return;
    ::io_uring_prep_cancel(request, nullptr, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    ::io_uring_sqe_set_data(request, nullptr);
    ++queued_;
    submit();
  }

  // The kernel takes no requests: those that are queued must not reach it later, either.
  void close() {
    ::io_uring_queue_exit(&ring_);
    open_ = false;
  }

  FileReads* reads_;
  io_uring ring_;
  bool open_ = false;
  int queued_ = 0;     // requests the kernel has not seen
  int in_flight_ = 0;  // requests it has not completed
};

}  // namespace

std::unique_ptr<BlockReader> make_uring_reader(FileReads& reads, std::size_t blocks_ahead) {
  auto reader = std::make_unique<UringReader>(reads);
  if (!reader->open(blocks_ahead)) return nullptr;
  return reader;
}

}  // namespace cleave

#else

#include <cerrno>

namespace cleave {

int ReadCalls::uring_init(unsigned /*entries*/, io_uring* /*ring*/) { return -ENOSYS; }

std::unique_ptr<BlockReader> make_uring_reader(FileReads& /*reads*/, std::size_t /*ahead*/) {
  return nullptr;
}

}  // namespace cleave

#endif
