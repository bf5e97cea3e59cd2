// Executor: the one seam through which the library uses threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "cleave/base/function_ref.h"

namespace cleave {

// Runs independent pieces of work. Results of the library never depend on which executor is used or
// on how many threads it has.
class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  // How many pieces may run at once; at least 1.
  virtual std::size_t concurrency() const = 0;

  // Calls body(0) … body(count - 1), each once, in any order, perhaps at once, and returns when all
  // have returned. `body` must not throw. Thread-safe; may be nested.
  virtual void run(std::size_t count, FunctionRef<void(std::size_t)> body) = 0;

  // Which of `count` pieces of work that could be done next to take. Executors for tests choose at
  // random, to bring about rare orders.
  virtual std::size_t choose(std::size_t /*count*/) { return 0; }
};

// The library's default: `threads` threads of its own arena (0: CLEAVE_NUM_THREADS, else one per
// core the process may use). Uses oneTBB when built with it and there are as many cores, else
// threads started for each run().
std::unique_ptr<Executor> make_executor(std::size_t threads = 0);
// How many threads it will have.
std::size_t default_threads(std::size_t threads = 0);

// Everything on the calling thread, in order.
std::unique_ptr<Executor> make_inline_executor();

// Everything on the calling thread, in an order drawn from `seed`: the same for the same seed.
std::unique_ptr<Executor> make_seeded_executor(std::uint64_t seed);

// Plain threads, started for each run(); what the thread sanitizer can see through.
std::unique_ptr<Executor> make_thread_executor(std::size_t threads);

// The number of cores this process may use.
std::size_t available_cores();

}  // namespace cleave
