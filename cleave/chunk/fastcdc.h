// FastCDC, version 2020: where content-defined chunks end.
//
// W. Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
// Systems", IEEE TPDS 31(9), 2020; two bytes a step. Bit-exact with the widely used Rust
// implementation (crate fastcdc, v2020): cut points and gear hashes are the same for the same
// options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/chunk/options.h"

namespace cleave {

// The end of a chunk. The byte that triggered the cut belongs to the next chunk.
struct Cut {
  std::size_t length;
  std::uint64_t gear_hash;  // at the cut; 0 for an end of input at or before the minimum size
};

class FastCdc {
 public:
  // Fails on options that are not legal.
  static Result<FastCdc> create(const ChunkingOptions& options);

  // The first chunk of `data`, after which no more input comes. O(length). For no data: length 0.
  Cut cut(ByteSpan data) const {
    Scan scan;
    return *resume(scan, data, true);  // NOLINT: there always is one at the end
  }

  // How far the search for a chunk's end has come.
  struct Scan {
    std::size_t pair = 0;  // byte pairs of the chunk that were hashed or skipped
    std::uint64_t hash = 0;
  };

  // The same for input that arrives in parts: `data` holds the bytes since the chunk's start, at
  // each call the earlier ones and more; no byte is hashed twice. `at_end`: nothing will follow.
  // Returns nothing while the end cannot be known yet. Start every chunk with a new Scan.
  std::optional<Cut> resume(Scan& scan, ByteSpan data, bool at_end) const;

  const ChunkingOptions& options() const { return options_; }

 private:
  using Table = std::array<std::uint64_t, 256>;

  explicit FastCdc(const ChunkingOptions& options);
  std::optional<Cut> scan_until(Scan& scan, const std::byte* data, std::size_t end_pair,
                                std::uint64_t mask) const;

  ChunkingOptions options_;
  std::uint64_t mask_small_;  // more bits: before the average size
  std::uint64_t mask_large_;  // fewer bits: after it
  alignas(64) Table gear_;
  alignas(64) Table gear_shifted_;  // gear_ << 1, for the first byte of a pair
};

}  // namespace cleave
