// Counters and spans: what the library did and how long its stages took.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace cleave {

// A named number that only grows. Define as a static object, one per name; add() is one relaxed
// atomic addition, so add per batch and not per byte.
class Counter {
 public:
  explicit Counter(std::string_view name);
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }
  std::string_view name() const { return name_; }
  const Counter* next() const { return next_; }

 private:
  std::string_view name_;
  std::atomic<std::uint64_t> value_ = 0;
  const Counter* next_ = nullptr;
};

// A stage of work: how often it ran, for how long, on how many bytes. Static, like Counter.
struct SpanSite {
  explicit SpanSite(std::string_view span_name);
  SpanSite(const SpanSite&) = delete;
  SpanSite& operator=(const SpanSite&) = delete;

  std::string_view name;
  std::atomic<std::uint64_t> count = 0;
  std::atomic<std::uint64_t> nanoseconds = 0;
  std::atomic<std::uint64_t> bytes = 0;
  const SpanSite* next;
};

// Measures from its construction to its end when spans are on (CLEAVE_PROFILE=1); else costs one
// load of a static boolean.
class Span {
 public:
  explicit Span(SpanSite& site, std::uint64_t bytes = 0);
  ~Span();
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;
  void add_bytes(std::uint64_t bytes) { bytes_ += bytes; }

 private:
  SpanSite* site_;  // null while spans are off
  std::uint64_t bytes_;
  std::chrono::steady_clock::time_point start_;
};

bool spans_enabled();

struct CounterValue {
  std::string_view name;
  std::uint64_t value;
};
struct SpanValue {
  std::string_view name;
  std::uint64_t count;
  std::uint64_t nanoseconds;  // summed over threads
  std::uint64_t bytes;
};
// Everything measured in this process so far, sorted by name.
std::vector<CounterValue> counter_values();
std::vector<SpanValue> span_values();

}  // namespace cleave
