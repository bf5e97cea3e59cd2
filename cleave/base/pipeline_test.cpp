#include "cleave/base/pipeline.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <numeric>
#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/base/internal/fail.h"
#include "tests/support/result.h"

namespace cleave {
namespace {

using test::fails_with;
using test::message_of;
using test::ok;

std::vector<int> first_numbers(int n) {
  std::vector<int> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

struct Item {
  int number = -1;
  int squared = -1;
};

// What happens to an input of numbers 0 … count - 1 that passes a serial, a parallel and a serial
// stage.
struct Plan {
  int count = 100;
  std::size_t slots = 4;
  std::set<int> fail_first, fail_middle, fail_last;  // the numbers that fail in that stage
  int source_fails_at = -1;
};

struct Outcome {
  Result<> result;
  std::vector<int> seen_first, seen_last;  // in order
  int most_in_flight = 0;
  bool broken = false;  // a stage or the source ran where it must not
};

Outcome run(Executor& executor, const Plan& plan) {
  Outcome outcome;
  std::vector<Item> items(plan.slots);
  std::vector<std::atomic<bool>> slot_busy(plan.slots);
  std::array<std::atomic<bool>, 3> one_at_a_time = {};  // the source and the two serial stages
  std::atomic<bool> broken = false;
  int next = 0;
  bool ended = false;
  std::atomic<int> finished = 0;

  const auto alone = [&](std::atomic<bool>& busy, auto work) {
    if (busy.exchange(true)) broken = true;
    auto result = work();
    busy = false;
    return result;
  };
  const auto on_slot = [&](Item& item, auto work) {
    return alone(slot_busy[static_cast<std::size_t>(&item - items.data())], work);
  };
  const auto check = [](const std::set<int>& failing, const Item& item,
                        const char* stage) -> Result<> {
    if (failing.contains(item.number)) return fail(IoError::io_error, "{} {}", stage, item.number);
    return {};
  };

  const auto source = [&](Item& item) {
    return alone(one_at_a_time[0], [&] {
      return on_slot(item, [&]() -> Result<bool> {
        if (ended) broken = true;
        if (next == plan.source_fails_at) {
          ended = true;
          return fail(IoError::io_error, "source {}", next);
        }
        if (next == plan.count) {
          ended = true;
          return false;
        }
        item = {next++, -1};
        outcome.most_in_flight = std::max(outcome.most_in_flight, next - finished);
        return true;
      });
    });
  };
  const auto first = [&](Item& item) {
    return alone(one_at_a_time[1], [&] {
      return on_slot(item, [&] {
        outcome.seen_first.push_back(item.number);
        return check(plan.fail_first, item, "first");
      });
    });
  };
  const auto middle = [&](Item& item) {
    return on_slot(item, [&] {
      if (item.number % 3 == 0) std::this_thread::yield();
      item.squared = item.number * item.number;
      return check(plan.fail_middle, item, "middle");
    });
  };
  const auto last = [&](Item& item) {
    return alone(one_at_a_time[2], [&] {
      return on_slot(item, [&] {
        if (item.squared != item.number * item.number) broken = true;
        Result<> result = check(plan.fail_last, item, "last");
        if (result) outcome.seen_last.push_back(item.number);
        ++finished;
        return result;
      });
    });
  };
  const std::array<Stage<Item>, 3> stages = {
      {{StageOrder::serial, first}, {StageOrder::parallel, middle}, {StageOrder::serial, last}}};
  outcome.result = run_pipeline<Item>(executor, items, source, stages);
  outcome.broken = broken;
  return outcome;
}

// The text of the error that must come out, and how many items must be finished.
std::pair<std::string, int> expected(const Plan& plan) {
  for (int i = 0; i < plan.count; ++i) {
    if (i == plan.source_fails_at) return {fmt::format("io_error: source {}", i), i};
    if (plan.fail_first.contains(i)) return {fmt::format("io_error: first {}", i), i};
    if (plan.fail_middle.contains(i)) return {fmt::format("io_error: middle {}", i), i};
    if (plan.fail_last.contains(i)) return {fmt::format("io_error: last {}", i), i};
  }
  return {"no error", plan.count};
}

bool as_expected(const Outcome& outcome, const Plan& plan) {
  const auto [message, finished] = expected(plan);
  // Later items may have got as far as the first stage before one failed, but none past another.
  return message_of(outcome.result) == message && outcome.seen_last == first_numbers(finished) &&
         outcome.seen_first == first_numbers(static_cast<int>(outcome.seen_first.size())) &&
         outcome.most_in_flight <= static_cast<int>(plan.slots) && !outcome.broken;
}

std::unique_ptr<Executor> executor_named(const std::string& name) {
  if (name == "inline") return make_inline_executor();
  if (name == "seeded") return make_seeded_executor(5);
  if (name == "threads") return make_thread_executor(4);
  return make_executor(2);
}

class PipelineTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Executor> executor = executor_named(GetParam());
};

INSTANTIATE_TEST_SUITE_P(, PipelineTest, testing::Values("inline", "seeded", "threads", "default"),
                         [](const auto& name) { return name.param; });

TEST_P(PipelineTest, TakesItemsThroughInOrderWithoutUsingMoreSlots) {
  for (const std::size_t slots : {1U, 2U, 7U}) {
    const Plan plan = {
        .count = 300, .slots = slots, .fail_first = {}, .fail_middle = {}, .fail_last = {}};
    EXPECT_TRUE(as_expected(run(*executor, plan), plan)) << slots;
  }
}

TEST_P(PipelineTest, GivesTheErrorOfTheFirstFailedItem) {
  Plan plan;
  plan.fail_middle = {31, 30};
  plan.fail_last = {32, 33};
  plan.fail_first = {34};
  const Outcome outcome = run(*executor, plan);
  EXPECT_EQ(message_of(outcome.result), "io_error: middle 30");
  EXPECT_EQ(outcome.seen_last, first_numbers(30));
}

TEST_P(PipelineTest, FinishesWhatWasReadBeforeTheSourceFailed) {
  Plan plan;
  plan.source_fails_at = 20;
  EXPECT_TRUE(as_expected(run(*executor, plan), plan));
}

TEST_P(PipelineTest, OfAnEmptySourceRunsNoStage) {
  Plan plan;
  plan.count = 0;
  EXPECT_TRUE(as_expected(run(*executor, plan), plan));
}

TEST_P(PipelineTest, WithoutStagesEmptiesTheSource) {
  int taken = 0;
  const auto source = [&](std::size_t) -> Result<bool> { return ++taken < 10; };
  EXPECT_TRUE(ok(run_slots(*executor, 3, source, {})));
  EXPECT_EQ(taken, 10);
}

TEST_P(PipelineTest, WithoutSlotsIsAnErrorAndReadsNothing) {
  bool read = false;
  const auto source = [&](std::size_t) -> Result<bool> {
    read = true;
    return true;
  };
  EXPECT_TRUE(fails_with(run_slots(*executor, 0, source, {}), IoError::out_of_memory));
  EXPECT_FALSE(read);
}

TEST_P(PipelineTest, TurnsFailedAllocationsIntoErrors) {
  int taken = 0;
  const auto source = [&](std::size_t) -> Result<bool> { return ++taken < 10; };
  const auto throws = [](std::size_t) -> Result<> { throw std::bad_alloc(); };
  const std::array<SlotStage, 1> stages = {{{StageOrder::parallel, throws}}};
  EXPECT_TRUE(fails_with(run_slots(*executor, 2, source, stages), IoError::out_of_memory));
  const auto source_throws = [](std::size_t) -> Result<bool> { throw std::bad_alloc(); };
  EXPECT_TRUE(fails_with(run_slots(*executor, 2, source_throws, {}), IoError::out_of_memory));
}

TEST_P(PipelineTest, StagesMayUseTheSameExecutor) {
  std::atomic<int> sum = 0;
  int taken = 0;
  const auto source = [&](std::size_t) -> Result<bool> { return ++taken <= 500; };
  const auto spread = [&](std::size_t) -> Result<> {
    executor->run(8, [&](std::size_t) {
      std::this_thread::yield();
      ++sum;
    });
    return {};
  };
  const std::array<SlotStage, 2> stages = {
      {{StageOrder::parallel, spread}, {StageOrder::serial, spread}}};
  EXPECT_TRUE(ok(run_slots(*executor, 6, source, stages)));
  EXPECT_EQ(sum, 500 * 2 * 8);
}

TEST(Pipeline, UsesAllSlotsInSomeOrder) {
  int most = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    most = std::max(most, run(*make_seeded_executor(seed), Plan()).most_in_flight);
  }
  EXPECT_EQ(most, 4);
}

// One thread, which takes new items first until all slots are full, and then what the pipeline
// likes best.
class FillingExecutor final : public Executor {
 public:
  explicit FillingExecutor(int slots) : to_fill_(slots) {}
  std::size_t concurrency() const override { return 1; }
  void run(std::size_t count, FunctionRef<void(std::size_t)> body) override {
    for (std::size_t i = 0; i < count; ++i) body(i);
  }
  std::size_t choose(std::size_t count) override { return to_fill_-- > 0 ? count - 1 : 0; }

