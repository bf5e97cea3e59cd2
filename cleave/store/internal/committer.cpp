#include "cleave/store/internal/committer.h"

#include <new>
#include <utility>

#include "cleave/base/internal/fail.h"
#include "cleave/observe/metrics.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/pack_files.h"

namespace cleave {

namespace {

// What may wait to be written; together with what is being written it bounds the memory.
constexpr std::uint64_t kMaxQueuedBytes = std::uint64_t{24} << 20;
constexpr std::size_t kMaxQueuedBatches = 4096;
constexpr std::size_t kMaxIdle = 3;

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
    changed_.wait(lock, [&] { return ending_ || (!queue_.empty() && !failure_); });
    if (queue_.empty() || failure_) return;
    std::vector<Batch> batches(std::make_move_iterator(queue_.begin()),
                               std::make_move_iterator(queue_.end()));
    queue_.clear();
    queued_bytes_ = 0;
    busy_ = true;
    lock.unlock();
    changed_.notify_all();

    Result<> outcome;
    try {
      outcome = commit(batches);
    } catch (const std::bad_alloc&) {
      outcome = fail(IoError::out_of_memory);
    }
    report(batches, outcome);

    lock.lock();
    if (!outcome) {
      failure_ = outcome.error();
      // What has queued up meanwhile is not tried, and fails too.
      batches.assign(std::make_move_iterator(queue_.begin()),
                     std::make_move_iterator(queue_.end()));
      queue_.clear();
      lock.unlock();
      changed_.notify_all();
      report(batches, outcome);
      lock.lock();
    }
    busy_ = false;
    for (Batch& batch : batches) {
      if (empty_.size() >= kMaxIdle) break;
      if (batch.records.capacity() == 0) continue;
      batch.records.clear();
      batch.chunks.clear();
      batch.artifact.reset();
      batch.first_of_artifact = false;
      empty_.push_back(std::move(batch));
    }
    changed_.notify_all();
  }
}

Result<> Committer::commit(std::vector<Batch>& batches) {
  Span span(commit_span);
  outcomes_.clear();
  IndexTransaction txn = CLEAVE_TRY(store_.index().begin_write());
  PackAppender appender(store_.packs(), txn, store_.limits().pack_size);
  for (Batch& batch : batches) {
    span.add_bytes(batch.records.size());
    if (batch.first_of_artifact) totals_ = {};  // of one that failed half-way
    CLEAVE_TRY(store_chunks(txn, appender, batch));
    if (!batch.artifact) continue;
    AddReport made = std::exchange(totals_, {});
    FinishedArtifact& finished = *batch.artifact;
    const auto put = put_artifact(txn, finished.artifact, finished.recipe, finished.replace);
    if (!put && !put.error().is(StoreError::name_exists)) return put;
    made.artifact = finished.artifact;
    outcomes_.push_back(put ? Result<AddReport>(std::move(made)) : fail(put.error()));
  }
  // The order that makes a crash harmless: data first, then what names it.
  CLEAVE_TRY(appender.sync());
  return txn.commit();
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

void Committer::report(std::vector<Batch>& batches, const Result<>& outcome) {
  std::size_t next = 0;
  for (const Batch& batch : batches) {
    if (!batch.artifact) continue;
    const std::string& name = batch.artifact->artifact.name;
    on_result_(name, outcome ? std::move(outcomes_[next++]) : fail(outcome.error()));
  }
}

}  // namespace cleave
