#include "cleave/base/settings.h"

#include <cstdlib>
#include <ostream>

#include <gtest/gtest.h>

#include "cleave/base/executor.h"

namespace cleave {
namespace {

struct Case {
  const char* ours;
  const char* rayon;
  std::size_t threads;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << '"' << c.ours << "\" \"" << c.rayon << '"';
}

// Settings are read once a process: each case needs one of its own.
class SettingsDeathTest : public testing::TestWithParam<Case> {
 protected:
  SettingsDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

INSTANTIATE_TEST_SUITE_P(Threads, SettingsDeathTest,
                         testing::Values(Case{"3", "5", 3}, Case{"", "5", 5}, Case{"", "", 0},
                                         Case{"many", "5", 5}, Case{"0", "", 0}, Case{"4x", "", 0},
                                         Case{"-1", "", 0}, Case{"99999999999999999999", "", 0},
                                         Case{"1024", "", 1024}, Case{"1025", "", 0}));

TEST_P(SettingsDeathTest, ThreadsComeFromTheEnvironment) {
  EXPECT_EXIT(
      {
        ::setenv("CLEAVE_NUM_THREADS", GetParam().ours, 1);
        ::setenv("RAYON_NUM_THREADS", GetParam().rayon, 1);
        std::_Exit(settings().threads == GetParam().threads ? 42 : 1);
      },
      testing::ExitedWithCode(42), "");
}

TEST_F(SettingsDeathTest, DefaultExecutorHasThatManyThreads) {
  EXPECT_EXIT(
      {
        ::setenv("CLEAVE_NUM_THREADS", "3", 1);
        std::_Exit(make_executor()->concurrency() == 3 ? 42 : 1);
      },
      testing::ExitedWithCode(42), "");
}

TEST(Environment, IsEmptyWhereNothingIsSet) {
  EXPECT_EQ(environment("CLEAVE_NO_SUCH_VARIABLE"), "");
  ::setenv("CLEAVE_TEST_VARIABLE", "value", 1);
  EXPECT_EQ(environment("CLEAVE_TEST_VARIABLE"), "value");
}

}  // namespace
}  // namespace cleave
