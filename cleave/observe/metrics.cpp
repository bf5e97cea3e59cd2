#include "cleave/observe/metrics.h"

#include <algorithm>

#include "cleave/base/settings.h"

namespace cleave {

namespace {

// Static objects of any translation unit put themselves in front of these lists.
constinit std::atomic<const Counter*> all_counters = nullptr;
constinit std::atomic<const SpanSite*> all_sites = nullptr;

template <class Node>
void push_front(std::atomic<const Node*>& head, const Node*& next, const Node* node) {
  next = head.load();
  while (!head.compare_exchange_weak(next, node)) {
  }
}

}  // namespace

Counter::Counter(std::string_view name) : name_(name) {
  push_front<Counter>(all_counters, next_, this);
}

SpanSite::SpanSite(std::string_view span_name) : name(span_name) {
  push_front<SpanSite>(all_sites, next, this);
}

bool spans_enabled() {
  static const bool enabled = settings().profile;
  return enabled;
}

Span::Span(SpanSite& site, std::uint64_t bytes)
    : site_(spans_enabled() ? &site : nullptr), bytes_(bytes) {
  if (site_ != nullptr) start_ = std::chrono::steady_clock::now();
}

Span::~Span() {
  if (site_ == nullptr) return;
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count();
  site_->count.fetch_add(1, std::memory_order_relaxed);
  site_->nanoseconds.fetch_add(static_cast<std::uint64_t>(ns), std::memory_order_relaxed);
  site_->bytes.fetch_add(bytes_, std::memory_order_relaxed);
}

std::vector<CounterValue> counter_values() {
  std::vector<CounterValue> values;
  for (const Counter* c = all_counters.load(); c != nullptr; c = c->next()) {
    values.push_back({c->name(), c->value()});
  }
  std::ranges::sort(values, {}, &CounterValue::name);
  return values;
}

std::vector<SpanValue> span_values() {
  std::vector<SpanValue> values;
  for (const SpanSite* s = all_sites.load(); s != nullptr; s = s->next) {
    values.push_back({s->name, s->count.load(), s->nanoseconds.load(), s->bytes.load()});
  }
  std::ranges::sort(values, {}, &SpanValue::name);
  return values;
}

}  // namespace cleave
