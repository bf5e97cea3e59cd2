#include "cleave/store/verify.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/store/internal/index.h"
#include "tests/support/result.h"
#include "tests/support/store.h"
#include "tests/support/tree.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using test::add_bytes;
using test::add_text;
using test::Everything;
using test::fails_with;
using test::get_text;
using test::ok;
using test::open_store;
using test::pack_contents;
using test::random_bytes;
using test::TempDir;
using test::text_of;
using test::verify;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

using Names = std::set<std::string>;

// A store of artifacts that share chunks, of empty ones, and of chunks that no artifact needs.
class StoreVerify : public testing::Test {
 protected:
  StoreVerify() {
    const auto common = random_bytes(1, 700);
    const auto put = [&](const std::string& name, ByteSpan bytes) {
      EXPECT_TRUE(ok(add_bytes(store, name, bytes)));
    };
    put("common", common);
    put("forgotten", random_bytes(2, 600));
    put("alone", random_bytes(3, 900));
    auto both = common;
    const auto more = random_bytes(4, 500);
    both.insert(both.end(), more.begin(), more.end());
    put("both", both);
    put("text", as_byte_span(std::string(3'000, 'z')));
    put("empty", {});
    EXPECT_TRUE(ok(store->remove("forgotten")));
  }

  // What each byte of each pack belongs to: the artifacts that cannot be given back without it.
  struct Region {
    std::uint32_t pack;
    std::uint64_t begin;
    std::uint64_t end;
    Names artifacts;
  };
  std::vector<Region> regions() {
    std::map<Digest, Names> users;
    const IndexTransaction txn = store->index().begin_read().value();
    std::map<std::uint32_t, Names> of_pack;
    for (const Artifact& artifact : test::artifacts_of(*store)) {
      for (const auto& [id, size] : test::recipe_of(txn, artifact)) {
        users[id].insert(artifact.name);
      }
    }
    std::vector<Region> regions;
    EXPECT_TRUE(ok(for_each_chunk(txn, [&](const Digest& id, const auto& place) -> Result<> {
      regions.push_back({place->pack, place->offset, place->end(), users[id]});
      of_pack[place->pack].insert(users[id].begin(), users[id].end());
      return {};
    })));
    for (const auto& [pack, names] : of_pack) regions.push_back({pack, 0, kPackHeaderSize, names});
    return regions;
  }
  const Region& region_of(const std::vector<Region>& all, std::uint32_t pack, std::uint64_t at) {
    return *std::ranges::find_if(all, [&](const Region& region) {
      return region.pack == pack && region.begin <= at && at < region.end;
    });
  }
  // Changes a record of the index without mending its check.
  void damage_record(Table table, ByteSpan key) {
    IndexTransaction txn = store->index().begin_write().value();
    std::string value = text_of(txn.get(table, key).value().value());
    value[0] = static_cast<char>(value[0] ^ 1);
    ASSERT_TRUE(ok(txn.put(table, key, as_byte_span(value))));
    ASSERT_TRUE(ok(txn.commit()));
  }

  TempDir dir;
  std::shared_ptr<Store> store = open_store(dir.path(), {.pack_size = 1'500});
};

Names names_of(const VerifyReport& report) {
  return {report.damaged_artifacts.begin(), report.damaged_artifacts.end()};
}

TEST_F(StoreVerify, AWholeStoreHasNoProblems) {
  const VerifyReport report = verify(*store).value();
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(report.artifacts, 5u);
  EXPECT_GT(report.chunks, 5u);
  const VerifyReport all = verify(*store, Everything::yes).value();
  EXPECT_TRUE(all.problems.empty());
  EXPECT_GT(all.chunks, report.chunks);
  EXPECT_EQ(all.bytes, report.bytes + 600);
}

// The promise: any flipped byte is found, and the report names exactly the artifacts it touches.
TEST_F(StoreVerify, EveryFlippedByteOfEveryPackIsFound) {
  const auto all = regions();
  std::size_t flips = 0;
  ASSERT_GE(pack_contents(dir.path()).size(), 2u);
  for (const auto& [name, bytes] : pack_contents(dir.path())) {
    const auto pack = static_cast<std::uint32_t>(std::stoul(name));
    for (std::size_t at = 0; at < bytes.size(); ++at, ++flips) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
      write_file(dir / "packs" / name, flipped);
      const Names& touched = region_of(all, pack, at).artifacts;
      const VerifyReport some = verify(*store).value();
      ASSERT_EQ(some.problems.empty(), touched.empty()) << name << " byte " << at;
      ASSERT_EQ(names_of(some), touched) << name << " byte " << at;
      const VerifyReport everything = verify(*store, Everything::yes).value();
      ASSERT_FALSE(everything.problems.empty()) << name << " byte " << at;
      ASSERT_EQ(names_of(everything), touched) << name << " byte " << at;
      write_file(dir / "packs" / name, bytes);
    }
  }
  EXPECT_GT(flips, 2'500u);
  EXPECT_TRUE(verify(*store, Everything::yes)->problems.empty());
}

TEST_F(StoreVerify, RandomDamageOfALargerStoreIsFound) {
  const TempDir large_dir;
  store = open_store(large_dir.path(), {.pack_size = 50'000});
  for (std::uint64_t i = 0; i < 40; ++i) {
    ASSERT_TRUE(
        ok(add_bytes(store, std::to_string(i), random_bytes(i / 2, 8'000 + 500 * (i % 2)))));
  }
  for (std::uint64_t i = 0; i < 40; i += 8) ASSERT_TRUE(ok(store->remove(std::to_string(i))));
  const auto all = regions();
  const auto packs = pack_contents(large_dir.path());
  test::Rng rng(1);
  for (int round = 0; round < 60; ++round) {
    const auto& [name, bytes] =
        *std::next(packs.begin(), static_cast<long>(test::below(rng, packs.size())));
    std::string changed = bytes;
    Names touched;
    for (std::size_t flips = 1 + test::below(rng, 3); flips > 0; --flips) {
      const std::size_t at = test::below(rng, bytes.size());
      changed[at] = static_cast<char>(changed[at] ^ static_cast<char>(1 + test::below(rng, 255)));
      if (changed[at] == bytes[at]) continue;
      const Region& region = region_of(all, static_cast<std::uint32_t>(std::stoul(name)), at);
      touched.insert(region.artifacts.begin(), region.artifacts.end());
    }
    write_file(large_dir / ("packs/" + name), changed);
    const VerifyReport report = verify(*store, Everything::yes).value();
    ASSERT_FALSE(report.problems.empty());
    ASSERT_EQ(names_of(report), touched);
    for (const Artifact& artifact : test::artifacts_of(*store)) {
      if (touched.contains(artifact.name)) continue;  // in its pack's header, perhaps: still there
      ASSERT_TRUE(ok(get_text(*store, artifact.name))) << artifact.name;
    }
    write_file(large_dir / ("packs/" + name), bytes);
  }
}

TEST_F(StoreVerify, ATruncatedPackIsFound) {
  const auto all = regions();
  for (const auto& [name, bytes] : pack_contents(dir.path())) {
    const auto pack = static_cast<std::uint32_t>(std::stoul(name));
    for (std::size_t size = 0; size < bytes.size(); size += 13) {
      write_file(dir / "packs" / name, bytes.substr(0, size));
      Names touched;
      for (const Region& region : all) {
        if (region.pack == pack) touched.insert(region.artifacts.begin(), region.artifacts.end());
      }
      const VerifyReport report = verify(*store, Everything::yes).value();
      ASSERT_FALSE(report.problems.empty()) << name << " of " << size;
      ASSERT_EQ(names_of(report), touched) << name << " of " << size;
    }
    write_file(dir / "packs" / name, bytes);
  }
}

TEST_F(StoreVerify, AMissingPackIsFound) {
  const auto all = regions();
  for (const auto& [name, bytes] : pack_contents(dir.path())) {
    store = nullptr;  // it may have the file open
    fs::remove(dir / "packs" / name);
    store = open_store(dir.path());
    Names touched;
    for (const Region& region : all) {
      if (region.pack == std::stoul(name)) {
        touched.insert(region.artifacts.begin(), region.artifacts.end());
      }
    }
    const VerifyReport report = verify(*store, Everything::yes).value();
    ASSERT_FALSE(report.problems.empty());
    EXPECT_THAT(std::string(report.problems[0].error.message()), HasSubstr(name));
    EXPECT_EQ(names_of(report), touched);
    EXPECT_EQ(names_of(verify(*store).value()), touched);
    write_file(dir / "packs" / name, bytes);
  }
}

TEST_F(StoreVerify, WhatIsBehindAPackIsNotDamage) {
  for (const auto& [name, bytes] : pack_contents(dir.path())) {
    write_file(dir / "packs" / name, bytes + "left by a writer that was killed");
  }
  EXPECT_TRUE(verify(*store, Everything::yes)->problems.empty());
}

TEST_F(StoreVerify, OnlyTheNamesGiven) {
  const std::string name = "0000000001.pack";
  std::string bytes = test::read_file(dir / "packs" / name);
  bytes[kPackHeaderSize + kRecordHeaderSize] ^= 1;  // the first byte of "common"
  write_file(dir / "packs" / name, bytes);
  EXPECT_TRUE(verify(*store, Everything::no, {"text", "empty"})->problems.empty());
  EXPECT_EQ(verify(*store, Everything::no, {"text", "empty"})->artifacts, 2u);
  const VerifyReport both = verify(*store, Everything::no, {"both"}).value();
  EXPECT_THAT(both.damaged_artifacts, ElementsAre("both"));
  EXPECT_TRUE(fails_with(verify(*store, Everything::no, {"both", "missing"}),
                         StoreError::no_such_artifact));
}

TEST_F(StoreVerify, DamagedRecordsAreFoundWithTheirArtifacts) {
  const Artifact both = store->find("both").value();
  const Digest text = [&] {
    const IndexTransaction txn = store->index().begin_read().value();
    return read_recipe(txn, store->find("text").value()).value()[0].id;
  }();
  damage_record(Table::artifacts, as_byte_span("alone"));
  damage_record(Table::recipes, recipe_key(both.serial, 0));
  damage_record(Table::chunks, text.span());
  for (const Everything everything : {Everything::no, Everything::yes}) {
    const VerifyReport report = verify(*store, everything).value();
    EXPECT_EQ(names_of(report), (Names{"alone", "both", "text"}));
    EXPECT_GE(report.problems.size(), 3u);
    for (const Problem& problem : report.problems) {
      EXPECT_TRUE(problem.error.is(StoreError::index_damaged)) << problem.error.message();
    }
  }
}

TEST_F(StoreVerify, ADamagedPackRecordTouchesAllInThePack) {
  const auto all = regions();
  Names touched;
  for (const Region& region : all) {
    if (region.pack == 1) touched.insert(region.artifacts.begin(), region.artifacts.end());
  }
  damage_record(Table::packs, pack_key(1));
  EXPECT_EQ(names_of(verify(*store).value()), touched);
  EXPECT_EQ(names_of(verify(*store, Everything::yes).value()), touched);
}

TEST_F(StoreVerify, ALostRecordIsFound) {
  const auto id = [&] {
    const IndexTransaction txn = store->index().begin_read().value();
    return read_recipe(txn, store->find("alone").value()).value()[0].id;
  }();
  {
    IndexTransaction txn = store->index().begin_write().value();
    ASSERT_TRUE(ok(remove_chunk(txn, id)));
    ASSERT_TRUE(ok(txn.commit()));
  }
  const VerifyReport report = verify(*store).value();
  EXPECT_EQ(names_of(report), Names{"alone"});
  EXPECT_TRUE(report.problems[0].error.is(StoreError::chunk_missing));
  // Of a chunk that nobody needs, only the bytes it leaves unaccounted for tell.
  ASSERT_TRUE(ok(store->remove("alone")));
  EXPECT_TRUE(verify(*store)->problems.empty());
  EXPECT_FALSE(verify(*store, Everything::yes)->problems.empty());
}

TEST_F(StoreVerify, TheReportIsTheSameForAnyExecutor) {
  for (const auto& [name, bytes] : pack_contents(dir.path())) {
    std::string changed = bytes;
    for (std::size_t i = 100; i < changed.size(); i += 300) changed[i] ^= 1;
    write_file(dir / "packs" / name, changed);
  }
  std::vector<std::string> messages;
  for (auto& [name, executor] : test::all_executors(5)) {
    Progress progress;
    const auto report =
        verify_store(*store, *executor, progress, {.names = {}, .everything = true});
    ASSERT_TRUE(ok(report)) << name;
    std::vector<std::string> now;
    for (const Problem& problem : report->problems) now.emplace_back(problem.error.message());
    if (messages.empty()) messages = now;
    EXPECT_EQ(now, messages) << name;
    EXPECT_GT(now.size(), 3u);
  }
}

}  // namespace
}  // namespace cleave
