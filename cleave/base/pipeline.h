// An ordered pipeline: items come from a source, pass through stages, at most so many at a time.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "cleave/base/error.h"
#include "cleave/base/executor.h"
#include "cleave/base/function_ref.h"

namespace cleave {

enum class StageOrder : bool {
  parallel,  // any items at once, in any order
  serial,    // one item at a time, in the order of the source
};

// Stages work on slots, reused without end: a slot holds one item from its source to its last
// stage, so whatever memory an item needs is allocated once per slot.
struct SlotStage {
  StageOrder order;
  FunctionRef<Result<>(std::size_t slot)> run;
};

// Fills slots from `source` (called one at a time; false at the end of the input) and runs each
// through `stages`. Backpressure: the source waits while all `slots` are on their way
// (without any, it fails with out_of_memory).
// On an error no new item starts, items before the failed one are still finished, those after it
// are dropped; the error of the first failed item, in source order, is returned. Deterministic in
// what serial stages see, whatever the executor. Takes the stage nearest the end when there is a
// choice, so that memory drains first. A std::bad_alloc in a stage becomes IoError::out_of_memory.
Result<> run_slots(Executor& executor, std::size_t slots,
                   FunctionRef<Result<bool>(std::size_t slot)> source,
                   std::span<const SlotStage> stages);

// The same over items of a type: `items` are the slots.
template <class Item>
struct Stage {
  StageOrder order;
  FunctionRef<Result<>(Item&)> run;
};

template <class Item>
Result<> run_pipeline(Executor& executor, std::span<Item> items,
                      FunctionRef<Result<bool>(Item&)> source,
                      std::span<const Stage<std::type_identity_t<Item>>> stages) {
  struct Bound {
    std::span<Item> items;
    const Stage<Item>* stage;
    Result<> operator()(std::size_t slot) { return stage->run(items[slot]); }
  };
  std::vector<Bound> bound;
  std::vector<SlotStage> slot_stages;
  bound.reserve(stages.size());
  for (const Stage<Item>& stage : stages) {
    slot_stages.push_back({stage.order, bound.emplace_back(items, &stage)});
  }
  const auto from_slot = [&](std::size_t slot) { return source(items[slot]); };
  return run_slots(executor, items.size(), from_slot, slot_stages);
}

}  // namespace cleave
