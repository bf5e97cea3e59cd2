#include "cleave/nar/nar_error.h"

#include <utility>

namespace cleave {

ErrorInfo describe(NarError code) {
  const auto malformed = [](std::string_view name) {
    return ErrorInfo{"nar", name, ErrorClass::malformed};
  };
  const auto usage = [](std::string_view name) {
    return ErrorInfo{"nar", name, ErrorClass::usage};
  };
  switch (code) {
    case NarError::bad_magic: return malformed("nar_bad_magic");
    case NarError::unexpected_token: return malformed("nar_unexpected_token");
    case NarError::truncated: return malformed("nar_truncated");
    case NarError::trailing_bytes: return malformed("nar_trailing_bytes");
    case NarError::unsorted_names: return malformed("nar_unsorted_names");
    case NarError::duplicate_name: return malformed("nar_duplicate_name");
    case NarError::invalid_name: return malformed("nar_invalid_name");
    case NarError::invalid_target: return malformed("nar_invalid_target");
    case NarError::nonzero_padding: return malformed("nar_nonzero_padding");
    case NarError::length_out_of_range: return malformed("nar_length_out_of_range");
    case NarError::too_deep: return malformed("nar_too_deep");
    case NarError::entry_not_found: return {"nar", "nar_entry_not_found", ErrorClass::io};
    case NarError::not_a_file: return usage("nar_not_a_file");
  }
  std::unreachable();
}

}  // namespace cleave
