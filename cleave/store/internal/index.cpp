#include "cleave/store/internal/index.h"

#include <algorithm>

#include "cleave/base/endian.h"
#include "cleave/base/internal/fail.h"
#include "cleave/store/store_error.h"

namespace cleave {

namespace {

template <class T>
using Decode = std::optional<T> (*)(RecordKey, ByteSpan);

template <class T>
Result<std::optional<T>> find(const IndexTransaction& txn, Table table, ByteSpan key,
                              Decode<T> decode) {
  const auto value = CLEAVE_TRY(txn.get(table, key));
  if (!value) return std::nullopt;
  std::optional<T> decoded = decode(key, *value);
  if (!decoded) return fail(damaged_record(table, key));
  return decoded;
}

// Calls each(key, decoded or nothing) for every row of `table`.
template <class T, class Each>
Result<> walk(const IndexTransaction& txn, Table table, Decode<T> decode, Each each) {
  IndexCursor cursor = CLEAVE_TRY(IndexCursor::open(txn, table));
  auto row = CLEAVE_TRY(cursor.seek({}));
  while (row) {
    CLEAVE_TRY(each(row->key, decode(row->key, row->value)));
    row = CLEAVE_TRY(cursor.next());
  }
  return {};
}

std::uint32_t segments_of(const Artifact& artifact) {
  return static_cast<std::uint32_t>((artifact.chunks + kRecipeSegment - 1) / kRecipeSegment);
}

Digest to_digest(ByteSpan key) {
  Digest digest;
  std::copy_n(key.begin(), std::min(key.size(), Digest::kSize), digest.bytes.begin());
  return digest;
}

}  // namespace

Error damaged_record(Table table, ByteSpan key) {
  const bool is_name = table == Table::artifacts || table == Table::meta;
  Error made = error(StoreError::index_damaged, "a record of table {}", table_name(table));
  return made.with_subject("key", is_name ? as_text(key) : std::string_view(to_hex(key)));
}

Error name_exists(std::string_view name) {
  return error(StoreError::name_exists,
               "choose another with --name, or replace what it names with --replace")
      .with_subject("name", name);
}

Result<std::optional<ChunkPlace>> find_chunk(const IndexTransaction& txn, const Digest& id) {
  return find<ChunkPlace>(txn, Table::chunks, id.span(), decode_chunk_place);
}

Result<> put_chunk(IndexTransaction& txn, const Digest& id, const ChunkPlace& place) {
  return txn.put(Table::chunks, id.span(), encode_chunk_place(id.span(), place).span());
}

Result<> remove_chunk(IndexTransaction& txn, const Digest& id) {
  CLEAVE_TRY(txn.remove(Table::chunks, id.span()));
  return {};
}

Result<std::optional<PackState>> find_pack(const IndexTransaction& txn, std::uint32_t pack) {
  return find<PackState>(txn, Table::packs, pack_key(pack), decode_pack_state);
}

Result<> put_pack(IndexTransaction& txn, std::uint32_t pack, const PackState& state) {
  const auto key = pack_key(pack);
  return txn.put(Table::packs, key, encode_pack_state(key, state).span());
}

Result<> remove_pack(IndexTransaction& txn, std::uint32_t pack) {
  CLEAVE_TRY(txn.remove(Table::packs, pack_key(pack)));
  return {};
}

Result<std::optional<Artifact>> find_artifact(const IndexTransaction& txn, std::string_view name) {
  return find<Artifact>(txn, Table::artifacts, as_byte_span(name), decode_artifact);
}

Result<std::vector<RecipeEntry>> read_recipe(const IndexTransaction& txn,
                                             const Artifact& artifact) {
  std::vector<RecipeEntry> recipe;
  RecipeDigest digest;
  std::uint64_t size = 0;
  for (std::uint32_t segment = 0; segment < segments_of(artifact); ++segment) {
    const auto key = recipe_key(artifact.serial, segment);
    const auto entries =
        CLEAVE_TRY(find<std::vector<RecipeEntry>>(txn, Table::recipes, key, decode_recipe_segment));
    if (!entries) return fail(damaged_record(Table::recipes, key));
    for (const RecipeEntry& entry : *entries) {
      digest.add(entry);
      size += entry.size;
    }
    recipe.insert(recipe.end(), entries->begin(), entries->end());
  }
  if (recipe.size() != artifact.chunks || size != artifact.size ||
      digest.digest() != artifact.digest) {
    return fail(damaged_record(Table::artifacts, as_byte_span(artifact.name)));
  }
  return recipe;
}

Result<> put_artifact(IndexTransaction& txn, Artifact& artifact,
                      std::span<const RecipeEntry> recipe, bool replace) {
  if (CLEAVE_TRY(find_artifact(txn, artifact.name))) {
    if (!replace) return fail(name_exists(artifact.name));
    CLEAVE_TRY(remove_artifact(txn, artifact.name));
  }
  for (const RecipeEntry& entry : recipe) {
    const auto place = CLEAVE_TRY(find_chunk(txn, entry.id));
    if (!place || place->size != entry.size) {
      return fail(error(StoreError::chunk_missing).with_subject("id", to_hex(entry.id.span())));
    }
  }
  artifact.serial = CLEAVE_TRY(next_number(txn, Series::artifact));
  for (std::uint32_t segment = 0; segment < segments_of(artifact); ++segment) {
    const std::size_t begin = segment * kRecipeSegment;
    const auto entries = recipe.subspan(begin, std::min(kRecipeSegment, recipe.size() - begin));
    const auto key = recipe_key(artifact.serial, segment);
    CLEAVE_TRY(txn.put(Table::recipes, key, encode_recipe_segment(key, entries).span()));
  }
  const ByteSpan key = as_byte_span(artifact.name);
  return txn.put(Table::artifacts, key, encode_artifact(key, artifact).span());
}

Result<> remove_artifact(IndexTransaction& txn, std::string_view name) {
  const auto artifact = CLEAVE_TRY(find_artifact(txn, name));
  if (!artifact) return fail(error(StoreError::no_such_artifact).with_subject("name", name));
  for (std::uint32_t segment = 0; segment < segments_of(*artifact); ++segment) {
    CLEAVE_TRY(txn.remove(Table::recipes, recipe_key(artifact->serial, segment)));
  }
  CLEAVE_TRY(txn.remove(Table::artifacts, as_byte_span(name)));
  return {};
}

namespace {

ByteSpan key_of(Series series) {
  return as_byte_span(series == Series::artifact ? "next_artifact" : "next_pack");
}

}  // namespace

Result<> start_numbers(IndexTransaction& txn) {
  for (const Series series : {Series::artifact, Series::pack}) {
    const ByteSpan key = key_of(series);
    if (CLEAVE_TRY(txn.get(Table::meta, key))) continue;
    CLEAVE_TRY(txn.put(Table::meta, key, encode_counter(key, 1).span()));
  }
  return {};
}

Result<std::uint64_t> peek_number(const IndexTransaction& txn, Series series) {
  const ByteSpan key = key_of(series);
  const auto number = CLEAVE_TRY(find<std::uint64_t>(txn, Table::meta, key, decode_counter));
  if (!number) return fail(damaged_record(Table::meta, key));
  return *number;
}

Result<std::uint64_t> next_number(IndexTransaction& txn, Series series) {
  const std::uint64_t number = CLEAVE_TRY(peek_number(txn, series));
  const ByteSpan key = key_of(series);
  CLEAVE_TRY(txn.put(Table::meta, key, encode_counter(key, number + 1).span()));
  return number;
}

Result<> for_each_chunk(
    const IndexTransaction& txn,
    FunctionRef<Result<>(const Digest&, const std::optional<ChunkPlace>&)> each) {
  return walk<ChunkPlace>(txn, Table::chunks, decode_chunk_place,
                          [&](ByteSpan key, const std::optional<ChunkPlace>& place) {
                            return each(to_digest(key), place);
                          });
}

Result<> for_each_pack(const IndexTransaction& txn,
                       FunctionRef<Result<>(std::uint32_t, const std::optional<PackState>&)> each) {
  return walk<PackState>(txn, Table::packs, decode_pack_state,
                         [&](ByteSpan key, const std::optional<PackState>& state) {
                           const bool whole = key.size() == sizeof(std::uint32_t);
                           return each(whole ? load_be<std::uint32_t>(key.data()) : 0, state);
                         });
}

Result<> for_each_artifact(
    const IndexTransaction& txn,
    FunctionRef<Result<>(std::string_view name, const std::optional<Artifact>&)> each) {
  return walk<Artifact>(txn, Table::artifacts, decode_artifact,
                        [&](ByteSpan key, const std::optional<Artifact>& artifact) {
                          return each(as_text(key), artifact);
                        });
}

}  // namespace cleave
