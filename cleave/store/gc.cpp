#include "cleave/store/gc.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <ranges>
#include <set>
#include <unistd.h>

#include "cleave/base/internal/system.h"
#include "cleave/store/internal/file_lock.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/live_chunks.h"
#include "cleave/store/internal/pack_files.h"

namespace cleave {

namespace {

namespace fs = std::filesystem;

struct Pack {
  PackState state;
  std::vector<PlacedChunk> live;
  std::vector<PlacedChunk> unused;
  std::uint64_t unused_bytes = 0;
};

class Collector {
 public:
  Collector(Store& store, Progress& progress, const GcOptions& options)
      : store_(store), progress_(progress), options_(options) {}

  Result<GcReport> run() {
    const FileLock alone =
        CLEAVE_TRY(FileLock::acquire(store_.writers_lock(), FileLock::Kind::exclusive));
    CLEAVE_TRY(survey());
    // From the newest on: chunks move to the newest pack that is not retired, and what the survey
    // has not seen there would be lost if it were cleaned after that.
    for (auto& [number, pack] : std::views::reverse(packs_)) {
      CLEAVE_TRY(progress_.check());
      progress_.advance(pack.state.size);
      if (pack.state.retired) continue;
      if (!worth_it(pack)) {
        report_.unused_bytes += pack.unused_bytes;
        continue;
      }
      CLEAVE_TRY(clean(number, pack));
    }
    if (!options_.dry_run) {
      CLEAVE_TRY(remove_retired());
      CLEAVE_TRY(remove_leftovers());
    }
    return std::move(report_);
  }

 private:
  Result<> survey() {
    const IndexTransaction txn = CLEAVE_TRY(store_.index().begin_read());
    const LiveChunks live = CLEAVE_TRY(find_live_chunks(txn, [](const Artifact&) {}));
    std::uint64_t total = 0;
    CLEAVE_TRY(for_each_pack(
        txn, [&](std::uint32_t number, const std::optional<PackState>& state) -> Result<> {
          if (!state) return fail(damaged_record(Table::packs, pack_key(number)));
          packs_[number].state = *state;
          total += state->size;
          return {};
        }));
    progress_.total.store(total);
    return for_each_chunk(
        txn, [&](const Digest& id, const std::optional<ChunkPlace>& place) -> Result<> {
          if (!place) return fail(damaged_record(Table::chunks, id.span()));
          const auto pack = packs_.find(place->pack);
          if (pack == packs_.end()) return fail(damaged_record(Table::chunks, id.span()));
          const bool is_live = live.contains(id);
          (is_live ? pack->second.live : pack->second.unused).push_back({id, *place});
          if (!is_live) pack->second.unused_bytes += place->record_size();
          return {};
        });
  }

  bool worth_it(const Pack& pack) const {
    if (pack.unused_bytes == 0) return false;
    return pack.live.empty() ||
           pack.unused_bytes * 100 > pack.state.size * options_.max_unused_percent;
  }

  // Moves the live chunks of a pack to another one and retires it, in one transaction.
  Result<> clean(std::uint32_t number, Pack& pack) {
    if (const auto fine = check_live(pack); !fine) {
      if (fine.error().is(StoreError::pack_damaged)) {
        report_.problems.push_back(fine.error());
        report_.unused_bytes += pack.unused_bytes;
        return {};
      }
      return fine;
    }
    if (!options_.dry_run) CLEAVE_TRY(move_and_retire(number, pack));
    report_.removed_chunks += pack.unused.size();
    report_.freed_bytes += pack.unused_bytes;
    (pack.live.empty() ? report_.removed_packs : report_.rewritten_packs) += 1;
    return {};
  }

  Result<> check_live(Pack& pack) {
    std::ranges::sort(pack.live, {}, [](const PlacedChunk& chunk) { return chunk.place.offset; });
    for (const auto& [id, place] : pack.live) {
      CLEAVE_TRY(progress_.check());
      bytes_.resize(place.size);
      CLEAVE_TRY(store_.packs().check_chunk(id, place, record_, bytes_.span()));
    }
    return {};
  }

  Result<> move_and_retire(std::uint32_t number, Pack& pack) {
    IndexTransaction txn = CLEAVE_TRY(store_.index().begin_write());
    // Retired first, so that the appender does not choose this very pack.
    CLEAVE_TRY(put_pack(txn, number, {.size = pack.state.size, .retired = true}));
    PackAppender appender(store_.packs(), txn, store_.limits().pack_size);
    for (auto& [id, place] : pack.live) {
      CLEAVE_TRY(store_.packs().read_record(id, place, record_));
      const auto at = CLEAVE_TRY(appender.append(record_.span()));
      place.pack = at.pack;
      place.offset = at.offset;
      CLEAVE_TRY(put_chunk(txn, id, place));
      report_.copied_bytes += record_.size();
    }
    for (const PlacedChunk& chunk : pack.unused) CLEAVE_TRY(remove_chunk(txn, chunk.id));
    CLEAVE_TRY(appender.sync());
    CLEAVE_TRY(txn.commit());
    pack.state.retired = true;
    return {};
  }

  // Removes retired packs, if no reader can have learnt of their chunks before they were retired.
  Result<> remove_retired() {
    std::vector<std::uint32_t> retired;
    for (const auto& [number, pack] : packs_) {
      if (pack.state.retired) retired.push_back(number);
    }
    if (retired.empty()) return {};
    const auto no_readers =
        CLEAVE_TRY(FileLock::try_acquire(store_.readers_lock(), FileLock::Kind::exclusive));
    if (!no_readers) {
      report_.waiting_packs = retired.size();
      return {};
    }
    for (const std::uint32_t number : retired) {
      store_.packs().close(number);
      CLEAVE_TRY(remove_file(store_.packs().path_of(number)));
    }
    CLEAVE_TRY(sync_directory(store_.packs().directory()));
    // The index forgets them last: a crash before this removes them again.
    IndexTransaction txn = CLEAVE_TRY(store_.index().begin_write());
    for (const std::uint32_t number : retired) CLEAVE_TRY(remove_pack(txn, number));
    return txn.commit();
  }

  // Pack files that the index does not know: a writer was killed before its commit.
  Result<> remove_leftovers() {
    std::set<fs::path> known;
    const IndexTransaction txn = CLEAVE_TRY(store_.index().begin_read());
    CLEAVE_TRY(for_each_pack(txn, [&](std::uint32_t number, const std::optional<PackState>&) {
      known.insert(store_.packs().path_of(number));
      return Result<>();
    }));
    std::error_code problem;
    for (fs::directory_iterator entry(store_.packs().directory(), problem), end;
         !problem && entry != end; entry.increment(problem)) {
      const bool ours = entry->path().extension() == ".pack";
      if (ours && !known.contains(entry->path())) CLEAVE_TRY(remove_file(entry->path()));
    }
    return {};
  }

  static Result<> remove_file(const fs::path& path) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return fail(system_error("remove", path));
  }

  Store& store_;
  Progress& progress_;
  const GcOptions& options_;
  GcReport report_;
  std::map<std::uint32_t, Pack> packs_;
  Buffer record_;
  Buffer bytes_;
};

}  // namespace

Result<GcReport> collect_garbage(Store& store, Progress& progress, const GcOptions& options) {
  return Collector(store, progress, options).run();
}

}  // namespace cleave
