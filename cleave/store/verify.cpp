#include "cleave/store/verify.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "cleave/base/internal/fail.h"
#include "cleave/store/internal/file_lock.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/pack_files.h"

namespace cleave {

namespace {

// Chunks are checked in runs of about this many bytes.
constexpr std::uint64_t kRunBytes = std::uint64_t{4} << 20;

class Verifier {
 public:
  Verifier(const Store& store, Executor& executor, Progress& progress, const VerifyOptions& options)
      : store_(store), executor_(executor), progress_(progress), options_(options) {}

  Result<VerifyReport> run() {
    const FileLock lock =
        CLEAVE_TRY(FileLock::acquire(store_.readers_lock(), FileLock::Kind::shared));
    {
      const IndexTransaction txn = CLEAVE_TRY(store_.index().begin_read());
      CLEAVE_TRY(read_artifacts(txn));
      CLEAVE_TRY(place_chunks(txn));
      CLEAVE_TRY(check_packs(txn));
      if (options_.everything && !txn.every_page_is_sound()) {
        add({error(StoreError::index_damaged, "pages that no table has, or two")
                 .with_subject("path", (store_.path() / "index").native()),
             {},
             {},
             {}});
      }
    }
    CLEAVE_TRY(check_chunks());
    name_artifacts();
    return std::move(report_);
  }

 private:
  // A problem, and the chunk it is about if it is about one.
  struct Found {
    Error error;
    std::optional<Digest> chunk;
    std::optional<std::uint32_t> pack;
    std::string artifact;
  };

  bool selected(std::string_view name) const {
    return options_.names.empty() ||
           std::ranges::find(options_.names, name) != options_.names.end();
  }

  Result<> read_artifacts(const IndexTransaction& txn) {
    CLEAVE_TRY(for_each_artifact(
        txn, [&](std::string_view name, const std::optional<Artifact>& artifact) -> Result<> {
          if (!selected(name)) return {};
          report_.artifacts += 1;
          if (!artifact) {
            add({damaged_record(Table::artifacts, as_byte_span(name)), {}, {}, std::string(name)});
            return {};
          }
          auto recipe = read_recipe(txn, *artifact);
          if (!recipe) {
            add({recipe.error(), {}, {}, std::string(name)});
            return {};
          }
          const std::size_t index = names_.size();
          names_.emplace_back(name);
          for (const RecipeEntry& entry : *recipe) users_[entry.id].push_back(index);
          return {};
        }));
    for (const std::string& name : options_.names) {
      if (!CLEAVE_TRY(find_artifact_row(txn, name))) {
        return fail(error(StoreError::no_such_artifact).with_subject("name", name));
      }
    }
    return {};
  }

  static Result<bool> find_artifact_row(const IndexTransaction& txn, const std::string& name) {
    return CLEAVE_TRY(txn.get(Table::artifacts, as_byte_span(name))).has_value();
  }

  // Fills chunks_ with what to check, in the order of the packs.
  Result<> place_chunks(const IndexTransaction& txn) {
    for (const auto& [id, users] : users_) {
      const auto place = find_chunk(txn, id);
      if (!place) {
        add({place.error(), id, {}, {}});
      } else if (!*place) {
        add({error(StoreError::chunk_missing).with_subject("id", to_hex(id.span())), id, {}, {}});
      } else {
        chunks_.push_back({id, **place});
      }
    }
    if (options_.everything) CLEAVE_TRY(place_unused_chunks(txn));
    std::ranges::sort(chunks_, {},
                      [](const PlacedChunk& c) { return std::pair(c.place.pack, c.place.offset); });
    for (const PlacedChunk& chunk : chunks_) report_.bytes += chunk.place.size;
    report_.chunks = chunks_.size();
    progress_.total.store(report_.bytes);
    return {};
  }

  Result<> place_unused_chunks(const IndexTransaction& txn) {
    return for_each_chunk(
        txn, [&](const Digest& id, const std::optional<ChunkPlace>& place) -> Result<> {
          if (users_.contains(id)) return {};
          if (place) {
            chunks_.push_back({id, *place});
          } else {
            add({damaged_record(Table::chunks, id.span()), id, {}, {}});
          }
          return {};
        });
  }

