// The last step of adding: makes chunks, and then the artifacts made of them, durable and known.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/store/add.h"
#include "cleave/store/format.h"
#include "cleave/store/store.h"

namespace cleave {

class IndexTransaction;
class PackAppender;

struct FinishedArtifact {
  Artifact artifact;
  std::vector<RecipeEntry> recipe;
  bool replace = false;
};

// New chunks, and the artifact that ends with them.
struct Batch {
  Buffer records;
  std::vector<PlacedChunk> chunks;  // their places: offsets in `records`, until they are written
  std::optional<FinishedArtifact> artifact;
  bool first_of_artifact = false;
};

// Takes batches on a thread of its own, since it mostly waits for the disk. What has queued up, and
// what comes while that is written, goes into one transaction: append the records of chunks that no
// other writer brought meanwhile → sync the packs → name chunks and artifacts in the index →
// commit.
class Committer {
 public:
  // `on_result` is called on the committer's thread, in the order of the batches, once an artifact
  // is durable or has failed.
  Committer(Store& store, Adder::OnResult on_result);
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Waits while too much is queued. After a failure every call returns its error.
  Result<> submit(Batch&& batch);
  // Returns when all that was submitted is durable or has failed.
  Result<> finish();
  // A batch to fill, with memory that was used before.
  Batch take_empty();

 private:
  void run();
  std::optional<Batch> next();
  void release(Batch&& batch);
  void refuse(const Error& error);
  Result<> commit();
  Result<> store_batch(IndexTransaction& txn, PackAppender& appender, Batch& batch);
  Result<> store_chunks(IndexTransaction& txn, PackAppender& appender, Batch& batch);
  void report(const Result<>& outcome);

  Store& store_;
  Adder::OnResult on_result_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> queue_;
  std::vector<Batch> empty_;
  std::uint64_t queued_bytes_ = 0;
  bool busy_ = false;
  bool ending_ = false;
  std::optional<Error> failure_;
  // The thread's own: what became of the chunks since the last artifact, and of the artifacts in
  // the transaction at hand.
  AddReport totals_;
  std::vector<std::string> names_;
  std::vector<Result<AddReport>> outcomes_;
  std::thread thread_;
};

}  // namespace cleave
