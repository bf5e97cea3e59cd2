// The chunks that artifacts refer to.
#pragma once

#include <unordered_set>

#include "cleave/base/function_ref.h"
#include "cleave/hash/digest.h"
#include "cleave/store/internal/index.h"

namespace cleave {

using LiveChunks = std::unordered_set<Digest, DigestHash>;

// Reads every recipe; an error when one cannot be read, since then nobody knows what is live. Calls
// `each` for every artifact.
Result<LiveChunks> find_live_chunks(const IndexTransaction& txn,
                                    FunctionRef<void(const Artifact&)> each);

}  // namespace cleave
