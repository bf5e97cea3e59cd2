// MemoryBudget: how much memory the parts of a program may hold together.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>

#include "cleave/base/error.h"

namespace cleave {

class MemoryBudget;

enum class MemoryError : std::uint16_t {
  memory_limit_exceeded,  // limit() is the hard limit in bytes
};
ErrorInfo describe(MemoryError code);

struct MemoryLimits {
  static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
  // Above it caches are asked to give memory back; never above the hard limit.
  std::size_t soft_bytes = kUnlimited;
  // Never exceeded.
  std::size_t hard_bytes = kUnlimited;
};

// Bytes taken from a budget, given back at its end. It accounts only: whoever holds it allocates
// the memory, and frees it before. Must not outlive the budget. One thread at a time, like any
// value.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { release(); }

  std::size_t bytes() const { return bytes_; }
  // Growing is as MemoryBudget::reserve of the difference, and an error changes nothing; shrinking
  // cannot fail. Precondition: reserved from a budget and not released.
  Result<> resize(std::size_t bytes);
  // Gives all back now.
  void release();

 private:
  friend MemoryBudget;
  Reservation(MemoryBudget& budget, std::size_t bytes) : budget_(&budget), bytes_(bytes) {}

  MemoryBudget* budget_ = nullptr;
  std::size_t bytes_ = 0;
};

// Something whose memory others can do without: a cache.
class Evictable {
 public:
  Evictable() = default;
  Evictable(const Evictable&) = delete;
  Evictable& operator=(const Evictable&) = delete;
  virtual ~Evictable() = default;

  // Releases reservations of about `wanted_bytes`, or of all it has. Returns how many bytes; 0 when
  // there is nothing to release. Called by any thread that reserves, perhaps by several at once;
  // must not throw, reserve from that budget, or end its own registration.
  virtual std::size_t evict(std::size_t wanted_bytes) = 0;
};

// As long as it lives the budget may ask `evictable`. Both must outlive it.
class EvictorRegistration {
 public:
  EvictorRegistration(MemoryBudget& budget, Evictable& evictable);
  // Waits for calls of evict() in progress.
  ~EvictorRegistration();
  EvictorRegistration(const EvictorRegistration&) = delete;
  EvictorRegistration& operator=(const EvictorRegistration&) = delete;

 private:
  friend MemoryBudget;
  MemoryBudget* budget_;
  Evictable* evictable_;
  // Guarded by the budget's mutex.
  EvictorRegistration* previous_ = nullptr;
  EvictorRegistration* next_ = nullptr;
  std::size_t calls_ = 0;  // of evict(), in progress
  bool ending_ = false;
};

// Counts reserved bytes against a soft and a hard limit. Thread-safe. Below the soft limit, or
// without limits, a reservation costs a few atomic operations and takes no lock.
//
// Locks: the budget's mutex guards only the list of evictors. It is never held during evict(), and
// giving back takes no lock, so an evictor may hold locks of its own while it releases. Whoever
// calls reserve(), resize() or ends a registration must hold no lock that some evict() takes.
class MemoryBudget {
 public:
  MemoryBudget() = default;  // unlimited
  explicit MemoryBudget(const MemoryLimits& limits);
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Over the soft limit, evictors are asked for what is missing, in the order of registration,
  // until it is there; what lies between the limits is granted even if they have nothing. Over the
  // hard limit after that: memory_limit_exceeded, without an allocation. More than the hard limit
  // at once fails without asking anybody. Never waits for others to give back.
  Result<Reservation> reserve(std::size_t bytes);

  // For memory that one can do without: nothing when the soft limit would be exceeded. Asks nobody.
  std::optional<Reservation> try_reserve(std::size_t bytes);

  std::size_t used() const { return used_.load(std::memory_order_relaxed); }
  // The most that was ever in use.
  std::size_t peak() const { return peak_.load(std::memory_order_relaxed); }
  const MemoryLimits& limits() const { return limits_; }

 private:
  friend Reservation;
  friend EvictorRegistration;

  Result<> charge(std::size_t bytes);
  bool try_charge(std::size_t bytes, std::size_t limit, std::size_t& used);
  void note_peak(std::size_t used);
  void give_back(std::size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::size_t over_soft_limit_with(std::size_t bytes) const;
  std::size_t evict_for(std::size_t bytes);

  MemoryLimits limits_;
  std::atomic<std::size_t> used_ = 0;
  std::atomic<std::size_t> peak_ = 0;
  std::mutex mutex_;
  std::condition_variable call_ended_;
  EvictorRegistration* first_ = nullptr;
  EvictorRegistration* last_ = nullptr;
};

}  // namespace cleave
