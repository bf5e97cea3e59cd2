#include "cleave/hash/hash_cache.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <mutex>
#include <new>
#include <random>
#include <unordered_map>
#include <utility>

#include "cleave/observe/metrics.h"

namespace cleave {

namespace {

Counter cache_hits("cache_hits_total");
Counter cache_misses("cache_misses_total");
Counter cache_evictions("cache_evictions_total");

// Of x86 and most ARM processors.
constexpr std::size_t kCacheLine = 64;

// Every bit of the result depends on every bit of `x`; one-to-one.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
  return x ^ (x >> 32);
}

std::uint64_t random_seed() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) ^ random();
}

bool equal_bytes(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace

std::uint64_t sampled_fingerprint(ByteSpan content, std::uint64_t known) {
  std::uint64_t word = 0;
  std::uint64_t fingerprint = mix(known ^ content.size());
  if (content.size() < sizeof word) {
    if (!content.empty()) std::memcpy(&word, content.data(), content.size());
    return mix(fingerprint ^ word);
  }
  constexpr std::size_t kSamples = 8;
  const std::size_t last = content.size() - sizeof word;
  for (std::size_t i = 0; i < kSamples; ++i) {
    std::memcpy(&word, content.data() + last * i / (kSamples - 1), sizeof word);
    fingerprint = mix(fingerprint ^ word);
  }
  return fingerprint;
}

// Memory and a place in the cache, held for as long as an entry exists: also while it is made, and
// while a thread compares it that was evicted meanwhile.
struct HashCache::Charge {
  Reservation entry;
  Reservation bytes;
  Reservation budget;
};

struct HashCache::Entry {
  std::uint64_t key;
  HashAlgorithm algorithm;
  Charge charge;  // given back after the content is freed
  Buffer content;
  Digest digest = {};

  bool holds(HashAlgorithm wanted, ByteSpan bytes) const {
    return algorithm == wanted && equal_bytes(content.span(), bytes);
  }
};

struct alignas(kCacheLine) HashCache::Shard {
  using Entries = std::list<std::shared_ptr<const Entry>>;

  std::mutex mutex;
  Entries entries;  // the most recently used first
  std::unordered_map<std::uint64_t, Entries::iterator> by_key;
  std::atomic<std::uint64_t> hits = 0;
  std::atomic<std::uint64_t> misses = 0;
  std::atomic<std::uint64_t> evictions = 0;

  std::shared_ptr<const Entry> find(std::uint64_t key);
  void insert(std::shared_ptr<const Entry> entry);
  void drop(const std::shared_ptr<const Entry>& entry);
  std::shared_ptr<const Entry> drop_oldest();
  void note_eviction();
};

std::shared_ptr<const HashCache::Entry> HashCache::Shard::find(std::uint64_t key) {
  const std::lock_guard lock(mutex);
  const auto found = by_key.find(key);
  if (found == by_key.end()) return nullptr;
  entries.splice(entries.begin(), entries, found->second);
  return entries.front();
}

// Does nothing when another thread has brought an entry with this key meanwhile.
void HashCache::Shard::insert(std::shared_ptr<const Entry> entry) {
  const std::uint64_t key = entry->key;
  Entries node;
  node.push_front(std::move(entry));
  const std::lock_guard lock(mutex);
  const bool is_new = by_key.try_emplace(key, node.begin()).second;
  if (is_new) entries.splice(entries.begin(), node);
}

void HashCache::Shard::drop(const std::shared_ptr<const Entry>& entry) {
  const std::lock_guard lock(mutex);
  const auto found = by_key.find(entry->key);
  if (found == by_key.end() || *found->second != entry) return;
  entries.erase(found->second);
  by_key.erase(found);
  note_eviction();
}

// The caller frees it, outside the lock.
std::shared_ptr<const HashCache::Entry> HashCache::Shard::drop_oldest() {
  const std::lock_guard lock(mutex);
  if (entries.empty()) return nullptr;
  auto entry = std::move(entries.back());
  entries.pop_back();
  by_key.erase(entry->key);
  note_eviction();
  return entry;
}

void HashCache::Shard::note_eviction() {
  evictions.fetch_add(1, std::memory_order_relaxed);
  cache_evictions.add();
}

HashCache::HashCache(const HashCacheOptions& options)
    : seed_(random_seed()),
      shard_count_(std::max<std::size_t>(options.shards, 1)),
      entries_({.hard_bytes = options.max_entries}),
      bytes_({.hard_bytes = options.max_bytes}),
      budget_(options.budget),
      shards_(std::make_unique<Shard[]>(shard_count_)) {
  if (budget_ != nullptr) registration_.emplace(*budget_, *this);
}

HashCache::~HashCache() = default;

Digest HashCache::hash(HashAlgorithm algorithm, std::uint64_t fingerprint, ByteSpan content) {
  const std::uint64_t key = key_of(algorithm, fingerprint, content.size());
  const std::size_t index = (key >> 32) % shard_count_;
  Shard& shard = shards_[index];
  if (const auto entry = shard.find(key)) {
    if (entry->holds(algorithm, content)) {
      shard.hits.fetch_add(1, std::memory_order_relaxed);
      cache_hits.add();
      return entry->digest;
    }
    shard.drop(entry);
  }
  shard.misses.fetch_add(1, std::memory_order_relaxed);
  cache_misses.add();
  try {
    return remember(index, key, algorithm, content);
  } catch (const std::bad_alloc&) {
    return cleave::hash(algorithm, content);
  }
}

std::uint64_t HashCache::key_of(HashAlgorithm algorithm, std::uint64_t fingerprint,
                                std::size_t size) const {
  const std::uint64_t kind = (std::uint64_t{size} << 8) | static_cast<std::uint64_t>(algorithm);
  return mix(mix(seed_ ^ fingerprint) ^ kind);
}

Digest HashCache::remember(std::size_t shard, std::uint64_t key, HashAlgorithm algorithm,
                           ByteSpan content) {
  auto charge = make_room(shard, content.size() + kEntryOverhead);
  if (!charge) return cleave::hash(algorithm, content);
  auto entry = std::make_shared<Entry>(key, algorithm, std::move(*charge), Buffer());
  entry->content.append(content);
  // Of the copy: the caller's bytes may be those of a file that changes.
  entry->digest = cleave::hash(algorithm, entry->content.span());
  const Digest digest = entry->digest;
  shards_[shard].insert(std::move(entry));
  return digest;
}

std::optional<HashCache::Charge> HashCache::make_room(std::size_t shard, std::size_t bytes) {
  if (bytes > bytes_.limits().hard_bytes) return std::nullopt;
  for (;;) {
    if (auto charge = try_charge(bytes)) return charge;
    if (evict_one(shard) == 0) return std::nullopt;
  }
}

std::optional<HashCache::Charge> HashCache::try_charge(std::size_t bytes) {
  auto entry = entries_.try_reserve(1);
  if (!entry) return std::nullopt;
  auto own = bytes_.try_reserve(bytes);
  if (!own) return std::nullopt;
  if (budget_ == nullptr) return Charge{std::move(*entry), std::move(*own), {}};
  auto from_budget = budget_->try_reserve(bytes);
  if (!from_budget) return std::nullopt;
  return Charge{std::move(*entry), std::move(*own), std::move(*from_budget)};
}

// Drops the oldest entry of the first shard that has one; returns its bytes, 0 if there is none.
std::size_t HashCache::evict_one(std::size_t first_shard) {
  for (std::size_t i = 0; i < shard_count_; ++i) {
    if (entries_.used() == 0) return 0;
    const auto entry = shards_[(first_shard + i) % shard_count_].drop_oldest();
    if (entry != nullptr) return entry->charge.bytes.bytes();
  }
  return 0;
}

std::size_t HashCache::evict(std::size_t wanted_bytes) {
  std::size_t freed = 0;
  while (freed < wanted_bytes) {
    const std::size_t bytes = evict_one(next_victim_.fetch_add(1, std::memory_order_relaxed));
    if (bytes == 0) break;
    freed += bytes;
  }
  return freed;
}

HashCacheStats HashCache::stats() const {
  HashCacheStats stats;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    stats.hits += shards_[i].hits.load(std::memory_order_relaxed);
    stats.misses += shards_[i].misses.load(std::memory_order_relaxed);
    stats.evictions += shards_[i].evictions.load(std::memory_order_relaxed);
  }
  stats.entries = entries_.used();
  stats.bytes = bytes_.used();
  return stats;
}

}  // namespace cleave
