// The hash cache beside a plain model of an LRU cache.
#include <algorithm>
#include <iterator>
#include <list>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/hash/hash_cache.h"
#include "tests/support/bytes.h"

namespace cleave {
namespace {

using test::random_bytes;
using Algorithm = HashAlgorithm;

constexpr std::size_t kOverhead = HashCache::kEntryOverhead;

// An LRU cache as plainly as possible.
struct Model {
  using Content = std::vector<std::byte>;
  struct Entry {
    std::tuple<Algorithm, std::uint64_t, std::size_t> key;
    Content content;
    std::size_t cost() const { return content.size() + kOverhead; }
  };

  std::size_t max_entries, max_bytes, soft_limit;
  std::list<Entry> entries;  // the most recently used first
  std::size_t others = 0;    // what others have reserved
  HashCacheStats stats;

  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Entry& entry : entries) sum += entry.cost();
    return sum;
  }
  void erase(std::list<Entry>::iterator entry) {
    entries.erase(entry);
    ++stats.evictions;
  }
  bool has_room(std::size_t cost) const {
    return entries.size() < max_entries && bytes() + cost <= max_bytes &&
           others + bytes() + cost <= soft_limit;
  }

  void hash(Algorithm algorithm, std::uint64_t fingerprint, const Content& content) {
    Entry wanted{{algorithm, fingerprint, content.size()}, content};
    const auto found = std::ranges::find(entries, wanted.key, &Entry::key);
    if (found != entries.end() && found->content == content) {
      ++stats.hits;
      entries.splice(entries.begin(), entries, found);
      return;
    }
    if (found != entries.end()) erase(found);
    ++stats.misses;
    if (wanted.cost() > max_bytes) return;
    while (!has_room(wanted.cost())) {
      if (entries.empty()) return;
      erase(std::prev(entries.end()));
    }
    entries.push_front(std::move(wanted));
  }
  void evict(std::size_t wanted) {
    const std::size_t before = bytes();
    while (!entries.empty() && before - bytes() < wanted) erase(std::prev(entries.end()));
  }
  void reserve(std::size_t bytes_wanted) {
    const std::size_t used = others + bytes() + bytes_wanted;
    if (used > soft_limit) evict(used - soft_limit);
    others += bytes_wanted;
  }
};

RC_GTEST_PROP(HashCache, IsAnLruCache, ()) {
  const auto max_entries = *rc::gen::inRange<std::size_t>(0, 12);
  const auto max_bytes = *rc::gen::inRange<std::size_t>(0, 12 * kOverhead);
  const auto soft_limit = *rc::gen::inRange<std::size_t>(0, 20 * kOverhead);
  Model model{max_entries, max_bytes, soft_limit, {}, 0, {}};
  MemoryBudget budget({.soft_bytes = soft_limit});
  HashCache cache(
      {.max_entries = max_entries, .max_bytes = max_bytes, .shards = 1, .budget = &budget});
  std::vector<Reservation> others;
  const int steps = *rc::gen::inRange(0, 100);
  for (int i = 0; i < steps; ++i) {
    const int what = *rc::gen::inRange(0, 20);
    const auto bytes = *rc::gen::inRange<std::size_t>(0, 2 * kOverhead);
    if (what == 0) {
      model.evict(bytes);
      cache.evict(bytes);
    } else if (what == 1) {
      model.reserve(bytes);
      others.push_back(*budget.reserve(bytes));
    } else if (what == 2 && !others.empty()) {
      model.others -= others.back().bytes();
      others.pop_back();
    } else {
      // Few enough that contents come again and fingerprints collide.
      const auto algorithm = *rc::gen::element(Algorithm::sha256, Algorithm::blake3);
      const auto fingerprint = *rc::gen::inRange<std::uint64_t>(0, 4);
      const auto size = *rc::gen::element<std::size_t>(0, 1, 100, kOverhead);
      const auto content = random_bytes(*rc::gen::inRange<std::uint64_t>(0, 2), size);
      model.hash(algorithm, fingerprint, content);
      RC_ASSERT(cache.hash(algorithm, fingerprint, content) == hash(algorithm, content));
    }
    const HashCacheStats stats = cache.stats();
    RC_ASSERT(stats.hits == model.stats.hits);
    RC_ASSERT(stats.misses == model.stats.misses);
    RC_ASSERT(stats.evictions == model.stats.evictions);
    RC_ASSERT(stats.entries == model.entries.size());
    RC_ASSERT(stats.bytes == model.bytes());
    RC_ASSERT(budget.used() == model.bytes() + model.others);
  }
}

}  // namespace
}  // namespace cleave
