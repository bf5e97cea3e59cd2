#include "cleave/base/executor.h"

#include <atomic>
#include <latch>
#include <ostream>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace cleave {
namespace {

std::vector<std::size_t> order_of(Executor& executor, std::size_t count) {
  std::vector<std::size_t> order;
  executor.run(count, [&](std::size_t i) { order.push_back(i); });
  return order;
}

struct Kind {
  const char* name;
  std::unique_ptr<Executor> (*make)();
  std::size_t concurrency;
};

std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

class ExecutorTest : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Executor> executor = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(, ExecutorTest,
                         testing::Values(Kind{"default", [] { return make_executor(2); }, 2},
                                         Kind{"single", [] { return make_executor(1); }, 1},
                                         Kind{"many", [] { return make_executor(64); }, 64},
                                         Kind{"inline", make_inline_executor, 1},
                                         Kind{"seeded", [] { return make_seeded_executor(7); }, 1},
                                         Kind{"threads", [] { return make_thread_executor(4); },
                                              4}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST_P(ExecutorTest, SaysHowManyPiecesMayRunAtOnce) {
  EXPECT_EQ(executor->concurrency(), GetParam().concurrency);
  std::atomic<std::size_t> running = 0;
  std::atomic<bool> too_many = false;
  executor->run(1000, [&](std::size_t) {
    if (++running > executor->concurrency()) too_many = true;
    std::this_thread::yield();
    --running;
  });
  EXPECT_FALSE(too_many);
}

TEST_P(ExecutorTest, RunsEachPieceOnce) {
  for (const std::size_t count : {0U, 1U, 3U, 1000U}) {
    std::vector<std::atomic<int>> calls(count);
    executor->run(count, [&](std::size_t i) { ++calls.at(i); });
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(calls[i], 1) << i << " of " << count;
  }
}

TEST_P(ExecutorTest, MayBeNested) {
  std::atomic<std::size_t> sum = 0;
  executor->run(20, [&](std::size_t i) {
    executor->run(20, [&](std::size_t k) {
      executor->run(3, [&](std::size_t l) { sum += 10'000 * i + 100 * k + l; });
    });
  });
  EXPECT_EQ(sum, 10'000U * 190 * 60 + 100 * 190 * 60 + 400 * 3);
}

TEST(Executor, MayBeUsedByManyThreadsAtOnce) {
  for (const std::size_t threads : {1U, 2U, 64U}) {
    const auto executor = make_executor(threads);
    std::atomic<std::size_t> sum = 0;
    {
      std::vector<std::jthread> users;
      users.reserve(4);
      for (int t = 0; t < 4; ++t) {
        users.emplace_back([&] { executor->run(100, [&](std::size_t i) { sum += i; }); });
      }
    }
    EXPECT_EQ(sum, 4U * 4950) << threads;
  }
}

TEST(InlineExecutor, KeepsTheOrder) {
  EXPECT_EQ(order_of(*make_inline_executor(), 5), (std::vector<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(SeededExecutor, OrdersBySeed) {
  const auto a = order_of(*make_seeded_executor(1), 50);
  EXPECT_EQ(a, order_of(*make_seeded_executor(1), 50));
  EXPECT_NE(a, order_of(*make_seeded_executor(2), 50));
}

TEST(SeededExecutor, ChoosesEverythingSooner) {
  const auto executor = make_seeded_executor(3);
  std::set<std::size_t> chosen;
  for (int i = 0; i < 200; ++i) chosen.insert(executor->choose(5));
  EXPECT_EQ(chosen, (std::set<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(ThreadExecutor, RunsPiecesAtOnce) {
  std::latch all_here(3);
  make_thread_executor(3)->run(3, [&](std::size_t) { all_here.arrive_and_wait(); });
  EXPECT_TRUE(all_here.try_wait());
  EXPECT_EQ(make_thread_executor(0)->concurrency(), 1U);
}

TEST(Executor, HasACoreAtLeast) {
  EXPECT_GE(available_cores(), 1U);
  EXPECT_GE(make_executor()->concurrency(), 1U);
}

}  // namespace
}  // namespace cleave
