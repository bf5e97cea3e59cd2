#include "cleave/store/store_error.h"

#include <utility>

namespace cleave {

ErrorInfo describe(StoreError code) {
  const auto info = [](std::string_view name, ErrorClass error_class = ErrorClass::store) {
    return ErrorInfo{"store", name, error_class};
  };
  switch (code) {
    case StoreError::no_store: return info("no_store");
    case StoreError::not_a_store: return info("not_a_store");
    case StoreError::store_version_unsupported: return info("store_version_unsupported");
    case StoreError::no_such_artifact: return info("no_such_artifact");
    case StoreError::name_exists: return info("name_exists");
    case StoreError::invalid_name: return info("invalid_name", ErrorClass::usage);
    case StoreError::index_failed: return info("index_failed");
    case StoreError::index_damaged: return info("index_damaged");
    case StoreError::index_full: return info("index_full");
    case StoreError::pack_damaged: return info("pack_damaged");
    case StoreError::chunk_missing: return info("chunk_missing");
  }
  std::unreachable();
}

}  // namespace cleave
