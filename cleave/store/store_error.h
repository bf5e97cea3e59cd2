// Errors of a store.
#pragma once

#include "cleave/base/error.h"

namespace cleave {

enum class StoreError : std::uint16_t {
  no_store,                   // nothing there
  not_a_store,                // something else is there
  store_version_unsupported,  // made by another version of Cleave
  no_such_artifact,
  name_exists,
  invalid_name,
  index_failed,   // the index database refused; see the text
  index_damaged,  // the index does not hold what was written
  index_full,
  pack_damaged,   // a pack, or a chunk in it, does not hold what was written
  chunk_missing,  // a recipe names a chunk that the index does not know
};
ErrorInfo describe(StoreError code);

}  // namespace cleave
