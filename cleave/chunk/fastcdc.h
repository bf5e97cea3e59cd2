// FastCDC, version 2020: where content-defined chunks end.
//
// W. Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
// Systems", IEEE TPDS 31(9), 2020; two bytes a step. Bit-exact with the widely used Rust
// implementation (crate fastcdc, v2020): cut points and gear hashes are the same for the same
// options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "cleave/base/bytes.h"
#include "cleave/base/cpu.h"
#include "cleave/base/error.h"
#include "cleave/chunk/options.h"

namespace cleave {

// The end of a chunk. The byte that triggered the cut belongs to the next chunk.
struct Cut {
  std::size_t length;
  std::uint64_t gear_hash;  // at the cut; 0 for an end of input at or before the minimum size
};

struct GearKernel;
struct GearTables;

// One of the ways to search for cut points; all find the same.
struct KernelInfo {
  std::string_view name;
  CpuLevel needs;
};

class FastCdc {
 public:
  // Fails on options that are not legal.
  static Result<FastCdc> create(const ChunkingOptions& options);
  // With a kernel of one's choice, for tests and benchmarks: all cut alike.
  static Result<FastCdc> create(const ChunkingOptions& options, const GearKernel& kernel);

  // The first chunk of `data`, after which no more input comes. O(length). For no data: length 0.
  Cut cut(ByteSpan data) const {
    Scan scan;
    return *resume(scan, data, true);  // NOLINT: there always is one at the end
  }

  // How far the search for a chunk's end has come. Start every chunk with a new one.
  struct Scan {
    std::size_t length = 0;  // bytes of the chunk that were given so far
    std::uint64_t hash = 0;
    std::byte held{};  // the last one, where its pair is not complete
  };

  // The same for input that arrives in parts: `next` holds the bytes that follow those given
  // before. No byte is hashed twice. `at_end`: nothing will follow. Returns nothing while the end
  // cannot be known yet.
  //
  // The cut may lie before `next`, by one byte; what of `next` lies behind it was not looked at for
  // the next chunk's sake and has to be given again.
  std::optional<Cut> resume(Scan& scan, ByteSpan next, bool at_end) const;

  const ChunkingOptions& options() const { return options_; }

  // Those that this machine can run, and the one that create() takes (see cpu_level()).
  static std::vector<KernelInfo> kernels();
  static KernelInfo default_kernel();

 private:
  FastCdc(const ChunkingOptions& options, const GearKernel& kernel);
  std::optional<Cut> search(Scan& scan, std::size_t& position, std::size_t end, ByteSpan next,
                            std::uint64_t mask) const;

  ChunkingOptions options_;
  std::uint64_t mask_small_;  // more bits: before the average size
  std::uint64_t mask_large_;  // fewer bits: after it
  std::shared_ptr<const GearTables> tables_;
  const GearKernel* kernel_;
};

}  // namespace cleave
