#include "cleave/store/gc.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/base/internal/fail.h"
#include "cleave/store/internal/file_lock.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/pack_files.h"
#include "cleave/store/stats.h"
#include "tests/support/result.h"
#include "tests/support/store.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using test::add_bytes;
using test::collect;
using test::Everything;
using test::fails_with;
using test::get_text;
using test::message_of;
using test::ok;
using test::open_store;
using test::pack_bytes;
using test::pack_contents;
using test::random_bytes;
using test::TempDir;
using test::text_of;
using testing::HasSubstr;

constexpr std::uint64_t kPackSize = 10'000;

std::vector<std::byte> bytes_of(std::size_t i) { return random_bytes(i, 2'000); }

class StoreGc : public testing::Test {
 protected:
  // Artifacts begin … end - 1, a few to a pack.
  void fill(std::size_t end, std::size_t begin = 0) {
    const auto executor = make_inline_executor();
    Progress progress;
    const auto adder =
        Adder::start(store, *executor, progress, test::small_chunks(), [](const auto&, auto added) {
          EXPECT_TRUE(ok(added));
        }).value();
    for (std::size_t i = begin; i < end; ++i) {
      const auto bytes = bytes_of(i);
      MemorySource source(bytes);
      ASSERT_TRUE(ok(adder->add_stream(source, std::to_string(i))));
    }
    ASSERT_TRUE(ok(adder->finish()));
  }
  void remove_if(std::size_t count, const std::function<bool(std::size_t)>& goes) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!goes(i)) continue;
      ASSERT_TRUE(ok(store->remove(std::to_string(i))));
    }
  }
  void expect_whole() {
    for (const Artifact& artifact : test::artifacts_of(*store)) {
      EXPECT_EQ(get_text(*store, artifact.name).value(),
                text_of(bytes_of(std::stoul(artifact.name))));
    }
    const auto report = test::verify(*store, Everything::yes);
    ASSERT_TRUE(ok(report));
    for (const Problem& problem : report->problems) ADD_FAILURE() << problem.error.message();
  }

  TempDir dir;
  std::shared_ptr<Store> store = open_store(dir.path(), {.pack_size = kPackSize});
};

TEST_F(StoreGc, OfAFreshStoreDoesNothing) {
  fill(20);
  const auto before = pack_contents(dir.path());
  const GcReport report = collect(*store).value();
  EXPECT_EQ(report.removed_chunks, 0u);
  EXPECT_EQ(report.freed_bytes, 0u);
  EXPECT_EQ(report.rewritten_packs + report.removed_packs, 0u);
  EXPECT_TRUE(pack_contents(dir.path()) == before);
}

