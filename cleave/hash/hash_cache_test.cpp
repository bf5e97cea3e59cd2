#include "cleave/hash/hash_cache.h"

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cleave/observe/metrics.h"
#include "tests/support/allocations.h"
#include "tests/support/bytes.h"
#include "tests/support/rounds.h"

namespace cleave {
namespace {

using test::random_bytes;
using Algorithm = HashAlgorithm;

constexpr std::size_t kOverhead = HashCache::kEntryOverhead;

Digest sha_of(HashCache& cache, std::string_view text, std::uint64_t fingerprint = 0) {
  return cache.hash(Algorithm::sha256, fingerprint, as_byte_span(text));
}

std::uint64_t counter(std::string_view name) {
  for (const CounterValue& value : counter_values()) {
    if (value.name == name) return value.value;
  }
  return 0;
}

TEST(HashCache, CountsHitsAndMisses) {
  const std::uint64_t hits = counter("cache_hits_total");
  const std::uint64_t misses = counter("cache_misses_total");
  HashCache cache;
  EXPECT_EQ(sha_of(cache, "abc"), sha256(as_byte_span("abc")));
  EXPECT_EQ(sha_of(cache, "abc"), sha256(as_byte_span("abc")));
  EXPECT_EQ(cache.hash(Algorithm::blake3, 0, as_byte_span("abc")), blake3(as_byte_span("abc")));
  EXPECT_EQ(sha_of(cache, ""), sha256({}));
  EXPECT_EQ(sha_of(cache, ""), sha256({}));
  const HashCacheStats stats = cache.stats();
  EXPECT_EQ(stats.hits, 2U);
  EXPECT_EQ(stats.misses, 3U);
  EXPECT_EQ(stats.evictions, 0U);
  EXPECT_EQ(stats.entries, 3U);
  EXPECT_EQ(stats.bytes, 6 + 3 * kOverhead);
  EXPECT_EQ(counter("cache_hits_total") - hits, 2U);
  EXPECT_EQ(counter("cache_misses_total") - misses, 3U);
}

TEST(HashCache, ForgedFingerprintsNeverGiveAnotherDigest) {
  HashCache cache;
  std::vector<std::byte> content = random_bytes(1, 1000);
  const Digest original = cache.hash(Algorithm::sha256, 7, content);
  for (const std::size_t at : {0U, 500U, 999U}) {
    content[at] ^= std::byte{1};
    EXPECT_EQ(cache.hash(Algorithm::sha256, 7, content), sha256(content)) << at;
    EXPECT_NE(cache.hash(Algorithm::sha256, 7, content), original) << at;
    EXPECT_EQ(cache.hash(Algorithm::blake3, 7, content), blake3(content)) << at;
    content[at] ^= std::byte{1};
    EXPECT_EQ(cache.hash(Algorithm::sha256, 7, content), original) << at;
  }
  EXPECT_EQ(cache.hash(Algorithm::sha256, 7, ByteSpan(content).first(999)),
            sha256(ByteSpan(content).first(999)));
}

TEST(HashCache, DropsTheLeastRecentlyUsedEntry) {
  const std::uint64_t evictions = counter("cache_evictions_total");
  HashCache cache({.max_entries = 2, .shards = 1});
  sha_of(cache, "a", 1);
  sha_of(cache, "b", 2);
  sha_of(cache, "a", 1);
  sha_of(cache, "c", 3);
  EXPECT_EQ(cache.stats().evictions, 1U);
  sha_of(cache, "a", 1);
  EXPECT_EQ(cache.stats().hits, 2U);
  sha_of(cache, "b", 2);
  EXPECT_EQ(cache.stats().hits, 2U);
  EXPECT_EQ(cache.stats().entries, 2U);
  EXPECT_EQ(counter("cache_evictions_total") - evictions, 2U);
}

TEST(HashCache, WithoutRoomOnlyHashes) {
  const std::string fits(100, 'x');
  const std::string too_long(101, 'x');
  HashCache small({.max_bytes = 100 + kOverhead});
  HashCache no_entries({.max_entries = 0, .shards = 0});
  MemoryBudget budget({.soft_bytes = 100 + kOverhead});
  HashCache poor({.budget = &budget});
  for (HashCache* cache : {&small, &no_entries, &poor}) {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(sha_of(*cache, too_long), sha256(as_byte_span(too_long)));
      EXPECT_EQ(sha_of(*cache, fits), sha256(as_byte_span(fits)));
    }
  }
  EXPECT_EQ(no_entries.stats().misses, 4U);
  EXPECT_EQ(small.stats().hits, 1U);
  EXPECT_EQ(small.stats().entries, 1U);
  // What another one holds may have to go before it shows that nothing helps.
  EXPECT_LE(poor.stats().entries, 1U);
  EXPECT_EQ(no_entries.stats().entries + no_entries.stats().bytes, 0U);
}

TEST(HashCache, KeepsNothingOfTheCaller) {
  HashCache cache;
  std::string text = "what was here first";
  const Digest first = sha_of(cache, text);
  text[0] = 'W';
  EXPECT_EQ(sha_of(cache, text), sha256(as_byte_span(text)));
  text = std::string("what was here first");
  EXPECT_EQ(sha_of(cache, text), first);
}

TEST(HashCache, AHitAllocatesNothing) {
  HashCache cache;
  const std::vector<std::byte> content = random_bytes(1, 100'000);
  cache.hash(Algorithm::sha256, sampled_fingerprint(content), content);
  const std::size_t before = test::allocations();
  cache.hash(Algorithm::sha256, sampled_fingerprint(content), content);
  EXPECT_EQ(test::allocations(), before);
  EXPECT_EQ(cache.stats().hits, 1U);
}

TEST(HashCache, AccountsForWhatItAllocates) {
  HashCache cache;
  const std::size_t before = test::allocated_bytes();
  // Not SHA-256: OpenSSL allocates for itself.
  for (std::uint64_t i = 0; i < 2000; ++i) cache.hash(Algorithm::blake3, i, as_byte_span("x"));
  EXPECT_EQ(cache.stats().entries, 2000U);
  EXPECT_LE(test::allocated_bytes() - before, cache.stats().bytes);
}

TEST(HashCache, GivesBackToItsBudget) {
  MemoryBudget budget({.soft_bytes = 10 * (100 + kOverhead)});
  {
    HashCache cache({.budget = &budget});
    for (std::uint64_t i = 0; i < 20; ++i) sha_of(cache, std::string(100, 'x'), i);
    EXPECT_EQ(cache.stats().entries, 10U);
    EXPECT_EQ(cache.stats().evictions, 10U);
    EXPECT_EQ(budget.used(), cache.stats().bytes);
    const auto other = budget.reserve(5 * (100 + kOverhead) - 1);
    EXPECT_EQ(cache.stats().entries, 5U);
    EXPECT_EQ(cache.evict(1), 100 + kOverhead);
    EXPECT_EQ(cache.evict(1U << 30), 4 * (100 + kOverhead));
    EXPECT_EQ(cache.evict(1), 0U);
    sha_of(cache, "again");
    EXPECT_EQ(cache.stats().entries, 1U);
  }
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_LE(budget.peak(), 10 * (100 + kOverhead));
}

TEST(SampledFingerprint, IsOfSizeSampledBytesAndWhatIsKnown) {
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 15U, 63U, 64U, 1000U}) {
    std::vector<std::byte> content = random_bytes(size, size);
    const std::uint64_t fingerprint = sampled_fingerprint(content);
    EXPECT_EQ(sampled_fingerprint(std::vector(content)), fingerprint) << size;
    EXPECT_NE(sampled_fingerprint(content, 1), fingerprint) << size;
    content.push_back({});
    EXPECT_NE(sampled_fingerprint(content), fingerprint) << size;
    content.pop_back();
    if (size == 0) continue;
    content.back() ^= std::byte{1};
    EXPECT_NE(sampled_fingerprint(content), fingerprint) << size;
    content.back() ^= std::byte{1};
    content.front() ^= std::byte{1};
    EXPECT_NE(sampled_fingerprint(content), fingerprint) << size;
  }
}

