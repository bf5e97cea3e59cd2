// What can be wrong with a NAR.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cleave/base/error.h"

namespace cleave {

// Errors carry the offset in the NAR where that is known, and the path of the entry.
enum class NarError : std::uint16_t {
  bad_magic,            // it does not begin as a NAR does
  unexpected_token,     // the grammar has another word here
  truncated,            // it ends too early
  trailing_bytes,       // it goes on behind its end
  unsorted_names,       // the entries of a folder are not in ascending order of their bytes
  duplicate_name,       // two entries of a folder have one name
  invalid_name,         // empty, ".", "..", longer than 255 bytes, or with a '/' or NUL in it
  invalid_target,       // a symlink's target is empty, longer than 4095 bytes, or has a NUL in it
  nonzero_padding,      // the bytes that fill up to eight are not zero
  length_out_of_range,  // contents that cannot be that long
  too_deep,             // folders nested deeper than kMaxNarDepth
  entry_not_found,      // asked for a path that it does not hold
  not_a_file,           // asked for the contents of a folder or symlink
};
ErrorInfo describe(NarError code);

// The root is at depth 0, its entries at depth 1, …; an entry's depth is less than this.
inline constexpr std::size_t kMaxNarDepth = 64;

}  // namespace cleave