TEST_F(StoreGc, LiveChunksSurviveAndRoomIsFreed) {
  fill(40);
  const std::uint64_t before = pack_bytes(dir.path());
  remove_if(40, [](std::size_t i) { return i % 4 != 0; });
  const StoreStats stats = store_stats(*store).value();
  const GcReport report = collect(*store).value();
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(report.removed_chunks, stats.unused_chunks);
  EXPECT_EQ(report.freed_bytes, stats.unused_bytes);
  EXPECT_GT(report.rewritten_packs, 3u);
  EXPECT_GT(report.copied_bytes, 10u * 2'000);
  EXPECT_EQ(report.waiting_packs, 0u);
  EXPECT_LT(pack_bytes(dir.path()), before / 3);
  const StoreStats after = store_stats(*store).value();
  EXPECT_EQ(after.unused_chunks, 0u);
  EXPECT_EQ(after.chunks, stats.chunks);
  EXPECT_EQ(after.packs, pack_contents(dir.path()).size());
  EXPECT_EQ(after.pack_bytes, pack_bytes(dir.path()));
  expect_whole();
  EXPECT_EQ(collect(*store)->removed_chunks, 0u);
}

// The newest pack has room, so chunks of others would move there, and is itself to be cleaned.
TEST_F(StoreGc, TheNewestPackIsCleanedTooAndLosesNothing) {
  for (std::size_t count = 6; count <= 12; ++count) {
    for (std::size_t i = 0; i < count; ++i) fill(i + 1, i);
    remove_if(count, [](std::size_t i) { return i % 2 == 0; });
    const GcReport report = collect(*store, {.max_unused_percent = 0}).value();
    EXPECT_EQ(report.unused_bytes, 0u);
    EXPECT_EQ(test::artifacts_of(*store).size(), count / 2);
    expect_whole();
    remove_if(count, [](std::size_t i) { return i % 2 != 0; });
    ASSERT_TRUE(ok(collect(*store)));
  }
}

TEST_F(StoreGc, PacksWithoutLiveChunksGoWithoutACopy) {
  fill(40);
  remove_if(40, [](std::size_t) { return true; });
  const GcReport report = collect(*store).value();
  EXPECT_EQ(report.copied_bytes, 0u);
  EXPECT_EQ(report.rewritten_packs, 0u);
  EXPECT_GT(report.removed_packs, 5u);
  EXPECT_TRUE(pack_contents(dir.path()).empty());
  EXPECT_EQ(store_stats(*store)->packs, 0u);
  fill(5);
  expect_whole();
}

TEST_F(StoreGc, ADryRunChangesNothing) {
  fill(20);
  remove_if(20, [](std::size_t i) { return i % 2 == 0; });
  // A leftover, which a run would remove.
  test::write_file(dir / "packs/0000009999.pack", "left");
  const auto packs = pack_contents(dir.path());
  const std::string index = test::read_file(dir / "index/data.mdb");
  const GcReport dry = collect(*store, {.dry_run = true}).value();
  EXPECT_TRUE(pack_contents(dir.path()) == packs);
  EXPECT_TRUE(test::read_file(dir / "index/data.mdb") == index);
  const GcReport wet = collect(*store).value();
  EXPECT_GT(dry.freed_bytes, 0u);
  EXPECT_EQ(dry.removed_chunks, wet.removed_chunks);
  EXPECT_EQ(dry.freed_bytes, wet.freed_bytes);
  EXPECT_EQ(dry.rewritten_packs, wet.rewritten_packs);
  EXPECT_EQ(dry.removed_packs, wet.removed_packs);
}

TEST_F(StoreGc, LittleUnusedStaysUnlessAskedFor) {
  // One pack of 12 artifacts, of which one goes: some 8 %.
  const auto large = open_store(dir / "large");
  for (std::size_t i = 0; i < 12; ++i) {
    ASSERT_TRUE(ok(add_bytes(large, std::to_string(i), bytes_of(i))));
  }
  ASSERT_TRUE(ok(large->remove("3")));
  const std::uint64_t unused = store_stats(*large)->unused_bytes;
  const GcReport first = collect(*large).value();
  EXPECT_EQ(first.freed_bytes, 0u);
  EXPECT_EQ(first.unused_bytes, unused);
  EXPECT_EQ(collect(*large, {.max_unused_percent = 100})->freed_bytes, 0u);
  const GcReport second = collect(*large, {.max_unused_percent = 0}).value();
  EXPECT_EQ(second.freed_bytes, unused);
  EXPECT_EQ(second.unused_bytes, 0u);
  EXPECT_EQ(get_text(*large, "4").value(), text_of(bytes_of(4)));
}

RC_GTEST_FIXTURE_PROP(StoreGc, AnyRemovalsAndThresholds, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(0, 20);
  fill(count);
  const auto unused = *rc::gen::inRange<unsigned>(0, 101);
  const auto gone = *rc::gen::container<std::vector<bool>>(count, rc::gen::arbitrary<bool>());
  remove_if(count, [&](std::size_t i) { return gone[i]; });
  const auto report = collect(*store, {.max_unused_percent = unused});
  RC_ASSERT(report.has_value());
  expect_whole();
  RC_ASSERT(store_stats(*store)->unused_bytes == report->unused_bytes);
  RC_ASSERT(store_stats(*store)->pack_bytes == pack_bytes(dir.path()));
}

TEST_F(StoreGc, PacksThatAreBeingReadWait) {
  fill(20);
  remove_if(20, [](std::size_t i) { return i % 2 == 0; });
  const std::size_t before = pack_contents(dir.path()).size();
  std::size_t waiting = 0;
  {
    const FileLock reader =
        FileLock::acquire(store->readers_lock(), FileLock::Kind::shared).value();
    const GcReport report = collect(*store).value();
    EXPECT_GT(report.waiting_packs, 0u);
    waiting = report.waiting_packs;
    EXPECT_GE(pack_contents(dir.path()).size(), before);
    expect_whole();
    EXPECT_EQ(collect(*store)->waiting_packs, waiting);
  }
  EXPECT_EQ(collect(*store)->waiting_packs, 0u);
  EXPECT_EQ(pack_contents(dir.path()).size(), store_stats(*store)->packs);
  expect_whole();
}

TEST_F(StoreGc, LeftoversAreRemoved) {
  fill(5);
  const auto packs = pack_contents(dir.path());
  test::write_file(dir / "packs/0000000777.pack", "from a writer that was killed");
  test::write_file(dir / "packs/README", "not ours");
  ASSERT_TRUE(ok(collect(*store)));
  EXPECT_FALSE(fs::exists(dir / "packs/0000000777.pack"));
  EXPECT_TRUE(fs::exists(dir / "packs/README"));
  fs::remove(dir / "packs/README");
  EXPECT_TRUE(pack_contents(dir.path()) == packs);
}

TEST_F(StoreGc, WaitsForThoseWhoAdd) {
  fill(4);
  ASSERT_TRUE(ok(store->remove("1")));
  std::atomic<bool> done = false;
  std::jthread collector;
  {
    const FileLock adder = FileLock::acquire(store->writers_lock(), FileLock::Kind::shared).value();
    collector = std::jthread([&] {
      EXPECT_TRUE(ok(collect(*store, {.max_unused_percent = 0})));
      done = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_FALSE(done);
  }
  collector.join();
  EXPECT_EQ(store_stats(*store)->unused_chunks, 0u);
}

TEST_F(StoreGc, SaysThatItWaitsAndCanBeStopped) {
  fill(4);
  std::optional<FileLock> adder =
      FileLock::acquire(store->writers_lock(), FileLock::Kind::shared).value();
  int calls = 0;
  store->set_on_wait([&]() -> Result<> {
    if (++calls == 3) return fail(IoError::interrupted);
    return {};
  });
  EXPECT_TRUE(fails_with(collect(*store), IoError::interrupted));
  EXPECT_EQ(calls, 3);

  store->set_on_wait([&]() -> Result<> {
    adder.reset();
    return {};
  });
  EXPECT_TRUE(ok(collect(*store)));
  EXPECT_FALSE(adder.has_value());
}

TEST_F(StoreGc, KeepsAddersWaitingWhoAreTold) {
  std::optional<FileLock> collector =
      FileLock::acquire(store->writers_lock(), FileLock::Kind::exclusive).value();
  store->set_on_wait([&]() -> Result<> {
    collector.reset();
    return {};
  });
  fill(1);
  EXPECT_FALSE(collector.has_value());
  expect_whole();
}

TEST_F(StoreGc, RefusesWhenNobodyKnowsWhatIsLive) {
  fill(10);
  remove_if(10, [](std::size_t i) { return i != 7; });
  const auto packs = pack_contents(dir.path());
  const Artifact kept = store->find("7").value();
  const auto damage = [&](Table table, ByteSpan key) {
    std::string old;
    IndexTransaction txn = store->index().begin_write().value();
    old = text_of(txn.get(table, key).value().value());
    std::string changed = old;
    changed[3] = static_cast<char>(changed[3] ^ 1);
    EXPECT_TRUE(ok(txn.put(table, key, as_byte_span(changed))));
    EXPECT_TRUE(ok(txn.commit()));
    return old;
  };
  const auto repair = [&](Table table, ByteSpan key, const std::string& old) {
    IndexTransaction txn = store->index().begin_write().value();
    EXPECT_TRUE(ok(txn.put(table, key, as_byte_span(old))));
    EXPECT_TRUE(ok(txn.commit()));
  };
  const auto recipe = recipe_key(kept.serial, 0);
  const auto pack = pack_key(1);
  const std::string name = "7";
  const std::vector<std::pair<Table, ByteSpan>> records = {
      {Table::artifacts, as_byte_span(name)}, {Table::recipes, recipe}, {Table::packs, pack}};
  for (const auto& [table, key] : records) {
    const std::string old = damage(table, key);
    for (const bool dry : {false, true}) {
      const auto refused = collect(*store, {.dry_run = dry});
      ASSERT_TRUE(fails_with(refused, StoreError::index_damaged)) << table_name(table);
      EXPECT_THAT(message_of(refused), HasSubstr(std::string(table_name(table))));
    }
    repair(table, key, old);
  }
  EXPECT_TRUE(pack_contents(dir.path()) == packs);
  ASSERT_TRUE(ok(collect(*store)));
  expect_whole();
}

TEST_F(StoreGc, ADamagedPackIsLeftAsItIs) {
  fill(20);
  remove_if(20, [](std::size_t i) { return i % 2 == 0; });
  const fs::path path = store->packs().path_of(2);
  std::string bytes = test::read_file(path);
  const std::string whole = bytes;
  for (std::size_t i = 0; i < bytes.size(); i += 50) bytes[i] = static_cast<char>(bytes[i] ^ 1);
  test::write_file(path, bytes);
  const GcReport report = collect(*store).value();
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_THAT(std::string(report.problems[0].message()), HasSubstr(path.filename().native()));
  EXPECT_TRUE(test::read_file(path) == bytes);
  EXPECT_GT(report.unused_bytes, 0u);
  test::write_file(path, whole);
  EXPECT_TRUE(collect(*store)->problems.empty());
  expect_whole();
}

// Someone reads, over and over, what is being moved from pack to pack.
TEST_F(StoreGc, ReadersSeeEveryArtifactWholeMeanwhile) {
  constexpr std::size_t kStep = 8;
  std::atomic<bool> stop = false;
  std::atomic<int> reads = 0;
  fill(kStep);
  std::jthread reader([&] {
    const auto executor = make_thread_executor(2);
    while (!stop) {
      for (const Artifact& artifact : test::artifacts_of(*store)) {
        const auto text = get_text(*store, artifact.name, executor.get());
        if (!text && text.error().is(StoreError::no_such_artifact)) continue;  // removed meanwhile
        ASSERT_TRUE(ok(text));
        ASSERT_TRUE(*text == text_of(bytes_of(std::stoul(artifact.name))));
        ++reads;
      }
    }
  });
  std::uint64_t moved = 0;
  std::size_t next = kStep;
  for (int round = 0; round < 25 || (reads < 50 && round < 500); ++round) {
    fill(next + kStep, next);
    // Every pack keeps some of what it has, for now.
    for (std::size_t i = 0; i < next; ++i) {
      if (i % 3 != 0 || i + 30 < next) static_cast<void>(store->remove(std::to_string(i)));
    }
    next += kStep;
    const auto report = collect(*store, {.max_unused_percent = 0});
    ASSERT_TRUE(ok(report));
    EXPECT_TRUE(report->problems.empty());
    moved += report->copied_bytes;
  }
  stop = true;
  reader.join();
  EXPECT_GT(moved, 50'000u);
  EXPECT_GT(reads, 10);
  expect_whole();
  EXPECT_EQ(collect(*store, {.max_unused_percent = 0})->waiting_packs, 0u);
  EXPECT_LT(pack_bytes(dir.path()), 100'000u);
}

TEST_F(StoreGc, StopsWhenAsked) {
  fill(10);
  remove_if(10, [](std::size_t i) { return i % 2 == 0; });
  Progress progress;
  progress.stop = true;
  EXPECT_TRUE(fails_with(collect_garbage(*store, progress, {}), IoError::interrupted));
  expect_whole();
}

}  // namespace
}  // namespace cleave
