// What the index holds, in terms of the store: places of chunks, packs, artifacts and their
// recipes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "cleave/base/function_ref.h"
#include "cleave/store/format.h"
#include "cleave/store/internal/lmdb.h"

namespace cleave {

// Every function fails with index_damaged, naming the record, when it does not read as it was
// written.

Result<std::optional<ChunkPlace>> find_chunk(const IndexTransaction& txn, const Digest& id);
Result<> put_chunk(IndexTransaction& txn, const Digest& id, const ChunkPlace& place);
Result<> remove_chunk(IndexTransaction& txn, const Digest& id);

Result<std::optional<PackState>> find_pack(const IndexTransaction& txn, std::uint32_t pack);
Result<> put_pack(IndexTransaction& txn, std::uint32_t pack, const PackState& state);
Result<> remove_pack(IndexTransaction& txn, std::uint32_t pack);

Result<std::optional<Artifact>> find_artifact(const IndexTransaction& txn, std::string_view name);

// The entries of an artifact's recipe, checked against its size, count and digest.
Result<std::vector<RecipeEntry>> read_recipe(const IndexTransaction& txn, const Artifact& artifact);

// Gives `artifact` a serial and writes it with its recipe. chunk_missing when the index does not
// know a chunk of it, name_exists when its name is taken and not `replace`.
Result<> put_artifact(IndexTransaction& txn, Artifact& artifact,
                      std::span<const RecipeEntry> recipe, bool replace);
Result<> remove_artifact(IndexTransaction& txn, std::string_view name);

// Series of numbers that never repeat. A new index starts them; where one is missing later,
// counting anew would overwrite what is there, so that is damage.
enum class Series : std::uint8_t { artifact, pack };
Result<> start_numbers(IndexTransaction& txn);
Result<std::uint64_t> peek_number(const IndexTransaction& txn, Series series);
Result<std::uint64_t> next_number(IndexTransaction& txn, Series series);

// Walk a whole table in key order. A damaged record is given as nothing, with its key, so that the
// walk can go on; an error of `each` ends it.
Result<> for_each_chunk(
    const IndexTransaction& txn,
    FunctionRef<Result<>(const Digest&, const std::optional<ChunkPlace>&)> each);
Result<> for_each_pack(const IndexTransaction& txn,
                       FunctionRef<Result<>(std::uint32_t, const std::optional<PackState>&)> each);
Result<> for_each_artifact(
    const IndexTransaction& txn,
    FunctionRef<Result<>(std::string_view name, const std::optional<Artifact>&)> each);

Error damaged_record(Table table, ByteSpan key);
Error name_exists(std::string_view name);

}  // namespace cleave