 private:
  int to_fill_;
};

TEST(Pipeline, TakesTheStageNearestTheEndFirst) {
  FillingExecutor executor(3);
  std::vector<std::string> order;
  int taken = 0;
  const auto source = [&](int& item) -> Result<bool> { return (item = taken++) < 3; };
  const auto a = [&](int& item) -> Result<> {
    return order.push_back(fmt::format("{}a", item)), Result<>();
  };
  const auto b = [&](int& item) -> Result<> {
    return order.push_back(fmt::format("{}b", item)), Result<>();
  };
  const std::array<Stage<int>, 2> stages = {{{StageOrder::parallel, a}, {StageOrder::serial, b}}};
  std::array<int, 3> items = {};
  ASSERT_TRUE(ok(run_pipeline<int>(executor, items, source, stages)));
  EXPECT_EQ(order, (std::vector<std::string>{"0a", "0b", "1a", "1b", "2a", "2b"}));
}

TEST(Pipeline, DrainsItemsBeforeItTakesNewOnes) {
  EXPECT_EQ(run(*make_inline_executor(), Plan()).most_in_flight, 1);
}

Plan any_plan() {
  const auto some = [] {
    return *rc::gen::scale(0.05, rc::gen::container<std::set<int>>(rc::gen::inRange(0, 60)));
  };
  return {.count = *rc::gen::inRange(0, 60),
          .slots = *rc::gen::inRange<std::size_t>(1, 9),
          .fail_first = some(),
          .fail_middle = some(),
          .fail_last = some(),
          .source_fails_at = *rc::gen::inRange(-60, 60)};
}

RC_GTEST_PROP(Pipeline, DoesTheSameInAnyOrder, (std::uint64_t seed)) {
  const Plan plan = any_plan();
  RC_ASSERT(as_expected(run(*make_seeded_executor(seed), plan), plan));
}

RC_GTEST_PROP(Pipeline, DoesTheSameOnThreads, ()) {
  static const auto by_default = make_executor(2);
  const Plan plan = any_plan();
  RC_ASSERT(as_expected(run(*make_thread_executor(3), plan), plan));
  RC_ASSERT(as_expected(run(*by_default, plan), plan));
}

}  // namespace
}  // namespace cleave
