#include "cleave/store/internal/index.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/store/store_error.h"
#include "tests/support/bytes.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

namespace cleave {
namespace {

using test::fails_with;
using test::ok;
using test::TempDir;
using testing::HasSubstr;

Digest id_of(std::uint64_t number) {
  Digest digest;
  const auto bytes = test::random_bytes(number, Digest::kSize);
  std::ranges::copy(bytes, digest.bytes.begin());
  return digest;
}

class IndexTest : public testing::Test {
 protected:
  IndexTest() {
    IndexTransaction txn = index->begin_write().value();
    EXPECT_TRUE(ok(start_numbers(txn)));
    EXPECT_TRUE(ok(txn.commit()));
  }

  // Runs f(txn) in a transaction that is committed when f succeeds.
  template <class F>
  Result<> write(F f) {
    IndexTransaction txn = CLEAVE_TRY(index->begin_write());
    CLEAVE_TRY(f(txn));
    return txn.commit();
  }
  IndexTransaction read() { return index->begin_read().value(); }

  // An artifact of `count` chunks, which are in the index.
  Result<> put(const std::string& name, std::size_t count, bool replace = false) {
    return write([&](IndexTransaction& txn) -> Result<> {
      Artifact artifact;
      artifact.name = name;
      std::vector<RecipeEntry> recipe;
      RecipeDigest digest;
      for (std::size_t i = 0; i < count; ++i) {
        recipe.push_back({id_of(i), 100});
        digest.add(recipe.back());
        CLEAVE_TRY(put_chunk(txn, id_of(i), {1, 16 + 148 * i, 100, 100, StoredAs::raw}));
      }
      artifact.chunks = count;
      artifact.size = count * 100;
      artifact.digest = digest.digest();
      return put_artifact(txn, artifact, recipe, replace);
    });
  }
  std::size_t rows(Table table) {
    const IndexTransaction txn = read();
    IndexCursor cursor = IndexCursor::open(txn, table).value();
    std::size_t count = 0;
    for (auto row = cursor.seek({}).value(); row; row = cursor.next().value()) ++count;
    return count;
  }

  TempDir dir;
  std::shared_ptr<IndexEnvironment> index =
      IndexEnvironment::open(dir.path(), IndexMode::create).value();
};

TEST_F(IndexTest, WhatWasPutIsFound) {
  ASSERT_TRUE(ok(write([&](IndexTransaction& txn) -> Result<> {
    CLEAVE_TRY(put_chunk(txn, id_of(1), {3, 1000, 50, 60, StoredAs::zstd}));
    return put_pack(txn, 3, {.size = 2000});
  })));
  const IndexTransaction txn = read();
  const auto place = find_chunk(txn, id_of(1)).value();
  ASSERT_TRUE(place);
  EXPECT_EQ(place->pack, 3u);
  EXPECT_EQ(place->offset, 1000u);
  EXPECT_EQ(place->stored_size, 50u);
  EXPECT_EQ(place->size, 60u);
  EXPECT_EQ(place->end(), 1000u + kRecordHeaderSize + 50);
  EXPECT_FALSE(find_chunk(txn, id_of(2)).value());
  EXPECT_EQ(find_pack(txn, 3).value()->size, 2000u);
  EXPECT_FALSE(find_pack(txn, 4).value());
}

TEST_F(IndexTest, ATransactionThatIsDroppedChangesNothing) {
  {
    IndexTransaction txn = index->begin_write().value();
    ASSERT_TRUE(ok(put_pack(txn, 1, {.size = 5})));
    EXPECT_TRUE(find_pack(txn, 1).value());  // it sees what it did itself
  }
  EXPECT_FALSE(find_pack(read(), 1).value());
}

TEST_F(IndexTest, AReaderSeesOneInstant) {
  const IndexTransaction before = read();
  ASSERT_TRUE(ok(put("a", 3)));
  EXPECT_FALSE(find_artifact(before, "a").value());
  EXPECT_TRUE(find_artifact(read(), "a").value());
}

TEST_F(IndexTest, NumbersNeverRepeat) {
  std::vector<std::uint64_t> numbers;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(ok(write([&](IndexTransaction& txn) -> Result<> {
      numbers.push_back(CLEAVE_TRY(next_number(txn, Series::pack)));
      return {};
    })));
  }
  EXPECT_EQ(numbers, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(peek_number(read(), Series::pack).value(), 4u);
  EXPECT_EQ(peek_number(read(), Series::artifact).value(), 1u);
  // Starting them again changes nothing.
  ASSERT_TRUE(ok(write([](IndexTransaction& txn) { return start_numbers(txn); })));
  EXPECT_EQ(peek_number(read(), Series::pack).value(), 4u);
}

TEST_F(IndexTest, AMissingNumberIsDamage) {
  for (const char* key : {"next_pack", "next_artifact"}) {
    ASSERT_TRUE(ok(write([&](IndexTransaction& txn) -> Result<> {
      EXPECT_TRUE(CLEAVE_TRY(txn.remove(Table::meta, as_byte_span(key)))) << key;
      return {};
    })));
  }
  EXPECT_TRUE(fails_with(peek_number(read(), Series::pack), StoreError::index_damaged));
  const auto put_one = put("a", 1);
  ASSERT_TRUE(fails_with(put_one, StoreError::index_damaged));
  EXPECT_THAT(std::string(put_one.error().message()), HasSubstr("next_artifact"));
  EXPECT_EQ(rows(Table::artifacts), 0u);
}

TEST_F(IndexTest, RecipesOfAnyLengthComeBack) {
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, kRecipeSegment - 1,
                                  kRecipeSegment, kRecipeSegment + 1, 3 * kRecipeSegment}) {
    ASSERT_TRUE(ok(put("a", count, true))) << count;
    EXPECT_EQ(rows(Table::recipes), (count + kRecipeSegment - 1) / kRecipeSegment);
    const IndexTransaction txn = read();
    const auto recipe = read_recipe(txn, find_artifact(txn, "a").value().value());
    ASSERT_TRUE(ok(recipe)) << count;
    ASSERT_EQ(recipe->size(), count);
    EXPECT_TRUE(count == 0 || recipe->back().id == id_of(count - 1));
  }
}

