#include "cleave/store/get.h"

#include <algorithm>
#include <array>
#include <vector>

#include "cleave/base/internal/fail.h"
#include "cleave/base/pipeline.h"
#include "cleave/nar/nar_unpack.h"
#include "cleave/observe/metrics.h"
#include "cleave/store/internal/file_lock.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/pack_files.h"

namespace cleave {

namespace {

SpanSite write_span("get.write");

// Chunks are decoded in groups of about this size: larger than most chunks, small enough to stay in
// the cache until they are written.
constexpr std::size_t kGroupBytes = std::size_t{1} << 20;
constexpr std::size_t kGroupsPerThread = 3;

struct Group {
  std::size_t first = 0;  // its chunks: [first, end)
  std::size_t end = 0;
  std::uint64_t offset = 0;  // in the artifact
  Buffer record;
  Buffer bytes;
};

// The chunks of an artifact with where they are, as of one instant.
Result<std::vector<PlacedChunk>> place_chunks(const Store& store, const Artifact& artifact) {
  const IndexTransaction txn = CLEAVE_TRY(store.index().begin_read());
  const auto current = CLEAVE_TRY(find_artifact(txn, artifact.name));
  if (!current || current->serial != artifact.serial) {
    return fail(error(StoreError::no_such_artifact, "it was removed or replaced meanwhile")
                    .with_subject("name", artifact.name));
  }
  const std::vector<RecipeEntry> recipe = CLEAVE_TRY(read_recipe(txn, artifact));
  std::vector<PlacedChunk> chunks;
  chunks.reserve(recipe.size());
  for (const RecipeEntry& entry : recipe) {
    const auto place = CLEAVE_TRY(find_chunk(txn, entry.id));
    if (!place || place->size != entry.size) {
      return fail(error(StoreError::chunk_missing)
                      .with_subject("artifact", artifact.name)
                      .with_subject("id", to_hex(entry.id.span())));
    }
    chunks.push_back({entry.id, *place});
  }
  return chunks;
}

// Decodes an artifact group by group on `executor`. `write` gets each group in `order`.
Result<> decode(const Store& store, Executor& executor, const Artifact& artifact,
                Progress& progress, StageOrder order, FunctionRef<Result<>(const Group&)> write) {
  const FileLock lock = CLEAVE_TRY(FileLock::acquire(store.readers_lock(), FileLock::Kind::shared));
  const std::vector<PlacedChunk> chunks = CLEAVE_TRY(place_chunks(store, artifact));
  std::size_t next = 0;
  std::uint64_t offset = 0;

  const auto take = [&](Group& group) -> Result<bool> {
    CLEAVE_TRY(progress.check());
    group.first = next;
    group.offset = offset;
    std::size_t size = 0;
    for (; next < chunks.size() && size < kGroupBytes; ++next) size += chunks[next].place.size;
    group.end = next;
    group.bytes.resize(size);
    offset += size;
    return size > 0;
  };
  const auto read = [&](Group& group) -> Result<> {
    MutableByteSpan rest = group.bytes.span();
    for (std::size_t i = group.first; i < group.end; ++i) {
      const auto& [id, place] = chunks[i];
      CLEAVE_TRY(store.packs().read_chunk(id, place, group.record, rest.first(place.size)));
      rest = rest.subspan(place.size);
    }
    return {};
  };
  const auto pass_on = [&](Group& group) -> Result<> {
    Span span(write_span, group.bytes.size());
    CLEAVE_TRY(write(group));
    progress.advance(group.bytes.size());
    return {};
  };
  std::vector<Group> groups(kGroupsPerThread * executor.concurrency());
  const std::array<Stage<Group>, 2> stages = {{{StageOrder::parallel, read}, {order, pass_on}}};
  return run_pipeline<Group>(executor, groups, take, stages);
}

}  // namespace

Result<> write_artifact(const Store& store, Executor& executor, const Artifact& artifact,
                        ByteSink& sink, Progress& progress) {
  return decode(store, executor, artifact, progress, StageOrder::serial,
                [&](const Group& group) { return sink.write(group.bytes.span()); });
}

Result<> restore_file(const Store& store, Executor& executor, const Artifact& artifact,
                      const std::filesystem::path& path, Overwrite overwrite, Progress& progress) {
  OutputFile file = CLEAVE_TRY(OutputFile::create(path, overwrite));
  CLEAVE_TRY(
      decode(store, executor, artifact, progress, StageOrder::parallel,
             [&](const Group& group) { return file.write_at(group.bytes.span(), group.offset); }));
  return file.commit();
}

Result<> restore_folder(const Store& store, Executor& executor, const Artifact& artifact,
                        const std::filesystem::path& path, Progress& progress) {
  NarUnpacker unpacker = CLEAVE_TRY(NarUnpacker::create(path));
  NarReader reader(unpacker, {.total_size = artifact.size});
  CLEAVE_TRY(decode(store, executor, artifact, progress, StageOrder::serial,
                    [&](const Group& group) { return reader.feed(group.bytes.span()); }));
  CLEAVE_TRY(reader.finish());
  return unpacker.commit();
}

}  // namespace cleave
