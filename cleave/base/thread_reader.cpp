// Blocks read by a thread: all that are waiting, up to half of those ahead, in one call.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "cleave/base/internal/block_reader.h"
#include "cleave/base/internal/fail.h"

namespace cleave {

namespace {

class ThreadReader final : public BlockReader {
 public:
  ThreadReader(FileReads& reads, std::size_t blocks_per_call)
      : reads_(&reads), blocks_per_call_(blocks_per_call), thread_([this] { run(); }) {}

  ~ThreadReader() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_one();
    thread_.join();
  }

  void start(ReadBlock& block) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(&block);
    }
    work_.notify_one();
  }

  Result<> wait(ReadBlock& block) override {
    std::unique_lock lock(mutex_);
    landed_.wait(lock, [&] { return block.landed || failure_; });
    if (block.landed) return {};
    return fail(*failure_);
  }

 private:
  void run() {
    for (;;) {
      const std::vector<ReadBlock*> blocks = take_waiting();
      if (blocks.empty()) return;
      const Result<> filled = reads_->fill(blocks);
      {
        const std::lock_guard lock(mutex_);
        for (ReadBlock* block : blocks) block->landed = block->done == block->size;
        if (!filled) failure_ = filled.error();
      }
      landed_.notify_one();
      if (!filled) return;
    }
  }

  // Empty at the end.
  std::vector<ReadBlock*> take_waiting() {
    std::unique_lock lock(mutex_);
    work_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return {};
    const auto count = static_cast<std::ptrdiff_t>(std::min(waiting_.size(), blocks_per_call_));
    std::vector<ReadBlock*> taken(waiting_.begin(), waiting_.begin() + count);
    waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    return taken;
  }

  FileReads* reads_;
  std::size_t blocks_per_call_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable landed_;
  std::deque<ReadBlock*> waiting_;
  std::optional<Error> failure_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<BlockReader> make_thread_reader(FileReads& reads, std::size_t blocks_ahead) {
  try {
    return std::make_unique<ThreadReader>(reads, std::max<std::size_t>(1, blocks_ahead / 2));
  } catch (const std::system_error&) {
    return nullptr;  // no more threads
  }
}

}  // namespace cleave
