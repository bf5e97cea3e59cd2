// The words a NAR is made of. Not a public header.
//
//   archive = str("nix-archive-1") object
//   object  = str("(") str("type") kind str(")")
//   kind    = str("regular") [str("executable") str("")] str("contents") str(bytes)
//           | str("symlink") str("target") str(target)
//           | str("directory") { entry }
//   entry   = str("entry") str("(") str("name") str(name) str("node") object str(")")
//   str(s)  = length of s as 64 bits little-endian, s, zeros up to a multiple of 8
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cleave/base/bytes.h"
#include "cleave/base/endian.h"

namespace cleave::nar_grammar {

inline constexpr std::size_t kMaxName = 255;
inline constexpr std::size_t kMaxTarget = 4095;
// No file, and so no NAR, is longer.
inline constexpr std::uint64_t kMaxLength = (std::uint64_t{1} << 63) - 1;

// How many zeros follow `length` bytes.
constexpr std::size_t padding(std::uint64_t length) {
  return static_cast<std::size_t>(-length % 8);
}

inline void append_length(std::string& to, std::uint64_t length) {
  std::array<std::byte, 8> bytes;
  store_le(bytes.data(), length);
  to += as_text(bytes);
}

// A name that an entry may have. Whoever creates files from names checks this first: it is what
// keeps them in their folder.
inline bool is_valid_name(std::string_view name) {
  constexpr std::string_view kSlashAndNul("/\0", 2);
  return !name.empty() && name.size() <= kMaxName && name != "." && name != ".." &&
         name.find_first_of(kSlashAndNul) == name.npos;
}

inline bool is_valid_target(std::string_view target) {
  return !target.empty() && target.size() <= kMaxTarget && target.find('\0') == target.npos;
}

template <std::size_t N>
struct Word {
  char text[N];
  static constexpr std::size_t kSize = N - 1;
  consteval Word(const char (&from)[N]) { std::copy_n(from, N, text); }  // NOLINT: implicit
};

template <Word... words>
inline constexpr auto kEncoded = [] {
  std::array<char, (0 + ... + (8 + words.kSize + padding(words.kSize)))> encoded{};
  std::size_t at = 0;
  const auto encode = [&](const auto& word) {
    encoded[at] = static_cast<char>(word.kSize);
    std::copy_n(word.text, word.kSize, encoded.data() + at + 8);
    at += 8 + word.kSize + padding(word.kSize);
  };
  (encode(words), ...);
  return encoded;
}();

// str("a") str("b") … as bytes: encoded<"a", "b">().
template <Word... words>
constexpr std::string_view encoded() {
  return {kEncoded<words...>.data(), kEncoded<words...>.size()};
}

}  // namespace cleave::nar_grammar
