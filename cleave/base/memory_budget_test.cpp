#include "cleave/base/memory_budget.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/allocations.h"
#include "tests/support/result.h"
#include "tests/support/rounds.h"

namespace cleave {
namespace {

using test::fails_with;
using test::ok;

constexpr std::size_t kUnlimited = MemoryLimits::kUnlimited;

// Holds reservations of some bytes each, under a lock of its own, and releases the oldest first.
class Cache final : public Evictable {
 public:
  explicit Cache(MemoryBudget& budget) : budget_(&budget), registration_(budget, *this) {}

  bool fill(std::size_t bytes) {
    auto reservation = budget_->try_reserve(bytes);
    if (!reservation) return false;
    const std::lock_guard lock(mutex_);
    held_.push_back(std::move(*reservation));
    return true;
  }

  std::size_t evict(std::size_t wanted_bytes) override {
    const std::lock_guard lock(mutex_);
    asked_for.push_back(wanted_bytes);
    std::size_t freed = 0;
    while (freed < wanted_bytes && !held_.empty()) {
      freed += held_.front().bytes();
      held_.erase(held_.begin());
    }
    return freed;
  }

  std::size_t bytes() {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const Reservation& reservation : held_) sum += reservation.bytes();
    return sum;
  }

  std::vector<std::size_t> asked_for;

