// Text from outside (file names, archive entries) made safe to show: it may hold control
// characters, terminal escapes, or bytes that are not UTF-8.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace cleave {

// Well-formed UTF-8 as RFC 3629 has it: shortest forms only, no surrogates.
bool is_utf8(std::string_view text);

// `text` with control characters (those of bidirectional text too), quotes, backslashes and bytes
// that are not UTF-8 written as \xNN.
std::string escape(std::string_view text);

// As escape(), without allocating: writes into `buffer` (of at least 3) and, when that is too
// small, keeps the end of the text behind "...".
std::string_view escape_tail(std::string_view text, std::span<char> buffer);

}  // namespace cleave
