// Stores for tests: small ones with many small chunks, filled and read back in one call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cleave/base/executor.h"
#include "cleave/base/io.h"
#include "cleave/store/add.h"
#include "cleave/store/gc.h"
#include "cleave/store/get.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/store.h"
#include "cleave/store/verify.h"
#include "tests/support/bytes.h"
#include "tests/support/temp_dir.h"

namespace cleave::test {

// Chunks of some hundred bytes.
inline AddOptions small_chunks() {
  AddOptions options;
  options.chunking.min_size = 64;
  options.chunking.avg_size = 256;
  options.chunking.max_size = 1024;
  return options;
}

inline std::shared_ptr<Store> open_store(const std::filesystem::path& path,
                                         const StoreLimits& limits = {}) {
  return Store::open(path, StoreMode::create, limits).value();
}

// Adds through `put(adder)`, and returns what came of it: the outcome of one artifact.
template <class Put>
Result<AddReport> add_with(const std::shared_ptr<Store>& store, Executor& executor,
                           const AddOptions& options, Put put) {
  std::optional<Result<AddReport>> outcome;
  Progress progress;
  const auto adder = CLEAVE_TRY(Adder::start(
      store, executor, progress, options,
      [&](const std::string&, Result<AddReport> result) { outcome = std::move(result); }));
  CLEAVE_TRY(put(*adder));
  CLEAVE_TRY(adder->finish());
  return *std::move(outcome);
}

inline Result<AddReport> add_bytes(const std::shared_ptr<Store>& store, const std::string& name,
                                   ByteSpan bytes, const AddOptions& options = small_chunks(),
                                   Executor* executor = nullptr) {
  const auto own = make_inline_executor();
  return add_with(store, executor != nullptr ? *executor : *own, options, [&](Adder& adder) {
    MemorySource source(bytes);
    return adder.add_stream(source, name);
  });
}

inline Result<AddReport> add_text(const std::shared_ptr<Store>& store, const std::string& name,
                                  std::string_view text,
                                  const AddOptions& options = small_chunks()) {
  return add_bytes(store, name, as_byte_span(text), options);
}

inline Result<AddReport> add_file(const std::shared_ptr<Store>& store, const std::string& name,
                                  const std::filesystem::path& path,
                                  const AddOptions& options = small_chunks(),
                                  Executor* executor = nullptr) {
  const auto own = make_inline_executor();
  return add_with(store, executor != nullptr ? *executor : *own, options,
                  [&](Adder& adder) { return adder.add_path(path, name); });
}

// The bytes of an artifact.
inline Result<std::string> get_text(const Store& store, const std::string& name,
                                    Executor* executor = nullptr) {
  const auto own = make_inline_executor();
  const Artifact artifact = CLEAVE_TRY(store.find(name));
  BufferSink sink;
  Progress progress;
  CLEAVE_TRY(
      write_artifact(store, executor != nullptr ? *executor : *own, artifact, sink, progress));
  return text_of(sink.buffer.span());
}

inline Result<GcReport> collect(Store& store, const GcOptions& options = {}) {
  Progress progress;
  return collect_garbage(store, progress, options);
}

inline std::vector<Artifact> artifacts_of(const Store& store) { return store.list().value(); }

inline std::vector<RecipeEntry> recipe_of(const IndexTransaction& txn, const Artifact& artifact) {
  return read_recipe(txn, artifact).value();
}
inline std::vector<RecipeEntry> recipe_of(const Store& store, const Artifact& artifact) {
  return recipe_of(store.index().begin_read().value(), artifact);
}

enum class Everything : bool { no, yes };

inline Result<VerifyReport> verify(const Store& store, Everything everything = Everything::no,
                                   const std::vector<std::string>& names = {}) {
  const auto executor = make_inline_executor();
  Progress progress;
  return verify_store(store, *executor, progress,
                      {.names = names, .everything = everything == Everything::yes});
}

// The bytes of every file in the folder of packs.
inline std::map<std::string, std::string> pack_contents(const std::filesystem::path& store) {
  std::map<std::string, std::string> packs;
  for (const auto& entry : std::filesystem::directory_iterator(store / "packs")) {
    packs[entry.path().filename()] = read_file(entry.path());
  }
  return packs;
}

inline std::uint64_t pack_bytes(const std::filesystem::path& store) {
  std::uint64_t size = 0;
  for (const auto& [name, bytes] : pack_contents(store)) size += bytes.size();
  return size;
}

// Executors of every kind, with names for messages.
struct NamedExecutor {
  std::string name;
  std::unique_ptr<Executor> executor;
};
inline std::vector<NamedExecutor> all_executors(std::uint64_t seeds) {
  std::vector<NamedExecutor> executors;
  executors.push_back({"inline", make_inline_executor()});
  executors.push_back({"4 threads", make_thread_executor(4)});
  executors.push_back({"default, 3 threads", make_executor(3)});
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    executors.push_back({"seed " + std::to_string(seed), make_seeded_executor(seed)});
  }
  return executors;
}

}  // namespace cleave::test
