#include "cleave/base/memory_budget.h"

#include <benchmark/benchmark.h>

namespace cleave {
namespace {

// One reservation made and given back; with threads, all on one budget.
void reserve(benchmark::State& state) {
  static MemoryBudget unlimited;
  for (auto _ : state) {
    auto reservation = unlimited.reserve(4096);
    benchmark::DoNotOptimize(reservation);
  }
}
BENCHMARK(reserve)->Threads(1)->Threads(2);

}  // namespace
}  // namespace cleave