TEST_F(IndexTest, RemovingAnArtifactTakesItsRecipe) {
  ASSERT_TRUE(ok(put("a", 2000)));
  ASSERT_TRUE(ok(put("b", 2000)));
  EXPECT_EQ(rows(Table::recipes), 4u);
  ASSERT_TRUE(ok(write([](IndexTransaction& txn) { return remove_artifact(txn, "a"); })));
  EXPECT_EQ(rows(Table::recipes), 2u);
  EXPECT_EQ(rows(Table::artifacts), 1u);
  const auto again = write([](IndexTransaction& txn) { return remove_artifact(txn, "a"); });
  ASSERT_TRUE(fails_with(again, StoreError::no_such_artifact));
  EXPECT_THAT(std::string(again.error().message()), HasSubstr("\"a\""));
}

TEST_F(IndexTest, ANameIsTakenOnlyOnce) {
  ASSERT_TRUE(ok(put("a", 1)));
  EXPECT_TRUE(fails_with(put("a", 2), StoreError::name_exists));
  EXPECT_EQ(find_artifact(read(), "a").value()->chunks, 1u);
  ASSERT_TRUE(ok(put("a", 2, true)));
  EXPECT_EQ(find_artifact(read(), "a").value()->chunks, 2u);
  EXPECT_EQ(rows(Table::recipes), 1u);
}

TEST_F(IndexTest, AnArtifactNeedsItsChunks) {
  const auto outcome = write([](IndexTransaction& txn) {
    Artifact artifact;
    artifact.name = "a";
    artifact.chunks = 1;
    return put_artifact(txn, artifact, std::vector<RecipeEntry>{{id_of(1), 5}}, false);
  });
  EXPECT_TRUE(fails_with(outcome, StoreError::chunk_missing));
}

// The result is index_damaged, and says in which table.
#define EXPECT_DAMAGED(result, table)                                  \
  do {                                                                 \
    const auto damaged = (result);                                     \
    ASSERT_TRUE(fails_with(damaged, StoreError::index_damaged));       \
    EXPECT_THAT(test::message_of(damaged), HasSubstr("table " table)); \
  } while (false)

