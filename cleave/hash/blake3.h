// BLAKE3 with its default 32 bytes of output, by the official C library (SIMD chosen at run time).
#pragma once

#include <cstddef>

#include "cleave/base/bytes.h"
#include "cleave/hash/digest.h"

namespace cleave {

class Blake3 {
 public:
  Blake3();
  void update(ByteSpan bytes);
  // The digest of all bytes so far; more may follow.
  Digest digest() const;
  void reset();

 private:
  // The library's hasher, which has no stable size of its own; checked in the .cpp.
  static constexpr std::size_t kStateSize = 1984;
  alignas(16) std::byte state_[kStateSize];
};

// The digest of `bytes`, on the calling thread.
Digest blake3(ByteSpan bytes);

}  // namespace cleave
