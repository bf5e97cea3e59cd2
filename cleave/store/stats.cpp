#include "cleave/store/stats.h"

#include "cleave/base/file.h"
#include "cleave/base/internal/fail.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/live_chunks.h"

namespace cleave {

Result<StoreStats> store_stats(const Store& store) {
  StoreStats stats;
  const IndexTransaction txn = CLEAVE_TRY(store.index().begin_read());
  const LiveChunks live = CLEAVE_TRY(find_live_chunks(txn, [&](const Artifact& artifact) {
    stats.artifacts += 1;
    stats.artifact_bytes += artifact.size;
  }));
  CLEAVE_TRY(for_each_chunk(
      txn, [&](const Digest& id, const std::optional<ChunkPlace>& place) -> Result<> {
        if (!place) return fail(damaged_record(Table::chunks, id.span()));
        if (live.contains(id)) {
          stats.chunks += 1;
          stats.chunk_bytes += place->size;
          stats.stored_bytes += place->record_size();
        } else {
          stats.unused_chunks += 1;
          stats.unused_bytes += place->record_size();
        }
        return {};
      }));
  CLEAVE_TRY(for_each_pack(
      txn, [&](std::uint32_t pack, const std::optional<PackState>& state) -> Result<> {
        if (!state) return fail(damaged_record(Table::packs, pack_key(pack)));
        stats.packs += 1;
        stats.pack_bytes += state->size;
        return {};
      }));
  const FileInfo index =
      CLEAVE_TRY(file_info(store.path() / "index" / "data.mdb", FollowSymlinks::yes));
  stats.index_bytes = index.size;
  return stats;
}

}  // namespace cleave
