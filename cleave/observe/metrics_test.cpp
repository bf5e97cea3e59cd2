#include "cleave/observe/metrics.h"

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/death_test.h"

namespace cleave {
namespace {

Counter apples("test.apples");
Counter pears("test.pears");
SpanSite wash("test.wash");
SpanSite peel("test.peel");

template <class Value>
const Value& named(const std::vector<Value>& values, std::string_view name) {
  return *std::ranges::find(values, name, &Value::name);
}

TEST(Metrics, CountersAddUpOverThreads) {
  const std::uint64_t before = apples.value();
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < 1000; ++i) apples.add();
        apples.add(5);
      });
    }
  }
  EXPECT_EQ(apples.value() - before, 4U * 1005);
  EXPECT_EQ(named(counter_values(), "test.apples").value, apples.value());
}

TEST(Metrics, ListsAreSortedByNameAndWhole) {
  const auto counters = counter_values();
  EXPECT_TRUE(std::ranges::is_sorted(counters, {}, &CounterValue::name));
  EXPECT_EQ(std::ranges::count(counters, "test.pears", &CounterValue::name), 1);
  const auto spans = span_values();
  EXPECT_TRUE(std::ranges::is_sorted(spans, {}, &SpanValue::name));
  EXPECT_EQ(std::ranges::count(spans, "test.peel", &SpanValue::name), 1);
}

void measure() {
  for (int i = 0; i < 3; ++i) {
    Span outer(wash, 10);
    outer.add_bytes(5);
    const Span inner(peel);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// Whether spans are on is read once a process: each test needs one of its own.
class SpansDeathTest : public testing::Test {
 protected:
  SpansDeathTest() { test::die_in_new_processes(); }
};

TEST_F(SpansDeathTest, MeasureNothingWhenOff) {
  EXPECT_EXIT(
      {
        ::unsetenv("CLEAVE_PROFILE");
        measure();
        const SpanValue value = named(span_values(), "test.wash");
        std::_Exit(
            !spans_enabled() && value.count == 0 && value.nanoseconds == 0 && value.bytes == 0 ? 42
                                                                                               : 1);
      },
      testing::ExitedWithCode(42), "");
}

TEST_F(SpansDeathTest, MeasureTimesAndBytesWhenOn) {
  EXPECT_EXIT(
      {
        ::setenv("CLEAVE_PROFILE", "1", 1);
        measure();
        const SpanValue outer = named(span_values(), "test.wash");
        const SpanValue inner = named(span_values(), "test.peel");
        std::_Exit(spans_enabled() && outer.count == 3 && outer.bytes == 45 && inner.count == 3 &&
                           inner.bytes == 0 && inner.nanoseconds >= 6'000'000 &&
                           outer.nanoseconds >= inner.nanoseconds
                       ? 42
                       : 1);
      },
      testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace cleave
