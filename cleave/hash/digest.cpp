#include "cleave/hash/digest.h"

#include <cstdint>

namespace cleave {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_hex(ByteSpan bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const std::byte b : bytes) {
    const auto value = std::to_integer<unsigned>(b);
    out += kDigits[value >> 4];
    out += kDigits[value & 15];
  }
  return out;
}

std::optional<Digest> digest_from_hex(std::string_view hex) {
  if (hex.size() != 2 * Digest::kSize) return std::nullopt;
  Digest digest;
  for (std::size_t i = 0; i < Digest::kSize; ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest.bytes[i] = static_cast<std::byte>(16 * high + low);
  }
  return digest;
}

std::string to_nix_base32(ByteSpan bytes) {
  constexpr std::string_view kDigits = "0123456789abcdfghijklmnpqrsvwxyz";
  const std::size_t length = (8 * bytes.size() + 4) / 5;
  std::string out;
  out.reserve(length);
  for (std::size_t i = length; i-- > 0;) {
    // Digit i holds the bits 5 i … 5 i + 4 of the bytes read as one little-endian number.
    const std::size_t byte = 5 * i / 8;
    const std::size_t shift = 5 * i % 8;
    std::uint32_t pair = std::to_integer<std::uint32_t>(bytes[byte]);
    if (byte + 1 < bytes.size()) pair |= std::to_integer<std::uint32_t>(bytes[byte + 1]) << 8;
    out += kDigits[(pair >> shift) & 31];
  }
  return out;
}

}  // namespace cleave