  Result<> check_packs(const IndexTransaction& txn) {
    std::map<std::uint32_t, std::uint64_t> used;  // packs with chunks to check: end of the last one
    for (const PlacedChunk& chunk : chunks_) {
      used[chunk.place.pack] = std::max(used[chunk.place.pack], chunk.place.end());
    }
    std::map<std::uint32_t, PackState> live;
    CLEAVE_TRY(for_each_pack(
        txn, [&](std::uint32_t pack, const std::optional<PackState>& state) -> Result<> {
          if (!state) {
            add({damaged_record(Table::packs, pack_key(pack)), {}, pack, {}});
          } else if (!state->retired) {
            live[pack] = *state;
          }
          return {};
        }));
    for (const auto& [pack, state] : live) {
      const bool wanted = options_.everything || used.contains(pack);
      if (!wanted) continue;
      const auto checked = store_.packs().check_file(pack, state.size);
      if (!checked) add({checked.error(), {}, pack, {}});
    }
    for (const auto& [pack, end] : used) {
      if (live.contains(pack) && end <= live[pack].size) continue;
      add({error(StoreError::index_damaged, "chunks beyond the end of a pack")
               .with_subject("path", store_.packs().path_of(pack).native()),
           {},
           pack,
           {}});
    }
    if (options_.everything) check_tiling(live);
    return {};
  }

  // With every record of the index at hand, they must cover the packs without gap or overlap.
  void check_tiling(const std::map<std::uint32_t, PackState>& live) {
    std::map<std::uint32_t, std::uint64_t> covered;
    for (const auto& [pack, state] : live) covered[pack] = kPackHeaderSize;
    const auto gap = [&](std::uint32_t pack, std::uint64_t offset) {
      add({error(StoreError::index_damaged, "the index does not account for bytes of a pack")
               .with_offset(offset)
               .with_subject("path", store_.packs().path_of(pack).native()),
           {},
           {},
           {}});
    };
    for (const PlacedChunk& chunk : chunks_) {
      std::uint64_t& end = covered[chunk.place.pack];
      if (end != chunk.place.offset) gap(chunk.place.pack, end);
      end = chunk.place.end();
    }
    for (const auto& [pack, state] : live) {
      if (covered[pack] != state.size) gap(pack, covered[pack]);
    }
  }

  Result<> check_chunks() {
    std::vector<std::size_t> run_begins;
    std::uint64_t size = kRunBytes;
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      if (size >= kRunBytes) {
        run_begins.push_back(i);
        size = 0;
      }
      size += chunks_[i].place.size;
    }
    run_begins.push_back(chunks_.size());
    executor_.run(run_begins.size() - 1, [&](std::size_t run) {
      Buffer record;
      Buffer bytes;
      for (std::size_t i = run_begins[run]; i < run_begins[run + 1]; ++i) {
        if (!progress_.check()) return;
        check_chunk(chunks_[i], record, bytes);
      }
    });
    return progress_.check();
  }

  void check_chunk(const PlacedChunk& chunk, Buffer& record, Buffer& bytes) {
    bytes.resize(chunk.place.size);
    const auto read = store_.packs().check_chunk(chunk.id, chunk.place, record, bytes.span());
    progress_.advance(chunk.place.size);
    if (!read) add({read.error(), chunk.id, {}, {}});
  }

  void add(Found found) {
    const std::lock_guard lock(mutex_);
    found_.push_back(std::move(found));
  }

  // Says of each problem which artifacts it touches.
  void name_artifacts() {
    std::set<std::string> damaged;
    for (const Found& found : found_) {
      std::set<std::string> touched;
      if (!found.artifact.empty()) touched.insert(found.artifact);
      if (found.chunk) touch(*found.chunk, touched);
      for (const PlacedChunk& chunk : chunks_) {
        if (found.pack && chunk.place.pack == *found.pack) touch(chunk.id, touched);
      }
      damaged.insert(touched.begin(), touched.end());
      report_.problems.push_back({found.error, {touched.begin(), touched.end()}});
    }
    std::ranges::sort(report_.problems, {}, [](const Problem& p) { return p.error.message(); });
    report_.damaged_artifacts.assign(damaged.begin(), damaged.end());
  }

  void touch(const Digest& id, std::set<std::string>& touched) const {
    const auto users = users_.find(id);
    if (users == users_.end()) return;
    for (const std::size_t index : users->second) touched.insert(names_[index]);
  }

  const Store& store_;
  Executor& executor_;
  Progress& progress_;
  const VerifyOptions& options_;
  VerifyReport report_;

  std::vector<std::string> names_;  // of the artifacts whose recipes can be read
  std::unordered_map<Digest, std::vector<std::size_t>, DigestHash> users_;  // indices of names_
  std::vector<PlacedChunk> chunks_;
  std::mutex mutex_;
  std::vector<Found> found_;
};

}  // namespace

Result<VerifyReport> verify_store(const Store& store, Executor& executor, Progress& progress,
                                  const VerifyOptions& options) {
  return Verifier(store, executor, progress, options).run();
}

}  // namespace cleave
