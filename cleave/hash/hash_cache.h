// HashCache: digests of contents that come again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/memory_budget.h"
#include "cleave/hash/hash.h"

namespace cleave {

// 64 bits from the size and at most 64 bytes of `content`, spread over it, and from what else is
// known of it: of a chunk, its gear hash. O(1). Equal contents with equal `known` have equal
// fingerprints; different ones rarely do by chance, but easily on purpose. Not the same on every
// machine: not to be stored.
std::uint64_t sampled_fingerprint(ByteSpan content, std::uint64_t known = 0);

struct HashCacheOptions {
  std::size_t max_entries = 65'536;
  // Of contents, with HashCache::kEntryOverhead for each.
  std::size_t max_bytes = std::size_t{64} << 20;
  // Locks: more of them stand less in each other's way. 0 counts as 1.
  std::size_t shards = 16;
  // Limits the cache too, if not null. Must outlive it.
  MemoryBudget* budget = nullptr;
};

struct HashCacheStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;     // calls of hash() that computed
  std::uint64_t evictions = 0;  // entries that were dropped
  std::size_t entries = 0;      // held now
  std::size_t bytes = 0;        // held now, as max_bytes counts them
};

// Remembers digests together with a copy of what they are digests of, and gives one only after
// comparing the contents: equal fingerprints prove nothing, as inputs may be made to collide. Which
// fingerprint is used decides how often the cache helps, never what it answers.
//
// A hit reads memory instead of hashing: from 64 KiB on five to nine times as fast as SHA-256,
// twice as fast as BLAKE3. Below 1 to 2 KiB the search alone takes longer than hashing: do not ask
// for those. A miss pays for the copy, so it takes a share of hits to be worth it at all; see
// docs/benchmarks.md.
//
// It keeps copies, not slices of the caller's memory: a slice would hold the whole block it is cut
// from, and a mapped file may change under its digest.
//
// Least recently used entries go first, strictly so within a shard; when the limits are reached a
// shard drops its own entries before those of others. Thread-safe. No lock is held while hashing,
// copying, comparing or freeing contents.
class HashCache final : public Evictable {
 public:
  // What an entry takes beside its content, at most.
  static constexpr std::size_t kEntryOverhead = 320;

  explicit HashCache(const HashCacheOptions& options = {});
  ~HashCache() override;

  // hash(algorithm, content), always. One content is kept for a fingerprint, size and algorithm;
  // another one with the same takes its place. A hit allocates nothing. A content that does not fit
  // into max_bytes or the budget's soft limit, or that there is no memory to copy, is only hashed.
  Digest hash(HashAlgorithm algorithm, std::uint64_t fingerprint, ByteSpan content);

  // For the budget, or to make the cache smaller at will. What another thread is comparing at this
  // moment is counted as freed, and is freed when that is done.
  std::size_t evict(std::size_t wanted_bytes) override;

  // What limits bytes and entries counts what is being made or compared too, so both are never
  // exceeded. Not one instant's values while other threads use the cache.
  HashCacheStats stats() const;

 private:
  struct Charge;
  struct Entry;
  struct Shard;

  std::uint64_t key_of(HashAlgorithm algorithm, std::uint64_t fingerprint, std::size_t size) const;
  Digest remember(std::size_t shard, std::uint64_t key, HashAlgorithm algorithm, ByteSpan content);
  std::optional<Charge> make_room(std::size_t shard, std::size_t bytes);
  std::optional<Charge> try_charge(std::size_t bytes);
  std::size_t evict_one(std::size_t first_shard);

  const std::uint64_t seed_;  // secret, so that nobody can choose who shares a bucket
  const std::size_t shard_count_;
  MemoryBudget entries_;  // counts entries, not bytes
  MemoryBudget bytes_;
  MemoryBudget* const budget_;
  std::atomic<std::size_t> next_victim_ = 0;
  std::unique_ptr<Shard[]> shards_;
  std::optional<EvictorRegistration> registration_;
};

}  // namespace cleave
