// Store: a folder that keeps artifacts as chunks, each chunk once.
//
// The format is specified in docs/formats/store.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "cleave/base/error.h"
#include "cleave/store/format.h"
#include "cleave/store/store_error.h"

namespace cleave {

class IndexEnvironment;
class PackFiles;
struct LockFile;

enum class StoreMode : std::uint8_t {
  read,
  write,
  create,  // write, and make the store if nothing is there
};

// What tests and benchmarks change.
struct StoreLimits {
  std::uint64_t pack_size = std::uint64_t{256} << 20;  // a new pack is begun when this is reached
};

// Called again and again while another process keeps one waiting for longer than a moment; an error
// ends the wait, and what waited fails with it.
using OnWait = std::function<Result<>()>;

// An open store. Thread-safe. Any number of processes may use a store at once: readers never wait,
// and see every artifact whole or not at all; those who add take turns at each commit; collecting
// garbage waits for those who add. What a function has reported as done survives a crash of the
// process, the system or the power.
class Store {
 public:
  // Errors: no_store, not_a_store, store_version_unsupported, index_damaged.
  static Result<std::shared_ptr<Store>> open(const std::filesystem::path& path, StoreMode mode,
                                             const StoreLimits& limits = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // All artifacts by name.
  Result<std::vector<Artifact>> list() const;
  // Error: no_such_artifact.
  Result<Artifact> find(std::string_view name) const;
  // Forgets an artifact. Its chunks stay until collect_garbage().
  Result<> remove(std::string_view name);

  // To be called before the store is used: for those who add while garbage is collected, and the
  // other way round. Without it they wait silently.
  void set_on_wait(OnWait on_wait);

  const std::filesystem::path& path() const { return path_; }
  const StoreLimits& limits() const { return limits_; }
  // The parts, for the operations in the other headers of this folder.
  IndexEnvironment& index() const { return *index_; }
  PackFiles& packs() const { return *packs_; }
  // Held shared by those who add, exclusively by the one who collects garbage.
  const LockFile& writers_lock() const { return *writers_lock_; }
  // Held shared while packs are read by places from the index, exclusively to remove old packs.
  std::filesystem::path readers_lock() const { return path_ / "readers.lock"; }

 private:
  explicit Store(std::filesystem::path path, const StoreLimits& limits);
  Result<> create();
  Result<> check_version() const;

  std::filesystem::path path_;
  StoreLimits limits_;
  std::shared_ptr<IndexEnvironment> index_;
  std::unique_ptr<PackFiles> packs_;
  std::unique_ptr<LockFile> writers_lock_;
};

// CLEAVE_STORE, else "cleave" in XDG_DATA_HOME or ~/.local/share.
std::filesystem::path default_store_path();

}  // namespace cleave
