#include "cleave/base/io.h"

#include <array>

#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/result.h"

namespace cleave {
namespace {

using test::fails_with;
using test::ok;
using test::text_of;

// Gives one byte at a time, then ends or fails.
class Dripping final : public ByteSource {
 public:
  Dripping(std::string_view text, bool fails) : rest_(as_byte_span(text)), fails_(fails) {}
  Result<std::size_t> read(MutableByteSpan into) override {
    if (rest_.empty()) {
      if (fails_) return std::unexpected(Error(IoError::io_error));
      return std::size_t{0};
    }
    into[0] = rest_[0];
    rest_ = rest_.subspan(1);
    return std::size_t{1};
  }

 private:
  ByteSpan rest_;
  bool fails_;
};

TEST(Io, ReadFullGoesOnUntilTheBufferIsFull) {
  Dripping source("abcdef", false);
  std::array<std::byte, 4> into;
  ASSERT_EQ(read_full(source, into), 4U);
  EXPECT_EQ(text_of(into), "abcd");
  ASSERT_EQ(read_full(source, into), 2U);
  EXPECT_EQ(text_of(std::span(into).first(2)), "ef");
  EXPECT_EQ(read_full(source, into), 0U);
}

TEST(Io, ReadFullHandsOnAnErrorInTheMiddle) {
  Dripping source("ab", true);
  std::array<std::byte, 4> into;
  EXPECT_TRUE(fails_with(read_full(source, into), IoError::io_error));
}

TEST(Io, MemorySourceKnowsWhatRemains) {
  MemorySource source(as_byte_span("abcde"));
  EXPECT_EQ(source.remaining(), 5U);
  std::array<std::byte, 3> into;
  EXPECT_EQ(source.read(into), 3U);
  EXPECT_EQ(source.remaining(), 2U);
  EXPECT_EQ(source.read(into), 2U);
  EXPECT_EQ(text_of(std::span(into).first(2)), "de");
  EXPECT_EQ(source.read(into), 0U);
  EXPECT_EQ(source.remaining(), 0U);
}

TEST(Io, BufferSinkCollects) {
  BufferSink sink;
  EXPECT_TRUE(ok(sink.write(as_byte_span("one "))));
  EXPECT_TRUE(ok(sink.write(as_byte_span("two"))));
  EXPECT_EQ(text_of(sink.buffer.span()), "one two");
}

}  // namespace
}  // namespace cleave
