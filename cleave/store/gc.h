// Collecting garbage: giving back the room of chunks that no artifact refers to.
#pragma once

#include <cstdint>
#include <vector>

#include "cleave/base/error.h"
#include "cleave/observe/progress.h"
#include "cleave/store/store.h"

namespace cleave {

struct GcOptions {
  // A pack is written anew when more than this share of it, in percent, is unused. 0: as soon as
  // any of it is.
  unsigned max_unused_percent = 10;
  bool dry_run = false;
};

struct GcReport {
  std::uint64_t removed_chunks = 0;
  std::uint64_t freed_bytes = 0;  // that packs are smaller by
  std::uint64_t rewritten_packs = 0;
  std::uint64_t removed_packs = 0;
  std::uint64_t copied_bytes = 0;   // to new packs
  std::uint64_t unused_bytes = 0;   // that stay, in packs with little of it
  std::uint64_t waiting_packs = 0;  // no longer used, to be removed when nobody reads any more
  std::vector<Error> problems;      // packs that are damaged, and were left as they are
};

// Waits until nobody adds (see Store::set_on_wait), and keeps others from adding; readers go on.
// Every chunk is verified before it is moved. A crash at any instant loses nothing: what was copied
// counts only once the index says so, and what it replaces is removed only after.
Result<GcReport> collect_garbage(Store& store, Progress& progress, const GcOptions& options);

}  // namespace cleave