TEST_F(IndexTest, DamagedRecordsAreNamed) {
  ASSERT_TRUE(ok(put("a", 2)));
  const auto damage = [&](Table table, ByteSpan key) {
    return write([&](IndexTransaction& txn) -> Result<> {
      const auto old = CLEAVE_TRY(txn.get(table, key));
      std::string value = old ? test::text_of(*old) : "nonsense";
      value[0] = static_cast<char>(value[0] ^ 1);
      return txn.put(table, key, as_byte_span(value));
    });
  };
  Artifact artifact = find_artifact(read(), "a").value().value();

  ASSERT_TRUE(ok(damage(Table::chunks, id_of(0).span())));
  EXPECT_DAMAGED(find_chunk(read(), id_of(0)), "chunks");
  EXPECT_TRUE(ok(find_chunk(read(), id_of(1))));
  ASSERT_TRUE(ok(damage(Table::packs, pack_key(9))));
  EXPECT_DAMAGED(find_pack(read(), 9), "packs");
  ASSERT_TRUE(ok(damage(Table::recipes, recipe_key(artifact.serial, 0))));
  EXPECT_DAMAGED(read_recipe(read(), artifact), "recipes");
  ASSERT_TRUE(ok(damage(Table::artifacts, as_byte_span("a"))));
  EXPECT_DAMAGED(find_artifact(read(), "a"), "artifacts");
  ASSERT_TRUE(ok(damage(Table::meta, as_byte_span("next_pack"))));
  EXPECT_DAMAGED(peek_number(read(), Series::pack), "meta");
}

TEST_F(IndexTest, WalksGoOnBehindADamagedRecord) {
  ASSERT_TRUE(ok(put("a", 10)));
  ASSERT_TRUE(ok(write([](IndexTransaction& txn) {
    return txn.put(Table::chunks, id_of(4).span(), as_byte_span("nonsense"));
  })));
  std::size_t whole = 0;
  std::vector<Digest> damaged;
  const IndexTransaction txn = read();
  ASSERT_TRUE(ok(for_each_chunk(txn, [&](const Digest& id, const auto& place) -> Result<> {
    if (place) {
      ++whole;
    } else {
      damaged.push_back(id);
    }
    return {};
  })));
  EXPECT_EQ(whole, 9u);
  EXPECT_EQ(damaged, std::vector<Digest>{id_of(4)});
}

TEST_F(IndexTest, ARecipeThatIsNotTheArtifactsIsDamage) {
  ASSERT_TRUE(ok(put("a", 3)));
  Artifact artifact = find_artifact(read(), "a").value().value();
  artifact.size += 1;
  EXPECT_TRUE(fails_with(read_recipe(read(), artifact), StoreError::index_damaged));
  artifact.size -= 1;
  artifact.digest = id_of(1);
  EXPECT_TRUE(fails_with(read_recipe(read(), artifact), StoreError::index_damaged));
}

TEST_F(IndexTest, IsOpenedOnceInAProcess) {
  EXPECT_EQ(IndexEnvironment::open(dir.path(), IndexMode::read_write).value(), index);
  EXPECT_EQ(IndexEnvironment::open(dir.path(), IndexMode::read_only).value(), index);
  index.reset();
  const auto reader = IndexEnvironment::open(dir.path(), IndexMode::read_only).value();
  EXPECT_EQ(IndexEnvironment::open(dir.path(), IndexMode::read_write).value(), reader);
  IndexTransaction txn = reader->begin_write().value();
  EXPECT_TRUE(ok(put_pack(txn, 1, {.size = 5})));
  EXPECT_TRUE(ok(txn.commit()));
}

TEST(Index, OnlyCreateMakesOne) {
  const TempDir dir;
  for (const IndexMode mode : {IndexMode::read_only, IndexMode::read_write}) {
    EXPECT_TRUE(fails_with(IndexEnvironment::open(dir.path(), mode), StoreError::index_damaged));
    EXPECT_FALSE(std::filesystem::exists(dir / "data.mdb"));
  }
  test::write_file(dir / "data.mdb", "");
  EXPECT_TRUE(fails_with(IndexEnvironment::open(dir.path(), IndexMode::read_write),
                         StoreError::index_damaged));
  EXPECT_TRUE(ok(IndexEnvironment::open(dir.path(), IndexMode::create)));
  EXPECT_TRUE(ok(IndexEnvironment::open(dir.path(), IndexMode::read_only)));
}

TEST(Index, AFileOfSomethingElseIsDamage) {
  const TempDir dir;
  test::write_file(dir / "data.mdb", std::string(20'000, 'x'));
  for (const IndexMode mode : {IndexMode::read_only, IndexMode::read_write, IndexMode::create}) {
    EXPECT_TRUE(fails_with(IndexEnvironment::open(dir.path(), mode), StoreError::index_damaged));
  }
}

}  // namespace
}  // namespace cleave
