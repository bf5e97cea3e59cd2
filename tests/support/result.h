// GoogleTest assertions about Result<T>: EXPECT_TRUE(ok(r)), EXPECT_TRUE(fails_with(r,
// IoError::io_error)).
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "cleave/base/error.h"

namespace cleave::test {

template <class T>
testing::AssertionResult ok(const Result<T>& result) {
  if (result) return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.error().message();
}

template <class T, ErrorCode Code>
testing::AssertionResult fails_with(const Result<T>& result, Code code) {
  if (!result && result.error().is(code)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << (result ? "no error" : result.error().message())
                                     << " instead of " << describe(code).name;
}

template <class T>
std::string message_of(const Result<T>& result) {
  return result ? "no error" : std::string(result.error().message());
}

}  // namespace cleave::test
