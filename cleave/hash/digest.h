// Digest: 32 bytes of SHA-256 or BLAKE3, and how it is written.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "cleave/base/bytes.h"

namespace cleave {

struct Digest {
  static constexpr std::size_t kSize = 32;
  std::array<std::byte, kSize> bytes = {};

  friend auto operator<=>(const Digest&, const Digest&) = default;
  ByteSpan span() const { return bytes; }
  // Digests are uniform already: any eight bytes are a hash.
  std::size_t hash() const {
    std::size_t value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
};

struct DigestHash {
  std::size_t operator()(const Digest& digest) const { return digest.hash(); }
};

// Lower-case hexadecimal, two characters a byte.
std::string to_hex(ByteSpan bytes);
// The inverse for 64 characters of either case; nothing for any other text.
std::optional<Digest> digest_from_hex(std::string_view hex);

// Nix's base 32: digits 0123456789abcdfghijklmnpqrsvwxyz, the last five bits first.
// ceil(8 n / 5) characters for n bytes.
std::string to_nix_base32(ByteSpan bytes);

}  // namespace cleave