TEST(HashCache, IsRightAndWithinItsLimitsWithManyThreads) {
  constexpr HashCacheOptions kLimits{
      .max_entries = 20, .max_bytes = 40'000, .shards = 3, .budget = nullptr};
  MemoryBudget budget({.soft_bytes = 35'000, .hard_bytes = 67'000});
  HashCacheOptions options = kLimits;
  options.budget = &budget;
  HashCache cache(options);
  struct Known {
    std::vector<std::byte> content;
    Digest digest;
  };
  std::vector<Known> contents;
  for (std::uint64_t i = 0; i < 60; ++i) {
    auto content = random_bytes(i, i % 3 == 0 ? 5000 : 100);
    const Digest digest = sha256(content);
    contents.push_back({std::move(content), digest});
  }
  const int calls = test::rounds(20'000);
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(t);
        for (int i = 0; i < calls; ++i) {
          const Known& known = contents[random() % contents.size()];
          // A few fingerprints, so that entries take each other's place.
          const std::uint64_t fingerprint = sampled_fingerprint(known.content) % 25;
          EXPECT_EQ(cache.hash(Algorithm::sha256, fingerprint, known.content), known.digest);
          EXPECT_LE(cache.stats().entries, kLimits.max_entries);
          EXPECT_LE(cache.stats().bytes, kLimits.max_bytes);
          if (i % 64 == 0) cache.evict(random() % 5000);
          if (i % 16 > 0) continue;
          EXPECT_TRUE(budget.reserve(random() % 8000).has_value());
        }
      });
    }
  }
  const HashCacheStats stats = cache.stats();
  EXPECT_EQ(stats.hits + stats.misses, 4U * static_cast<unsigned>(calls));
  EXPECT_GT(stats.hits, 0U);
  EXPECT_EQ(stats.bytes, budget.used());
  EXPECT_LE(budget.peak(), 67'000U);
  cache.evict(stats.bytes);
  EXPECT_EQ(cache.stats().bytes + cache.stats().entries + budget.used(), 0U);
}

}  // namespace
}  // namespace cleave
