#include "cleave/chunk/hashed_stream.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "cleave/base/internal/fail.h"
#include "cleave/chunk/chunk_stream.h"

namespace cleave {

namespace {

// What may wait to be taken.
constexpr std::size_t kMaxQueuedBytes = std::size_t{8} << 20;
constexpr std::size_t kMaxQueuedChunks = 4096;

}  // namespace

class HashedStream::Implementation {
 public:
  virtual ~Implementation() = default;
  virtual Result<std::optional<HashedChunk>> next() = 0;

  class Alone;
  class Behind;
};

// On the calling thread.
class HashedStream::Implementation::Alone final : public Implementation {
 public:
  template <class Source>
  Alone(Source& source, const FastCdc& fastcdc, const PipelineOptions& options)
      : algorithm_(options.algorithm),
        progress_(options.progress),
        fastcdc_(fastcdc),
        stream_(source, fastcdc_, options.buffers) {}

  Result<std::optional<HashedChunk>> next() override {
    if (failure_) return fail(*failure_);
    auto chunk = take();
    if (!chunk) failure_ = chunk.error();
    return chunk;
  }

 private:
  Result<std::optional<HashedChunk>> take() {
    if (progress_ != nullptr) CLEAVE_TRY(progress_->check());
    auto chunk = CLEAVE_TRY(stream_.next());
    if (!chunk) return std::nullopt;
    const Digest digest = hash(algorithm_, chunk->payload);
    CLEAVE_TRY(chunk->payload.check());
    if (progress_ != nullptr) progress_->advance(chunk->payload.size());
    return HashedChunk{digest, *std::move(chunk)};
  }

  HashAlgorithm algorithm_;
  Progress* progress_;
  FastCdc fastcdc_;
  ChunkStream stream_;
  std::optional<Error> failure_;
};

// A thread runs the pipeline into a queue.
class HashedStream::Implementation::Behind final : public Implementation {
 public:
  template <class Source>
  Behind(Source& source, ChunkPipeline pipeline)
      : pipeline_(std::move(pipeline)), thread_([this, &source] { run(source); }) {}
  ~Behind() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
    thread_.join();
  }

  Result<std::optional<HashedChunk>> next() override {
    if (ready_.empty()) CLEAVE_TRY(take_queued());
    if (ready_.empty()) return std::nullopt;
    HashedChunk chunk = std::move(ready_.front());
    ready_.pop_front();
    return chunk;
  }

 private:
  // All that waits at once, so that a lock is taken once for many small chunks.
  Result<> take_queued() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return !queue_.empty() || outcome_; });
    if (queue_.empty()) return *outcome_;  // NOLINT(bugprone-unchecked-optional-access): waited for
    std::swap(ready_, queue_);
    queued_bytes_ = 0;
    lock.unlock();
    room_.notify_all();
    return {};
  }

  template <class Source>
  void run(Source& source) {
    Result<> outcome;
    try {
      outcome = pipeline_.run(source, [this](const ProcessedChunk& chunk) { return queue(chunk); });
    } catch (const std::bad_alloc&) {
      outcome = fail(IoError::out_of_memory);
    } catch (const std::system_error& problem) {
      outcome =
          fail(error(IoError::io_error, "start threads").with_os_error(problem.code().value()));
    }
    {
      const std::lock_guard lock(mutex_);
      outcome_ = outcome;
    }
    filled_.notify_all();
  }

  Result<> queue(const ProcessedChunk& processed) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] {
      return stopped_ || (queued_bytes_ < kMaxQueuedBytes && queue_.size() < kMaxQueuedChunks);
    });
    if (stopped_) return fail(IoError::interrupted);
    queued_bytes_ += processed.chunk.payload.size();
    queue_.push_back({processed.hash, processed.chunk});
    lock.unlock();
    filled_.notify_all();
    return {};
  }

  std::deque<HashedChunk> ready_;  // the caller's
  std::mutex mutex_;
  std::condition_variable filled_;
  std::condition_variable room_;
  std::deque<HashedChunk> queue_;
  std::size_t queued_bytes_ = 0;
  bool stopped_ = false;
  std::optional<Result<>> outcome_;
  ChunkPipeline pipeline_;
  std::thread thread_;  // last: it uses all the others
};

HashedStream::HashedStream(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
HashedStream::~HashedStream() = default;
HashedStream::HashedStream(HashedStream&&) noexcept = default;
HashedStream& HashedStream::operator=(HashedStream&&) noexcept = default;

template <class Source>
Result<HashedStream> HashedStream::make(Source& source, const PipelineOptions& options) {
  const std::size_t threads = options.executor != nullptr ? options.executor->concurrency()
                                                          : default_threads(options.threads);
  if (threads == 1) {
    const FastCdc fastcdc = CLEAVE_TRY(FastCdc::create(options.chunking));
    return HashedStream(std::make_unique<Implementation::Alone>(source, fastcdc, options));
  }
  PipelineOptions own = options;
  own.zstd_level.reset();
  // Its threads wait for the caller, who may need the others for that.
  own.executor = nullptr;
  own.threads = threads;
  ChunkPipeline pipeline = CLEAVE_TRY(PipelineBuilder(own).build());
  try {
    return HashedStream(std::make_unique<Implementation::Behind>(source, std::move(pipeline)));
  } catch (const std::system_error& problem) {
    return fail(error(IoError::io_error, "start a thread").with_os_error(problem.code().value()));
  }
}

Result<HashedStream> HashedStream::create(ByteSource& source, const PipelineOptions& options) {
  return make(source, options);
}
Result<HashedStream> HashedStream::create(BlockSource& source, const PipelineOptions& options) {
  return make(source, options);
}

Result<std::optional<HashedChunk>> HashedStream::next() { return implementation_->next(); }

}  // namespace cleave
