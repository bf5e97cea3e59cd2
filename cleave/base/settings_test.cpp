#include "cleave/base/settings.h"

#include <algorithm>
#include <cstdlib>
#include <ostream>

#include <gtest/gtest.h>

#include "cleave/base/cpu.h"
#include "cleave/base/executor.h"
#include "tests/support/death_test.h"

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
  SettingsDeathTest() { test::die_in_new_processes(); }
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

struct ByteCase {
  const char* variable;
  const char* value;
  std::size_t Settings::* setting;
  std::size_t expected;
  bool ignored;
};

std::ostream& operator<<(std::ostream& out, const ByteCase& c) {
  return out << c.variable << "=" << c.value;
}

class ByteSettingsDeathTest : public testing::TestWithParam<ByteCase> {
 protected:
  ByteSettingsDeathTest() { test::die_in_new_processes(); }
};

constexpr auto kCap = &Settings::read_slice_cap;
constexpr std::size_t kCapDefault = std::size_t{16} << 20;
constexpr auto kLimit = &Settings::async_buffer_limit;
constexpr std::size_t kLimitDefault = std::size_t{2} << 30;
constexpr std::size_t kMinLimit = std::size_t{64} << 20;
constexpr std::size_t kMaxLimit = std::size_t{3} << 30;
INSTANTIATE_TEST_SUITE_P(
    Bytes, ByteSettingsDeathTest,
    testing::Values(
        ByteCase{"CLEAVE_READ_SLICE_CAP_BYTES", "", kCap, kCapDefault, false},
        ByteCase{"CLEAVE_READ_SLICE_CAP_BYTES", "4096", kCap, 4096, false},
        ByteCase{"CLEAVE_READ_SLICE_CAP_BYTES", "4095", kCap, kCapDefault, true},
        ByteCase{"CLEAVE_READ_SLICE_CAP_BYTES", "268435456", kCap, 268'435'456, false},
        ByteCase{"CLEAVE_READ_SLICE_CAP_BYTES", "268435457", kCap, kCapDefault, true},
        ByteCase{"CLEAVE_READ_SLICE_CAP_BYTES", "16M", kCap, kCapDefault, true},
        ByteCase{"CHUNKER_READ_SLICE_CAP_BYTES", "8192", kCap, 8192, false},
        ByteCase{"CHUNKER_READ_SLICE_CAP_BYTES", "0", kCap, kCapDefault, true},
        ByteCase{"CLEAVE_READAHEAD_BYTES", "0", &Settings::read_ahead, 0, false},
        ByteCase{"CHUNKER_READAHEAD_BYTES", "65536", &Settings::read_ahead, 65536, false},
        ByteCase{"CLEAVE_READAHEAD_BYTES", "-1", &Settings::read_ahead, 8 << 20, true},
        ByteCase{"CLEAVE_PARALLEL_THRESHOLD", "1", &Settings::parallel_threshold, 1, false},
        ByteCase{"CHUNKER_PARALLEL_THRESHOLD", "2", &Settings::parallel_threshold, 2, false},
        ByteCase{"CLEAVE_ASYNC_BUFFER_LIMIT_BYTES", "", kLimit, kLimitDefault, false},
        ByteCase{"CLEAVE_ASYNC_BUFFER_LIMIT_BYTES", "100000000", kLimit, 100'000'000, false},
        ByteCase{"CHUNKER_ASYNC_BUFFER_LIMIT_BYTES", "200000000", kLimit, 200'000'000, false},
        ByteCase{"CLEAVE_ASYNC_BUFFER_LIMIT_BYTES", "0", kLimit, kMinLimit, false},
        ByteCase{"CLEAVE_ASYNC_BUFFER_LIMIT_BYTES", "67108863", kLimit, kMinLimit, false},
        ByteCase{"CLEAVE_ASYNC_BUFFER_LIMIT_BYTES", "3221225473", kLimit, kMaxLimit, false},
        ByteCase{"CLEAVE_ASYNC_BUFFER_LIMIT_BYTES", "99999999999999999999", kLimit, kMaxLimit,
                 false},
        ByteCase{"CLEAVE_ASYNC_BUFFER_LIMIT_BYTES", "-1", kLimit, kLimitDefault, true},
        ByteCase{"CLEAVE_ASYNC_BUFFER_LIMIT_BYTES", "2G", kLimit, kLimitDefault, true}));

TEST_P(ByteSettingsDeathTest, ComeFromTheEnvironmentOrSayThatTheyWereIgnored) {
  const ByteCase& c = GetParam();
  EXPECT_EXIT(
      {
        ::setenv(c.variable, c.value, 1);
        const std::vector<std::string>& ignored = settings().ignored;
        const bool said =
            c.ignored ? ignored == std::vector<std::string>{c.variable} : ignored.empty();
        std::_Exit(settings().*c.setting == c.expected && said ? 42 : 1);
      },
      testing::ExitedWithCode(42), "");
}

TEST_F(SettingsDeathTest, OurNameGoesBeforeTheOlderOne) {
  EXPECT_EXIT(
      {
        ::setenv("CLEAVE_READAHEAD_BYTES", "4096", 1);
        ::setenv("CHUNKER_READAHEAD_BYTES", "8192", 1);
        std::_Exit(settings().read_ahead == 4096 ? 42 : 1);
      },
      testing::ExitedWithCode(42), "");
}

TEST_F(SettingsDeathTest, EachLevelOfTheCpuCanBeChosenAndNoOther) {
  for (const CpuLevel level :
       {CpuLevel::scalar, CpuLevel::neon, CpuLevel::avx2, CpuLevel::avx512, CpuLevel::avx512vbmi}) {
    const bool has = std::ranges::find(cpu_levels(), level) != cpu_levels().end();
    const std::string name(cpu_level_name(level));
    EXPECT_EXIT(
        {
          ::setenv("CLEAVE_CPU", name.c_str(), 1);
          const bool chosen = cpu_level() == (has ? level : cpu_levels().back());
          std::_Exit(chosen && settings().ignored.empty() == has ? 42 : 1);
        },
        testing::ExitedWithCode(42), "")
        << name;
  }
  EXPECT_EXIT(
      {
        ::setenv("CLEAVE_CPU", "fast", 1);
        const bool said = settings().ignored == std::vector<std::string>{"CLEAVE_CPU"};
        std::_Exit(said && settings().cpu.empty() && cpu_level() == cpu_levels().back() ? 42 : 1);
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
