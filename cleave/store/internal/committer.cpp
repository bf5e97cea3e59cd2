#include "cleave/store/internal/committer.h"

#include <new>
#include <utility>

#include "cleave/base/internal/fail.h"
#include "cleave/observe/metrics.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/pack_files.h"

namespace cleave {

namespace {

// What may wait to be written, what is being written included: it bounds the memory.
constexpr std::uint64_t kMaxQueuedBytes = std::uint64_t{16} << 20;
constexpr std::size_t kMaxQueuedBatches = 4096;
constexpr std::size_t kMaxIdle = 3;
// A commit takes what there is. Where the disk is slower than what comes in, there is more and
// more; no commit is larger than this, as other writers wait for its end.
constexpr std::uint64_t kMaxCommitBytes = std::uint64_t{128} << 20;
constexpr std::size_t kMaxCommitArtifacts = 1024;

SpanSite commit_span("store.commit");

}  // namespace

Committer::Committer(Store& store, Adder::OnResult on_result)
    : store_(store), on_result_(std::move(on_result)), thread_([this] { run(); }) {}

Committer::~Committer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<> Committer::submit(Batch&& batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const bool room = queued_bytes_ < kMaxQueuedBytes && queue_.size() < kMaxQueuedBatches;
    return room || failure_;
  });
  if (failure_) return fail(*failure_);
  queued_bytes_ += batch.records.size();
  queue_.push_back(std::move(batch));
  changed_.notify_all();
  return {};
}

Result<> Committer::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.empty() && !busy_; });
  if (failure_) return fail(*failure_);
  return {};
}

Batch Committer::take_empty() {
  const std::lock_guard lock(mutex_);
  if (empty_.empty()) return {};
  Batch batch = std::move(empty_.back());
  empty_.pop_back();
  return batch;
}

void Committer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    busy_ = true;
    lock.unlock();
    Result<> outcome;
    try {
      outcome = commit();
    } catch (const std::bad_alloc&) {
      outcome = fail(IoError::out_of_memory);
    }
    if (!outcome) refuse(outcome.error());
    report(outcome);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

std::optional<Batch> Committer::next() {
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) return std::nullopt;
  std::optional<Batch> batch = std::move(queue_.front());
  queue_.pop_front();
  if (batch->artifact) names_.push_back(batch->artifact->artifact.name);
  return batch;
}

void Committer::release(Batch&& batch) {
  {
    const std::lock_guard lock(mutex_);
    queued_bytes_ -= batch.records.size();
    if (batch.records.capacity() > 0 && empty_.size() < kMaxIdle) {
      batch.records.clear();
      batch.chunks.clear();
      batch.artifact.reset();
      batch.first_of_artifact = false;
      empty_.push_back(std::move(batch));
    }
  }
  changed_.notify_all();
}

void Committer::refuse(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = error;
  }
  // What has queued up meanwhile is not tried, and fails too.
  while (std::optional<Batch> batch = next()) release(*std::move(batch));
}

Result<> Committer::commit() {
  Span span(commit_span);
  names_.clear();
  outcomes_.clear();
  IndexTransaction txn = CLEAVE_TRY(store_.index().begin_write());
  PackAppender appender(store_.packs(), txn, store_.limits().pack_size);
  std::uint64_t written = 0;
  while (written < kMaxCommitBytes && outcomes_.size() < kMaxCommitArtifacts) {
    std::optional<Batch> batch = next();
    if (!batch) break;
    written += batch->records.size();
    const Result<> stored = store_batch(txn, appender, *batch);
    release(*std::move(batch));
    CLEAVE_TRY(stored);
  }
  span.add_bytes(written);
  // The order that makes a crash harmless: data first, then what names it.
  CLEAVE_TRY(appender.sync());
  return txn.commit();
}

Result<> Committer::store_batch(IndexTransaction& txn, PackAppender& appender, Batch& batch) {
  if (batch.first_of_artifact) totals_ = {};  // of one that failed half-way
  CLEAVE_TRY(store_chunks(txn, appender, batch));
  if (!batch.artifact) return {};
  AddReport made = std::exchange(totals_, {});
  FinishedArtifact& finished = *batch.artifact;
  const auto put = put_artifact(txn, finished.artifact, finished.recipe, finished.replace);
  if (!put && !put.error().is(StoreError::name_exists)) return put;
  made.artifact = finished.artifact;
  outcomes_.push_back(put ? Result<AddReport>(std::move(made)) : fail(put.error()));
  return {};
}

// Appends the records of those chunks that are new still, neighbours in one write.
Result<> Committer::store_chunks(IndexTransaction& txn, PackAppender& appender, Batch& batch) {
  std::vector<PlacedChunk>& chunks = batch.chunks;
  std::size_t first = 0;
  while (first < chunks.size()) {
    // A run of new chunks: [first, end), the records [begin, begin + size) of the batch.
    std::size_t end = first;
    const std::uint64_t begin = chunks[first].place.offset;
    std::uint64_t size = 0;
    bool known = false;
    for (; end < chunks.size(); ++end) {
      known = CLEAVE_TRY(find_chunk(txn, chunks[end].id)).has_value();
      if (known) break;
      size += chunks[end].place.record_size();
    }
    if (size > 0) {
      const auto at = CLEAVE_TRY(appender.append(batch.records.span().subspan(begin, size)));
      for (std::size_t i = first; i < end; ++i) {
        ChunkPlace place = chunks[i].place;
        place.pack = at.pack;
        place.offset = at.offset + (place.offset - begin);
        CLEAVE_TRY(put_chunk(txn, chunks[i].id, place));
        totals_.new_chunks += 1;
        totals_.new_bytes += place.size;
        totals_.stored_bytes += place.record_size();
      }
    }
    first = end + (known ? 1 : 0);
  }
  return {};
}

void Committer::report(const Result<>& outcome) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    on_result_(names_[i], outcome ? std::move(outcomes_[i]) : fail(outcome.error()));
  }
}

}  // namespace cleave
