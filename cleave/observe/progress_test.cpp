#include "cleave/observe/progress.h"

#include <gtest/gtest.h>

#include "tests/support/result.h"

namespace cleave {
namespace {

TEST(Progress, AddsUp) {
  Progress progress;
  progress.advance(3);
  progress.advance(1ULL << 40);
  EXPECT_EQ(progress.done, (1ULL << 40) + 3);
  EXPECT_EQ(progress.total, 0U);
}

TEST(Progress, StopsTheJob) {
  Progress progress;
  EXPECT_TRUE(test::ok(progress.check()));
  progress.stop = true;
  EXPECT_TRUE(test::fails_with(progress.check(), IoError::interrupted));
}

}  // namespace
}  // namespace cleave
