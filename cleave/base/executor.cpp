#include "cleave/base/executor.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>
#include <sched.h>
#include <thread>
#include <vector>

#if CLEAVE_WITH_TBB
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#endif

#include "cleave/base/settings.h"

namespace cleave {

namespace {

class InlineExecutor final : public Executor {
 public:
  std::size_t concurrency() const override { return 1; }
  void run(std::size_t count, FunctionRef<void(std::size_t)> body) override {
    for (std::size_t i = 0; i < count; ++i) body(i);
  }
};

class SeededExecutor final : public Executor {
 public:
  explicit SeededExecutor(std::uint64_t seed) : random_(seed) {}
  std::size_t concurrency() const override { return 1; }
  void run(std::size_t count, FunctionRef<void(std::size_t)> body) override {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random_);
    for (const std::size_t i : order) body(i);
  }
  std::size_t choose(std::size_t count) override { return random_() % count; }

 private:
  std::mt19937_64 random_;
};

class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(std::size_t threads) : threads_(std::max<std::size_t>(threads, 1)) {}
  std::size_t concurrency() const override { return threads_; }
  void run(std::size_t count, FunctionRef<void(std::size_t)> body) override {
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
      for (std::size_t i = next++; i < count; i = next++) body(i);
    };
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < std::min(threads_, count); ++i) helpers.emplace_back(work);
    work();
  }

 private:
  std::size_t threads_;
};

#if CLEAVE_WITH_TBB
class TbbExecutor final : public Executor {
 public:
  explicit TbbExecutor(std::size_t threads) : arena_(static_cast<int>(threads)) {}
  std::size_t concurrency() const override {
    return static_cast<std::size_t>(arena_.max_concurrency());
  }
  void run(std::size_t count, FunctionRef<void(std::size_t)> body) override {
    // Isolated: a thread that waits for a nested run() must not start a piece of the outer one,
    // which may in turn wait for what that thread is in the middle of.
    arena_.execute([&] {
      tbb::this_task_arena::isolate([&] {
        tbb::parallel_for(
            std::size_t{0}, count, [&](std::size_t i) { body(i); }, tbb::simple_partitioner());
      });
    });
  }

 private:
  tbb::task_arena arena_;
};
#endif

}  // namespace

std::size_t available_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  }
#endif
  return std::max(1U, std::thread::hardware_concurrency());
}

std::size_t default_threads(std::size_t threads) {
  if (threads == 0) threads = settings().threads;
  return threads == 0 ? available_cores() : threads;
}

std::unique_ptr<Executor> make_executor(std::size_t threads) {
  threads = default_threads(threads);
  if (threads == 1) return make_inline_executor();
#if CLEAVE_WITH_TBB
  // Of more threads than cores TBB gives none, and says so on stderr.
  if (threads <= available_cores()) return std::make_unique<TbbExecutor>(threads);
#endif
  return make_thread_executor(threads);
}

std::unique_ptr<Executor> make_inline_executor() { return std::make_unique<InlineExecutor>(); }

std::unique_ptr<Executor> make_seeded_executor(std::uint64_t seed) {
  return std::make_unique<SeededExecutor>(seed);
}

std::unique_ptr<Executor> make_thread_executor(std::size_t threads) {
  return std::make_unique<ThreadExecutor>(threads);
}

}  // namespace cleave
