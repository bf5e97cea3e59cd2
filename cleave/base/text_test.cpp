#include "cleave/base/text.h"

#include <array>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace cleave {
namespace {

struct Case {
  std::string_view text;
  bool valid;
  std::string_view escaped;
};

// After the table of well-formed sequences in RFC 3629, section 4: both ends of every row.
constexpr Case kCases[] = {
    {"", true, ""},
    {"plain /text_1.0", true, "plain /text_1.0"},
    {{"\0", 1}, true, "\\x00"},
    {"\x1b]0;t\x07", true, "\\x1b]0;t\\x07"},
    {"\x7f", true, "\\x7f"},
    {"\"\\", true, "\\x22\\x5c"},
    {"\xc2\x80", true, "\\xc2\\x80"},  // C1 controls
    {"\xc2\x9b", true, "\\xc2\\x9b"},
    {"\xc2\x9f", true, "\\xc2\\x9f"},
    {"\xc2\xa0", true, "\xc2\xa0"},
    {"\xdf\xbf", true, "\xdf\xbf"},
    {"\xe0\xa0\x80", true, "\xe0\xa0\x80"},
    {"\xed\x9f\xbf", true, "\xed\x9f\xbf"},
    {"\xee\x80\x80", true, "\xee\x80\x80"},
    {"\xef\xbf\xbf", true, "\xef\xbf\xbf"},
    {"\xf0\x90\x80\x80", true, "\xf0\x90\x80\x80"},
    {"\xf4\x8f\xbf\xbf", true, "\xf4\x8f\xbf\xbf"},
    {"\x80", false, "\\x80"},  // a tail alone
    {"\xc2", false, "\\xc2"},  // cut short
    {"\xe2\x82", false, "\\xe2\\x82"},
    {"\xf0\x9f\x98", false, "\\xf0\\x9f\\x98"},
    {"\xe2(\xa1", false, "\\xe2(\\xa1"},
    {"\xc0\xaf", false, "\\xc0\\xaf"},  // overlong
    {"\xc1\xbf", false, "\\xc1\\xbf"},
    {"\xe0\x9f\xbf", false, "\\xe0\\x9f\\xbf"},
    {"\xf0\x8f\xbf\xbf", false, "\\xf0\\x8f\\xbf\\xbf"},
    {"\xed\xa0\x80", false, "\\xed\\xa0\\x80"},  // surrogates
    {"\xed\xbf\xbf", false, "\\xed\\xbf\\xbf"},
    {"\xf4\x90\x80\x80", false, "\\xf4\\x90\\x80\\x80"},  // above U+10FFFF
    {"\xf5\x80\x80\x80", false, "\\xf5\\x80\\x80\\x80"},
    {"\xff", false, "\\xff"},
    {"ok\xe2\x82\xac\xe2", false, "ok\xe2\x82\xac\\xe2"},
};

TEST(Text, Utf8IsWellFormedOrNot) {
  for (const Case& c : kCases) EXPECT_EQ(is_utf8(c.text), c.valid) << c.escaped;
}

TEST(Text, EscapesWhatIsNotSafeToShow) {
  for (const Case& c : kCases) EXPECT_EQ(escape(c.text), c.escaped);
}

TEST(Text, EscapeTailKeepsTheEndWhole) {
  std::array<char, 12> buffer;
  EXPECT_EQ(escape_tail("just fitting", buffer), "just fitting");
  EXPECT_EQ(escape_tail("one too long.", buffer), "...too long.");
  EXPECT_EQ(escape_tail("a\n\n\nbc", buffer), "...\\x0abc");  // no half of an escape
  EXPECT_EQ(escape_tail("abcdef€€€", buffer), "...€€€");      // no part of a character
}

std::string any_text() {
  // Many controls and lead bytes, since any byte at all is mostly invalid.
  return *rc::gen::container<std::string>(
      rc::gen::oneOf(rc::gen::arbitrary<char>(),
                     rc::gen::elementOf(std::string("a\n\xc2\xe0\xed\xf0\x80\x9f\xa0"))));
}

RC_GTEST_PROP(Text, EscapedIsAlwaysSafe, ()) {
  const std::string escaped = escape(any_text());
  RC_ASSERT(is_utf8(escaped));
  for (const char c : escaped)
    RC_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '"');
  RC_ASSERT(escape(escaped).size() >= escaped.size());
}

RC_GTEST_PROP(Text, EscapeTailIsAnEndOfTheEscapedText, ()) {
  const std::string text = any_text();
  std::string buffer(*rc::gen::inRange<std::size_t>(3, 60), '#');
  const std::string_view tail = escape_tail(text, buffer);
  const std::string whole = escape(text);
  RC_ASSERT(tail.size() <= buffer.size());
  if (whole.size() <= buffer.size()) {
    RC_ASSERT(tail == whole);
  } else {
    RC_ASSERT(tail.starts_with("..."));
    RC_ASSERT(whole.ends_with(tail.substr(3)));
    RC_ASSERT(tail.size() + 4 > buffer.size());  // shortened by no more than one character
  }
}

}  // namespace
}  // namespace cleave
