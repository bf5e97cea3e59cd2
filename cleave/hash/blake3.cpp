#include "cleave/hash/blake3.h"

#include <new>

#include <blake3.h>

namespace cleave {

namespace {

blake3_hasher* hasher(std::byte* state) {
  return std::launder(reinterpret_cast<blake3_hasher*>(state));
}

}  // namespace

Blake3::Blake3() {
  static_assert(sizeof(blake3_hasher) <= kStateSize && alignof(blake3_hasher) <= 16);
  blake3_hasher_init(new (state_) blake3_hasher);
}

void Blake3::update(ByteSpan bytes) {
  blake3_hasher_update(hasher(state_), bytes.data(), bytes.size());
}

Digest Blake3::digest() const {
  Digest digest;
  blake3_hasher_finalize(std::launder(reinterpret_cast<const blake3_hasher*>(state_)),
                         reinterpret_cast<std::uint8_t*>(digest.bytes.data()), Digest::kSize);
  return digest;
}

void Blake3::reset() { blake3_hasher_reset(hasher(state_)); }

Digest blake3(ByteSpan bytes) {
  Blake3 hasher;
  hasher.update(bytes);
  return hasher.digest();
}

}  // namespace cleave