 private:
  MemoryBudget* budget_;
  std::mutex mutex_;
  std::vector<Reservation> held_;
  EvictorRegistration registration_;
};

TEST(MemoryBudget, CountsWithoutLimits) {
  MemoryBudget budget;
  {
    auto a = budget.reserve(100);
    auto b = budget.reserve(kUnlimited - 100);
    ASSERT_TRUE(ok(a) && ok(b));
    EXPECT_EQ(budget.used(), kUnlimited);
    EXPECT_TRUE(fails_with(budget.reserve(1), MemoryError::memory_limit_exceeded));
  }
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_EQ(budget.peak(), kUnlimited);
  EXPECT_EQ(budget.limits().soft_bytes, kUnlimited);
  EXPECT_EQ(budget.limits().hard_bytes, kUnlimited);
}

TEST(MemoryBudget, ReservationsMoveAndResize) {
  MemoryBudget budget({.hard_bytes = 100});
  EXPECT_EQ(budget.limits().soft_bytes, 100U);
  Reservation a = *budget.reserve(60);
  Reservation b = std::move(a);
  EXPECT_EQ(a.bytes(), 0U);  // NOLINT: what a moved-from one promises
  EXPECT_TRUE(ok(b.resize(100)));
  EXPECT_TRUE(fails_with(b.resize(101), MemoryError::memory_limit_exceeded));
  EXPECT_EQ(b.bytes(), 100U);
  EXPECT_TRUE(ok(b.resize(30)));
  EXPECT_EQ(budget.used(), 30U);
  b = *budget.reserve(50);
  EXPECT_EQ(budget.used(), 50U);
  Reservation& same = b;
  b = std::move(same);
  EXPECT_EQ(b.bytes(), 50U);
  b.release();
  b.release();
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_EQ(budget.peak(), 100U);
}

TEST(MemoryBudget, OverTheHardLimitIsAnErrorThatAllocatesNothing) {
  MemoryBudget budget({.soft_bytes = 50, .hard_bytes = 100});
  Cache empty(budget);
  empty.asked_for.reserve(10);
  const Reservation held = *budget.reserve(40);
  const std::size_t before = test::allocations();
  const auto refused = budget.reserve(61);
  const auto beyond_numbers = budget.reserve(kUnlimited);
  EXPECT_EQ(test::allocations(), before);

  ASSERT_TRUE(fails_with(refused, MemoryError::memory_limit_exceeded));
  EXPECT_EQ(refused.error().message(),
            "memory_limit_exceeded: attempted 101 bytes, limit 100 bytes");
  EXPECT_EQ(refused.error().limit(), 100U);
  EXPECT_EQ(refused.error().error_class(), ErrorClass::io);
  ASSERT_TRUE(fails_with(beyond_numbers, MemoryError::memory_limit_exceeded));
  EXPECT_EQ(test::message_of(beyond_numbers),
            "memory_limit_exceeded: attempted 18446744073709551615 bytes, limit 100 bytes");
  EXPECT_EQ(budget.used(), 40U);
  EXPECT_EQ(budget.peak(), 40U);
  EXPECT_TRUE(ok(budget.reserve(60)));
}

TEST(MemoryBudget, AsksEvictorsInOrderForWhatIsMissing) {
  MemoryBudget budget({.soft_bytes = 100, .hard_bytes = 200});
  Cache first(budget);
  Cache second(budget);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(first.fill(10));
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(second.fill(10));
  EXPECT_FALSE(second.fill(1));
  EXPECT_TRUE(first.asked_for.empty() && second.asked_for.empty()) << "try_reserve asks nobody";

  const auto a = budget.reserve(5);
  EXPECT_EQ(first.asked_for, std::vector<std::size_t>({5}));
  EXPECT_TRUE(second.asked_for.empty());
  EXPECT_EQ(budget.used(), 95U);

  const auto b = budget.reserve(40);
  EXPECT_EQ(first.asked_for, std::vector<std::size_t>({5, 35}));
  EXPECT_EQ(second.asked_for, std::vector<std::size_t>({15}));
  EXPECT_EQ(budget.used(), 95U);

  // Nothing is left to evict: what lies between the limits is granted, and then no more.
  const auto c = budget.reserve(140);
  EXPECT_TRUE(ok(c));
  EXPECT_EQ(first.bytes() + second.bytes(), 0U);
  EXPECT_EQ(budget.used(), 185U);
  EXPECT_TRUE(fails_with(budget.reserve(16), MemoryError::memory_limit_exceeded));
  EXPECT_EQ(budget.peak(), 185U);
}

TEST(MemoryBudget, WhatCanNeverFitEvictsNothing) {
  MemoryBudget budget({.soft_bytes = 50, .hard_bytes = 100});
  Cache cache(budget);
  ASSERT_TRUE(cache.fill(50));
  EXPECT_TRUE(fails_with(budget.reserve(101), MemoryError::memory_limit_exceeded));
  EXPECT_EQ(cache.bytes(), 50U);
  EXPECT_TRUE(ok(budget.reserve(100)));
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(MemoryBudget, AsksNobodyAfterTheEndOfARegistration) {
  MemoryBudget budget({.soft_bytes = 10, .hard_bytes = 100});
  Cache first(budget);
  auto middle = std::make_unique<Cache>(budget);
  Cache last(budget);
  middle.reset();
  EXPECT_TRUE(ok(budget.reserve(50)));
  EXPECT_EQ(first.asked_for, std::vector<std::size_t>({40}));
  EXPECT_EQ(last.asked_for, std::vector<std::size_t>({40}));
}

// Says when it is asked, and answers when it is told to.
class SlowEvictor final : public Evictable {
 public:
  std::size_t evict(std::size_t) override {
    asked.count_down();
    answer.wait();
    answered = true;
    return 0;
  }
  std::latch asked{1};
  std::latch answer{1};
  std::atomic<bool> answered = false;
};

TEST(MemoryBudget, TheEndOfARegistrationWaitsForACallInProgress) {
  MemoryBudget budget({.soft_bytes = 10, .hard_bytes = 100});
  SlowEvictor slow;
  auto registration = std::make_unique<EvictorRegistration>(budget, slow);
  const std::jthread reserving([&] { EXPECT_TRUE(ok(budget.reserve(50))); });
  slow.asked.wait();
  const std::jthread ending([&] {
    registration.reset();
    EXPECT_TRUE(slow.answered);
  });
  // The budget goes on meanwhile, evictors too.
  Cache cache(budget);
  EXPECT_TRUE(cache.fill(5));
  slow.answer.count_down();
}

// What a budget with one cache must do, in plain arithmetic.
struct Model {
  std::size_t soft, hard;
  std::vector<std::size_t> cached;
  std::size_t held = 0;
  std::size_t peak = 0;

  std::size_t used() const { return std::accumulate(cached.begin(), cached.end(), held); }
  void note_peak() { peak = std::max(peak, used()); }

  bool fill(std::size_t bytes) {
    if (used() + bytes > soft) return false;
    cached.push_back(bytes);
    note_peak();
    return true;
  }
  bool reserve(std::size_t bytes) {
    if (bytes > hard) return false;
    while (used() + bytes > soft && !cached.empty()) cached.erase(cached.begin());
    if (used() + bytes > hard) return false;
    held += bytes;
    note_peak();
    return true;
  }
};

RC_GTEST_PROP(MemoryBudget, BehavesAsPlainArithmetic, ()) {
  const auto soft = *rc::gen::inRange<std::size_t>(0, 200);
  Model model{soft, soft + *rc::gen::inRange<std::size_t>(0, 200), {}};
  MemoryBudget budget({.soft_bytes = model.soft, .hard_bytes = model.hard});
  Cache cache(budget);
  std::vector<Reservation> held;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, std::size_t>>>(
      rc::gen::pair(rc::gen::inRange(0, 4), rc::gen::inRange<std::size_t>(1, 150)));
  for (const auto& [what, bytes] : steps) {
    const std::size_t which = held.empty() ? 0 : bytes % held.size();
    if (what == 0) {
      RC_ASSERT(cache.fill(bytes) == model.fill(bytes));
    } else if (what == 1) {
      auto made = budget.reserve(bytes);
      RC_ASSERT(made.has_value() == model.reserve(bytes));
      if (made) held.push_back(std::move(*made));
    } else if (held.empty()) {
      continue;
    } else if (what == 2) {
      model.held -= held[which].bytes();
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
    } else if (bytes <= held[which].bytes()) {
      model.held -= held[which].bytes() - bytes;
      RC_ASSERT(held[which].resize(bytes).has_value());
    } else {
      const bool grows = model.reserve(bytes - held[which].bytes());
      RC_ASSERT(held[which].resize(bytes).has_value() == grows);
    }
    RC_ASSERT(budget.used() == model.used());
    RC_ASSERT(budget.peak() == model.peak);
    RC_ASSERT(cache.bytes() == model.used() - model.held);
  }
}

void run_threads(const std::function<void(std::mt19937_64&)>& body) {
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&body, t] {
      std::mt19937_64 random(t);
      for (int i = 0; i < test::rounds(20'000); ++i) body(random);
    });
  }
}

TEST(MemoryBudget, HoldsItsHardLimitWithManyThreads) {
  MemoryBudget budget({.hard_bytes = 300});
  std::atomic<int> refused = 0;
  run_threads([&](std::mt19937_64& random) {
    auto reservation = budget.reserve(random() % 200);
    if (!reservation || !reservation->resize(random() % 400)) ++refused;
    EXPECT_LE(budget.used(), 300U);
  });
  EXPECT_LE(budget.peak(), 300U);
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_GT(refused, 0);
}

TEST(MemoryBudget, CachesMakeWayWithManyThreads) {
  // Threads hold at most 4 * 300, and caches fill up to the soft limit: nothing is ever refused.
  MemoryBudget budget({.soft_bytes = 1000, .hard_bytes = 2200});
  Cache shared(budget);
  run_threads([&](std::mt19937_64& random) {
    auto reservation = budget.reserve(random() % 200);
    ASSERT_TRUE(ok(reservation));
    EXPECT_TRUE(ok(reservation->resize(random() % 300)));
    shared.fill(random() % 100);
    if (random() % 50 > 0) return;
    Cache own(budget);
    own.fill(random() % 100);
  });
  EXPECT_LE(budget.peak(), 2200U);
  EXPECT_EQ(budget.used(), shared.bytes());
  EXPECT_FALSE(shared.asked_for.empty());
}

}  // namespace
}  // namespace cleave
