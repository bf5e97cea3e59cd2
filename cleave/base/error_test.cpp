#include "cleave/base/error.h"

#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include "cleave/base/internal/fail.h"
#include "cleave/base/text.h"
#include "tests/support/allocations.h"

namespace cleave {
namespace {

enum class ZooError : std::uint16_t { cage_open, lion_hungry };
ErrorInfo describe(ZooError code) {
  return code == ZooError::cage_open ? ErrorInfo{"zoo", "cage_open", ErrorClass::usage}
                                     : ErrorInfo{"zoo", "lion_hungry", ErrorClass::malformed};
}

TEST(Error, TextIsItsName) {
  const Error made = error(ZooError::lion_hungry);
  EXPECT_EQ(made.message(), "lion_hungry");
  EXPECT_EQ(made.name(), "lion_hungry");
  EXPECT_EQ(made.domain(), "zoo");
  EXPECT_EQ(made.error_class(), ErrorClass::malformed);
}

TEST(Error, FieldsStandBehindTheNameInOneForm) {
  Error made = error(ZooError::cage_open, "cage {} of {}", 3, 7);
  made.with_offset(1ULL << 40).with_limit(18446744073709551615U).with_os_error(ENOENT);
  EXPECT_EQ(made.message(),
            "cage_open: cage 3 of 7, offset 1099511627776, limit 18446744073709551615, No such "
            "file or directory");
  EXPECT_EQ(made.offset(), 1ULL << 40);
  EXPECT_EQ(made.limit(), 18446744073709551615U);
  EXPECT_EQ(made.os_error(), ENOENT);
}

TEST(Error, AnAttemptNamesBothSizes) {
  Error made(ZooError::cage_open);
  made.with_attempt(UINT64_MAX, UINT64_MAX - 1);
  EXPECT_EQ(made.message(),
            "cage_open: attempted 18446744073709551615 bytes, limit 18446744073709551614 bytes");
  EXPECT_EQ(made.limit(), UINT64_MAX - 1);
}

TEST(Error, FieldsAreZeroWhereTheyDoNotApply) {
  const Error made(ZooError::cage_open);
  EXPECT_EQ(made.offset(), 0U);
  EXPECT_EQ(made.limit(), 0U);
  EXPECT_EQ(made.os_error(), 0);
}

TEST(Error, IsTellsCodesAndDomainsApart) {
  const Error made(ZooError::cage_open);  // the number of IoError::io_error
  EXPECT_TRUE(made.is(ZooError::cage_open));
  EXPECT_FALSE(made.is(ZooError::lion_hungry));
  EXPECT_FALSE(made.is(IoError::io_error));
}

TEST(Error, SubjectIsEscaped) {
  Error made(ZooError::cage_open);
  made.with_subject("path", "a\"b\\c\n\x1b[31m\xff\xc2\x9b é");
  EXPECT_EQ(made.message(), R"(cage_open: path "a\x22b\x5cc\x0a\x1b[31m\xff\xc2\x9b é")");
}

TEST(Error, LongSubjectKeepsItsEnd) {
  Error made(ZooError::cage_open);
  made.with_subject("path", std::string(5000, 'd') + "/the-file");
  EXPECT_TRUE(made.message().starts_with("cage_open: path \"...ddd"));
  EXPECT_TRUE(made.message().ends_with("ddd/the-file\""));
  EXPECT_LT(made.message().size(), 200U);
}

TEST(Error, TextIsCutOffAtItsLimit) {
  Error made(ZooError::cage_open);
  made.append_detail(std::string(1000, 'x'));
  EXPECT_EQ(made.message(), "cage_open: " + std::string(Error::kMaxText - 11, 'x'));
  made.with_offset(5).with_subject("path", "p");
  EXPECT_EQ(made.message().size(), Error::kMaxText);
  EXPECT_EQ(made.offset(), 5U);
  const Error formatted = error(ZooError::cage_open, "{}", std::string(1000, 'y'));
  EXPECT_EQ(formatted.message(), "cage_open: " + std::string(Error::kMaxText - 11, 'y'));
}

TEST(Error, TextIsNotCutOffInsideACharacter) {
  for (std::size_t before = 280; before <= 300; ++before) {
    Error made(ZooError::cage_open);
    made.append_detail(std::string(before - 11, 'x') +
                       "€ and more than fits into the text of an error");
    EXPECT_TRUE(is_utf8(made.message())) << before;
    EXPECT_GE(made.message().size(), Error::kMaxText - 2);
  }
}

Result<int> half(int n) {
  if (n % 2 != 0) return fail(ZooError::lion_hungry, "{} is odd", n);
  return n / 2;
}
Result<> quarter(int n, int& out) {
  const int h = CLEAVE_TRY(half(n));
  out = CLEAVE_TRY(half(h));
  return {};
}

TEST(Error, TryHandsTheValueOrTheErrorOn) {
  int out = 0;
  EXPECT_TRUE(quarter(12, out));
  EXPECT_EQ(out, 3);
  const Result<> failed = quarter(6, out);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "lion_hungry: 3 is odd");
}

TEST(Error, PathOfAnErrorAllocatesNothing) {
  const std::string long_path(4000, '\n');
  const std::size_t before = test::allocations();
  Result<int> result = half(7);
  if (!result) {
    result.error().with_offset(1).with_limit(2).with_os_error(EIO).with_os_error(123456);
    result.error().with_subject("path", long_path).append_detail(long_path);
  }
  const Result<int> copy = result;
  const std::size_t after = test::allocations();
  EXPECT_EQ(after, before);
  EXPECT_TRUE(copy.error().is(ZooError::lion_hungry));
  EXPECT_GT(before, 0U);  // the counter counts
}

}  // namespace
}  // namespace cleave
