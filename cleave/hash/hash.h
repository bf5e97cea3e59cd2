// The hash algorithms by name.
#pragma once

#include <cstdint>

#include "cleave/base/bytes.h"
#include "cleave/hash/blake3.h"
#include "cleave/hash/digest.h"
#include "cleave/hash/sha256.h"

namespace cleave {

enum class HashAlgorithm : std::uint8_t { sha256, blake3 };

inline Digest hash(HashAlgorithm algorithm, ByteSpan bytes) {
  return algorithm == HashAlgorithm::sha256 ? sha256(bytes) : blake3(bytes);
}

}  // namespace cleave
