#include "cleave/base/memory_budget.h"

#include <algorithm>
#include <utility>

#include "cleave/base/internal/fail.h"

namespace cleave {

namespace {

std::size_t saturating_sum(std::size_t a, std::size_t b) {
  return a > MemoryLimits::kUnlimited - b ? MemoryLimits::kUnlimited : a + b;
}

}  // namespace

ErrorInfo describe(MemoryError code) {
  switch (code) {
    case MemoryError::memory_limit_exceeded:
      return {"memory", "memory_limit_exceeded", ErrorClass::io};
  }
  std::unreachable();
}

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  Reservation taken(std::move(other));
  std::swap(budget_, taken.budget_);
  std::swap(bytes_, taken.bytes_);
  return *this;
}

Result<> Reservation::resize(std::size_t bytes) {
  if (bytes > bytes_) {
    CLEAVE_TRY(budget_->charge(bytes - bytes_));
  } else {
    budget_->give_back(bytes_ - bytes);
  }
  bytes_ = bytes;
  return {};
}

void Reservation::release() {
  if (budget_ != nullptr) budget_->give_back(bytes_);
  budget_ = nullptr;
  bytes_ = 0;
}

EvictorRegistration::EvictorRegistration(MemoryBudget& budget, Evictable& evictable)
    : budget_(&budget), evictable_(&evictable) {
  const std::lock_guard lock(budget.mutex_);
  previous_ = budget.last_;
  (previous_ != nullptr ? previous_->next_ : budget.first_) = this;
  budget.last_ = this;
}

EvictorRegistration::~EvictorRegistration() {
  std::unique_lock lock(budget_->mutex_);
  // Whoever is calling goes on from this node: it stays in the list until then.
  ending_ = true;
  budget_->call_ended_.wait(lock, [this] { return calls_ == 0; });
  (previous_ != nullptr ? previous_->next_ : budget_->first_) = next_;
  (next_ != nullptr ? next_->previous_ : budget_->last_) = previous_;
}

MemoryBudget::MemoryBudget(const MemoryLimits& limits)
    : limits_{std::min(limits.soft_bytes, limits.hard_bytes), limits.hard_bytes} {}

Result<Reservation> MemoryBudget::reserve(std::size_t bytes) {
  CLEAVE_TRY(charge(bytes));
  return Reservation(*this, bytes);
}

std::optional<Reservation> MemoryBudget::try_reserve(std::size_t bytes) {
  std::size_t used;
  if (!try_charge(bytes, limits_.soft_bytes, used)) return std::nullopt;
  return Reservation(*this, bytes);
}

Result<> MemoryBudget::charge(std::size_t bytes) {
  std::size_t used;
  if (try_charge(bytes, limits_.soft_bytes, used)) return {};
  bool may_help = bytes <= limits_.hard_bytes;
  // Another thread may take what was freed for this one: ask again, as long as there is something.
  while (may_help) {
    may_help = evict_for(bytes) > 0;
    if (try_charge(bytes, limits_.hard_bytes, used)) return {};
  }
  return fail(error(MemoryError::memory_limit_exceeded)
                  .with_attempt(saturating_sum(used, bytes), limits_.hard_bytes));
}

// `used` becomes what was in use before.
bool MemoryBudget::try_charge(std::size_t bytes, std::size_t limit, std::size_t& used) {
  used = used_.load(std::memory_order_relaxed);
  do {
    if (used > limit || bytes > limit - used) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  note_peak(used + bytes);
  return true;
}

void MemoryBudget::note_peak(std::size_t used) {
  std::size_t peak = peak_.load(std::memory_order_relaxed);
  while (used > peak && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
  }
}

std::size_t MemoryBudget::over_soft_limit_with(std::size_t bytes) const {
  const std::size_t wanted = saturating_sum(used(), bytes);
  return wanted - std::min(wanted, limits_.soft_bytes);
}

// Returns how much the evictors gave back.
std::size_t MemoryBudget::evict_for(std::size_t bytes) {
  std::size_t freed = 0;
  std::unique_lock lock(mutex_);
  for (EvictorRegistration* evictor = first_; evictor != nullptr; evictor = evictor->next_) {
    const std::size_t missing = over_soft_limit_with(bytes);
    if (missing == 0) break;
    if (evictor->ending_) continue;
    ++evictor->calls_;
    lock.unlock();
    freed += evictor->evictable_->evict(missing);
    lock.lock();
    if (--evictor->calls_ == 0) call_ended_.notify_all();
  }
  return freed;
}

}  // namespace cleave
