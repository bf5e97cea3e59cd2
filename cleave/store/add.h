// Adding to a store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "cleave/base/error.h"
#include "cleave/base/executor.h"
#include "cleave/base/io.h"
#include "cleave/chunk/options.h"
#include "cleave/codec/zstd.h"
#include "cleave/observe/progress.h"
#include "cleave/store/format.h"
#include "cleave/store/store.h"

namespace cleave {

// What an addition came to.
struct AddReport {
  Artifact artifact;
  std::uint64_t new_chunks = 0;
  std::uint64_t new_bytes = 0;     // of the chunks that were not in the store
  std::uint64_t stored_bytes = 0;  // what these take in the packs
};

struct AddOptions {
  ChunkingOptions chunking;
  int zstd_level = kDefaultZstdLevel;
  bool sha256 = false;   // of any artifact; NARs, and folders as their NARs, get theirs always
  bool replace = false;  // an artifact of that name
};

// Adds artifacts to a store: read → cut → hash → compress what is new → append → commit, all at
// once on `executor` and a thread that waits for the disk, in bounded memory. Chunks that the store
// has are never compressed again.
class Adder {
 public:
  // Called once for each artifact, in the order of the additions, when it is durable or has failed.
  // On another thread, but never twice at a time.
  using OnResult = std::function<void(const std::string& name, Result<AddReport>)>;

  // Collecting garbage waits until the adder is gone. `executor` and `progress` must outlive it.
  static Result<std::unique_ptr<Adder>> start(std::shared_ptr<Store> store, Executor& executor,
                                              Progress& progress, const AddOptions& options,
                                              OnResult on_result);
  ~Adder();

  // Adds the file or folder at `path`, following it when it is a symlink. An error means that
  // nothing was added (and `on_result` is not called); success, that the rest is up to the commit.
  Result<> add_path(const std::filesystem::path& path, const std::string& name);
  // Adds all that `source` yields as a file.
  Result<> add_stream(ByteSource& source, const std::string& name);
  // Waits for all commits.
  Result<> finish();

 private:
  class Session;
  explicit Adder(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

// The name an artifact gets when none is given: the last part of the path, made absolute.
std::string default_artifact_name(const std::filesystem::path& path);

}  // namespace cleave
