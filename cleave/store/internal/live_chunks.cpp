#include "cleave/store/internal/live_chunks.h"

#include "cleave/base/internal/fail.h"

namespace cleave {

Result<LiveChunks> find_live_chunks(const IndexTransaction& txn,
                                    FunctionRef<void(const Artifact&)> each) {
  LiveChunks live;
  CLEAVE_TRY(for_each_artifact(
      txn, [&](std::string_view name, const std::optional<Artifact>& artifact) -> Result<> {
        if (!artifact) return fail(damaged_record(Table::artifacts, as_byte_span(name)));
        for (const RecipeEntry& entry : CLEAVE_TRY(read_recipe(txn, *artifact))) {
          live.insert(entry.id);
        }
        each(*artifact);
        return {};
      }));
  return live;
}

}  // namespace cleave
