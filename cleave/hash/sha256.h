// SHA-256 (FIPS 180-4), by OpenSSL: with the SHA instructions where the CPU has them.
#pragma once

#include <memory>

#include "cleave/base/bytes.h"
#include "cleave/hash/digest.h"

namespace cleave {

class Sha256 {
 public:
  Sha256();
  void update(ByteSpan bytes);
  // The digest of all bytes since construction or the last finish(); starts over.
  Digest finish();

 private:
  struct FreeContext {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, FreeContext> context_;
};

// The digest of `bytes`, on the calling thread, which keeps a context of its own for it.
Digest sha256(ByteSpan bytes);

}  // namespace cleave
