#include "cleave/base/text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace cleave {

namespace {

constexpr std::string_view kEllipsis = "...";

// Length of the UTF-8 sequence at the front of `text`, 0 when it is not well-formed.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto tail = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return tail(1) ? 2 : 0;
  if (lead >= 0xe0 && lead < 0xf0) {
    if (!tail(1) || !tail(2)) return 0;
    if (lead == 0xe0 && byte(1) < 0xa0) return 0;   // overlong
    if (lead == 0xed && byte(1) >= 0xa0) return 0;  // surrogate
    return 3;
  }
  if (lead >= 0xf0 && lead < 0xf5) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (lead == 0xf0 && byte(1) < 0x90) return 0;   // overlong
    if (lead == 0xf4 && byte(1) >= 0x90) return 0;  // above U+10FFFF
    return 4;
  }
  return 0;
}

bool needs_escape(std::uint8_t byte) {
  return byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\';
}

// Characters that would change how the text around them is shown: U+0080 … U+009F are control
// characters too, and the embeddings, overrides and isolates of bidirectional text reorder it.
bool misleads(std::string_view sequence) {
  if (sequence.size() == 2) return sequence >= "\xc2\x80" && sequence <= "\xc2\x9f";
  if (sequence.size() != 3) return false;
  return (sequence >= "\xe2\x80\xaa" && sequence <= "\xe2\x80\xae") ||
         (sequence >= "\xe2\x81\xa6" && sequence <= "\xe2\x81\xa9");
}

// Calls put(piece) for each character of `text` in its escaped form.
template <class Put>
void for_each_escaped(std::string_view text, Put put) {
  constexpr char kHex[] = "0123456789abcdef";
  while (!text.empty()) {
    const auto lead = static_cast<std::uint8_t>(text[0]);
    std::size_t length = sequence_length(text);
    if (length == 0 || needs_escape(lead) || misleads(text.substr(0, length))) {
      const char piece[] = {'\\', 'x', kHex[lead >> 4], kHex[lead & 15]};
      put(std::string_view(piece, sizeof piece));
      length = 1;
    } else {
      put(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_escaped(text, [&](std::string_view piece) { out += piece; });
  return out;
}

std::string_view escape_tail(std::string_view text, std::span<char> buffer) {
  std::size_t total = 0;
  for_each_escaped(text, [&](std::string_view piece) { total += piece.size(); });

  std::size_t skip = total > buffer.size() ? total - (buffer.size() - kEllipsis.size()) : 0;
  std::size_t used = 0;
  const auto put = [&](std::string_view piece) {
    std::copy(piece.begin(), piece.end(), buffer.begin() + static_cast<std::ptrdiff_t>(used));
    used += piece.size();
  };
  if (skip > 0) put(kEllipsis);
  for_each_escaped(text, [&](std::string_view piece) {
    if (skip > 0) {
      skip -= std::min(skip, piece.size());
      return;
    }
    put(piece);
  });
  return {buffer.data(), used};
}

}  // namespace cleave
