#include "cleave/base/bytes.h"

#include <cstring>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/result.h"

namespace cleave {
namespace {

using test::equal;
using test::fails_with;
using test::ok;
using test::random_bytes;
using test::text_of;

struct CountedOwner : BytesOwner {
  explicit CountedOwner(int& alive_count) : alive(alive_count) { ++alive; }
  ~CountedOwner() override { --alive; }
  Result<> check() const override { return std::unexpected(Error(IoError::file_changed)); }
  int& alive;
};

TEST(Bytes, AreEmptyAtFirst) {
  const Bytes bytes;
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ(bytes.size(), 0U);
  EXPECT_TRUE(ok(bytes.check()));
}

TEST(Bytes, SlicesAreViewsOfTheSameMemory) {
  const Bytes whole = Bytes::copy_of(as_byte_span("content-defined"));
  const Bytes slice = whole.slice(8, 4);
  EXPECT_EQ(text_of(slice), "defi");
  EXPECT_EQ(slice.data(), whole.data() + 8);
  EXPECT_EQ(text_of(slice.slice(1, 2)), "ef");
  EXPECT_TRUE(whole.slice(15, 0).empty());
}

TEST(Bytes, CopyOfIsACopy) {
  std::string text = "before";
  const Bytes copy = Bytes::copy_of(as_byte_span(text));
  text = "after!";
  EXPECT_EQ(text_of(copy), "before");
}

TEST(Bytes, OwnerLivesAsLongAsItsLastSlice) {
  int alive = 0;
  const std::string memory = "memory of somebody else";
  Bytes last;
  {
    const Bytes whole(as_byte_span(memory), std::make_shared<CountedOwner>(alive));
    last = whole.slice(3, 5);
  }
  EXPECT_EQ(alive, 1);
  Bytes moved = std::move(last);
  EXPECT_EQ(alive, 1);
  moved = {};
  EXPECT_EQ(alive, 0);
}

TEST(Bytes, CheckAsksTheOwner) {
  int alive = 0;
  const Bytes bytes(as_byte_span("x"), std::make_shared<CountedOwner>(alive));
  EXPECT_TRUE(fails_with(bytes.slice(0, 0).check(), IoError::file_changed));
  EXPECT_TRUE(ok(Bytes::borrowed(bytes).check()));
}

TEST(Buffer, FreezeGivesTheBlockAwayWithoutCopying) {
  Buffer buffer;
  buffer.append(as_byte_span("block"));
  const std::byte* block = buffer.data();
  const Bytes frozen = std::move(buffer).freeze();
  EXPECT_EQ(frozen.data(), block);
  EXPECT_EQ(text_of(frozen), "block");
  EXPECT_TRUE(buffer.empty());  // NOLINT(bugprone-use-after-move): documented
  buffer.append(as_byte_span("again"));
  EXPECT_EQ(text_of(buffer.span()), "again");
  EXPECT_EQ(text_of(frozen), "block");
}

TEST(Buffer, IsEmptyAfterItWasMovedFrom) {
  Buffer from;
  from.append(as_byte_span("some bytes"));
  Buffer to = std::move(from);
  from.append(as_byte_span("new"));  // NOLINT(bugprone-use-after-move): documented
  EXPECT_EQ(text_of(from.span()), "new");
  EXPECT_EQ(text_of(to.span()), "some bytes");
  to = std::move(from);
  EXPECT_EQ(text_of(to.span()), "new");
  EXPECT_EQ(from.capacity(), 0U);  // NOLINT(bugprone-use-after-move): documented
}

TEST(Buffer, ClearKeepsTheCapacity) {
  Buffer buffer(1000);
  buffer.append(as_byte_span("abc"));
  const std::byte* block = buffer.data();
  buffer.clear();
  EXPECT_TRUE(buffer.empty());
  buffer.resize(1000);
  EXPECT_EQ(buffer.data(), block);
}

RC_GTEST_PROP(Buffer, KeepsItsContentHoweverItGrows, (std::uint64_t seed)) {
  Buffer buffer;
  std::vector<std::byte> expected;
  for (const auto size :
       *rc::gen::container<std::vector<std::uint16_t>>(rc::gen::inRange<std::uint16_t>(0, 5000))) {
    const std::vector<std::byte> part = random_bytes(++seed, size);
    if (size % 5 == 0) buffer.reserve(size);
    if (size % 7 == 0) {
      buffer.resize(buffer.size() + part.size());
      if (!part.empty())
        std::memcpy(buffer.data() + buffer.size() - part.size(), part.data(), part.size());
    } else {
      buffer.append(part);
    }
    expected.insert(expected.end(), part.begin(), part.end());
  }
  RC_ASSERT(equal(std::as_const(buffer).span(), expected));
  RC_ASSERT(buffer.capacity() >= buffer.size());
}

}  // namespace
}  // namespace cleave
