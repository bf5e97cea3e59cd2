#include "cleave/base/pipeline.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>
#include <new>
#include <optional>

#include "cleave/base/internal/fail.h"

namespace cleave {

namespace {

// One lock guards the schedule; the work itself runs outside it. Items are meant to be worth
// microseconds at least.
class Engine {
 public:
  Engine(Executor& executor, std::size_t slots, FunctionRef<Result<bool>(std::size_t)> source,
         std::span<const SlotStage> stages)
      : executor_(executor),
        source_(source),
        stages_(stages),
        slots_(slots),
        next_in_stage_(stages.size(), 0),
        stage_busy_(stages.size(), false) {}

  Result<> run() {
    executor_.run(executor_.concurrency(), [this](std::size_t) { work(); });
    if (error_) return fail(*std::move(error_));
    return {};
  }

 private:
  enum class State : std::uint8_t { free, ready, running };
  struct Slot {
    State state = State::free;
    std::size_t stage = 0;       // where it is ready or running
    std::uint64_t sequence = 0;  // of its item, in source order
  };
  // A slot with a stage to run; a free slot stands for the source.
  using Choice = std::optional<std::size_t>;

  void work() {
    std::unique_lock lock(mutex_);
    while (!finished()) {
      if (const Choice slot = choose()) {
        advance(lock, slots_[*slot], *slot);
        changed_.notify_all();
      } else {
        changed_.wait(lock);
      }
    }
  }

  bool finished() const {
    const bool no_more = source_done_ || error_;
    return no_more && !source_busy_ &&
           std::ranges::all_of(slots_, [](const Slot& s) { return s.state == State::free; });
  }

  bool runnable(const Slot& slot) const {
    switch (slot.state) {
      case State::free: return !source_busy_ && !source_done_ && !error_;
      case State::running: return false;
      case State::ready: break;
    }
    if (stages_[slot.stage].order == StageOrder::parallel) return true;
    return !stage_busy_[slot.stage] && next_in_stage_[slot.stage] == slot.sequence;
  }

  // How near a slot's work is to the end: later stages first, among them earlier items first.
  static bool nearer_the_end(const Slot& a, const Slot& b) {
    if ((a.state == State::free) != (b.state == State::free)) return b.state == State::free;
    if (a.stage != b.stage) return a.stage > b.stage;
    return a.sequence < b.sequence;
  }

  Choice choose() {
    candidates_.clear();
    bool source_offered = false;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (!runnable(slots_[i])) continue;
      if (slots_[i].state == State::free && std::exchange(source_offered, true)) continue;
      candidates_.push_back(i);
    }
    if (candidates_.empty()) return std::nullopt;
    std::ranges::sort(candidates_, [&](std::size_t a, std::size_t b) {
      return nearer_the_end(slots_[a], slots_[b]);
    });
    return candidates_[executor_.choose(candidates_.size())];
  }

  void advance(std::unique_lock<std::mutex>& lock, Slot& slot, std::size_t index) {
    if (slot.state == State::free) {
      take_from_source(lock, slot, index);
    } else {
      run_stage(lock, slot, index);
    }
  }

  void take_from_source(std::unique_lock<std::mutex>& lock, Slot& slot, std::size_t index) {
    source_busy_ = true;
    slot = {State::running, 0, next_sequence_};
    lock.unlock();
    const Result<bool> got = guarded<bool>([&] { return source_(index); });
    lock.lock();
    source_busy_ = false;
    if (!got) record(slot.sequence, got.error());
    if (got && !*got) source_done_ = true;
    if (!got || !*got) {
      slot.state = State::free;
      return;
    }
    ++next_sequence_;
    settle(slot);
  }

  void run_stage(std::unique_lock<std::mutex>& lock, Slot& slot, std::size_t index) {
    const std::size_t stage = slot.stage;
    const bool serial = stages_[stage].order == StageOrder::serial;
    slot.state = State::running;
    if (serial) stage_busy_[stage] = true;
    lock.unlock();
    const Result<> done = guarded<void>([&] { return stages_[stage].run(index); });
    lock.lock();
    if (serial) {
      stage_busy_[stage] = false;
      ++next_in_stage_[stage];
    }
    if (!done) record(slot.sequence, done.error());
    ++slot.stage;
    settle(slot);
  }

  // After a step: the slot waits for its next stage, or is free again.
  void settle(Slot& slot) {
    const bool ended = slot.stage == stages_.size() || slot.sequence >= error_sequence_;
    slot.state = ended ? State::free : State::ready;
  }

  void record(std::uint64_t sequence, const Error& made) {
    if (sequence >= error_sequence_) return;
    error_sequence_ = sequence;
    error_ = made;
    for (Slot& slot : slots_) {
      if (slot.state == State::ready && slot.sequence >= sequence) slot.state = State::free;
    }
  }

  template <class T, class F>
  static Result<T> guarded(F f) {
    try {
      return f();
    } catch (const std::bad_alloc&) {
      return fail(IoError::out_of_memory);
    }
  }

  Executor& executor_;
  FunctionRef<Result<bool>(std::size_t)> source_;
  std::span<const SlotStage> stages_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  std::vector<std::uint64_t> next_in_stage_;  // the sequence a serial stage waits for
  std::vector<bool> stage_busy_;
  std::vector<std::size_t> candidates_;
  std::uint64_t next_sequence_ = 0;
  bool source_busy_ = false;
  bool source_done_ = false;
  std::optional<Error> error_;
  std::uint64_t error_sequence_ = std::numeric_limits<std::uint64_t>::max();
};

}  // namespace

Result<> run_slots(Executor& executor, std::size_t slots,
                   FunctionRef<Result<bool>(std::size_t slot)> source,
                   std::span<const SlotStage> stages) {
  // It would wait for ever for one to be free.
  if (slots == 0) return fail(IoError::out_of_memory, "a pipeline without a slot for any item");
  return Engine(executor, slots, source, stages).run();
}

}  // namespace cleave
