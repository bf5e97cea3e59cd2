#include "cleave/store/internal/index_pages.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cleave/base/endian.h"
#include "cleave/store/internal/lmdb.h"
#include "cleave/store/store_error.h"
#include "tests/support/bytes.h"
#include "tests/support/result.h"
#include "tests/support/tree.h"

namespace cleave {
namespace {

using test::below;
using test::ok;
using test::Rng;
using test::TempDir;

constexpr std::size_t kPage = 4096;

std::string any_key(Rng& rng, std::size_t keys) {
  std::string key = std::to_string(below(rng, keys));
  return key.insert(0, 3 + key.size() % 7, 'k');
}

// Changes some hundred rows of any tables.
Result<> change(IndexTransaction& txn, Rng& rng, std::size_t keys) {
  for (std::size_t i = below(rng, 300); i > 0; --i) {
    const auto table = static_cast<Table>(below(rng, IndexPages::kTables));
    const std::string key = any_key(rng, keys);
    if (below(rng, 3) == 0) {
      CLEAVE_TRY(txn.remove(table, as_byte_span(key)));
      continue;
    }
    // Rows of the table with large values never change in place.
    if (table == Table::recipes) CLEAVE_TRY(txn.remove(table, as_byte_span(key)));
    const std::size_t largest = table == Table::recipes && below(rng, 4) == 0 ? 40'000 : 250;
    CLEAVE_TRY(txn.put(table, as_byte_span(key), test::random_bytes(rng(), below(rng, largest))));
  }
  return {};
}

// Whatever LMDB writes is sound.
TEST(IndexPages, AnyHistoryIsSound) {
  Rng rng(1);
  for (const std::size_t keys : {10UL, 200UL, 5'000UL}) {
    const TempDir dir;
    auto index = IndexEnvironment::open(dir.path(), IndexMode::create).value();
    for (int i = 0; i < 120; ++i) {
      {
        const IndexTransaction reader = index->begin_read().value();  // keeps pages from being used
        IndexTransaction txn = index->begin_write().value();
        ASSERT_TRUE(ok(change(txn, rng, keys)));
        const bool rolls_back = i % 5 == 0;
        ASSERT_TRUE(rolls_back || ok(txn.commit()));
        ASSERT_TRUE(reader.every_page_is_sound()) << i;
      }
      ASSERT_TRUE(index->begin_read().value().every_page_is_sound()) << i;
      if (i % 10 == 0) {  // forgets which pages were checked
        index = nullptr;
        index = IndexEnvironment::open(dir.path(), IndexMode::read_write).value();
      }
    }
    // Until nothing is left.
    IndexTransaction txn = index->begin_write().value();
    for (const Table table :
         {Table::meta, Table::chunks, Table::packs, Table::artifacts, Table::recipes}) {
      std::vector<std::string> all;
      {
        IndexCursor cursor = IndexCursor::open(txn, table).value();
        for (auto row = cursor.seek({}).value(); row; row = cursor.next().value()) {
          all.push_back(test::text_of(row->key));
        }
      }
      for (const std::string& key : all) {
        ASSERT_TRUE(txn.remove(table, as_byte_span(key)).value());
      }
    }
    ASSERT_TRUE(ok(txn.commit()));
    EXPECT_TRUE(index->begin_read().value().every_page_is_sound());
  }
}

// The bytes of an index file, in memory.
class DamagedPages : public testing::Test {
 protected:
  DamagedPages() {
    const TempDir dir;
    const auto index = IndexEnvironment::open(dir.path(), IndexMode::create).value();
    Rng rng(2);
    for (int i = 0; i < 6; ++i) {
      IndexTransaction txn = index->begin_write().value();
      EXPECT_TRUE(ok(change(txn, rng, 150)));
      EXPECT_TRUE(ok(txn.commit()));
    }
    file = test::read_file(dir / "data.mdb");
    id = std::max(number(0, 144), number(1, 144));
  }

  std::uint64_t number(std::size_t page, std::size_t offset) const {
    return load_le<std::uint64_t>(as_byte_span(file).data() + page * kPage + offset);
  }
  std::uint16_t small(std::size_t page, std::size_t offset) const {
    return load_le<std::uint16_t>(as_byte_span(file).data() + page * kPage + offset);
  }
  bool is_sound() const {
    IndexPages pages(as_byte_span(file));
    IndexPages::Snapshot snapshot;
    return pages.read_snapshot(id, snapshot) == IndexPages::Found::sound &&
           pages.check_all(snapshot);
  }
  void try_everything(Rng& rng) const {
    IndexPages pages(as_byte_span(file));
    IndexPages::Snapshot snapshot;
    if (pages.read_snapshot(id, snapshot) != IndexPages::Found::sound) return;
    for (const IndexPages::Tree& table : snapshot.tables) {
      const std::string key = any_key(rng, 150);
      static_cast<void>(pages.check_path(snapshot, table, as_byte_span(key)));
      static_cast<void>(pages.check_tree(snapshot, table));
    }
    static_cast<void>(pages.check_free_list(snapshot));
    static_cast<void>(pages.check_all(snapshot));
  }
  // Whether it is still sound with a byte changed.
  bool is_sound_with(std::size_t page, std::size_t offset, int change) {
    char& byte = file[page * kPage + offset];
    byte = static_cast<char>(byte ^ change);
    const bool sound = is_sound();
    byte = static_cast<char>(byte ^ change);
    return sound;
  }
  // The pages of the trees, by way of changing their numbers: of a free one that does not matter.
  std::vector<std::size_t> pages_in_use() {
    std::vector<std::size_t> pages;
    for (std::size_t page = 2; page < file.size() / kPage; ++page) {
      if (small(page, 10) <= 4 && !is_sound_with(page, 0, 1)) pages.push_back(page);
    }
    return pages;
  }

  std::string file;
  std::uint64_t id = 0;
};

TEST_F(DamagedPages, WhatAPageSaysOfItselfIsChecked) {
  ASSERT_TRUE(is_sound());
  std::size_t branches = 0;
  std::size_t leaves = 0;
  for (const std::size_t page : pages_in_use()) {
    const std::uint16_t kind = small(page, 10);
    const bool large = kind == 4;
    branches += kind == 1 ? 1U : 0U;
    leaves += kind == 2 ? 1U : 0U;
    // The header, and where the nodes are.
    const std::size_t end = large ? 16 : small(page, 12);
    for (std::size_t offset = 0; offset < end; ++offset) {
      if (offset == 8 || offset == 9) continue;  // unused
      ASSERT_FALSE(is_sound_with(page, offset, 1 << (offset % 8))) << page << ' ' << offset;
    }
    if (large) continue;
    // The nodes' headers: sizes, flags, and which page a child is. Of a large value, what it takes
    // of its last page does not show.
    for (std::size_t i = 16; i < end; i += 2) {
      const std::size_t node = small(page, i);
      const bool is_large = kind == 2 && small(page, node + 4) == 1;
      for (std::size_t offset = node + (is_large ? 2 : 0); offset < node + 8; ++offset) {
        ASSERT_FALSE(is_sound_with(page, offset, 4)) << page << ' ' << offset;
      }
    }
  }
  EXPECT_GT(branches, 0u);
  EXPECT_GT(leaves, 10u);
}

TEST_F(DamagedPages, TheFirstPagesAreChecked) {
  const TempDir dir;
  const auto begins_well = [&] {
    test::write_file(dir / "data.mdb", file);
    return IndexPages::begins_well(dir / "data.mdb");
  };
  ASSERT_TRUE(begins_well());
  for (std::size_t page = 0; page < 2; ++page) {
    for (std::size_t offset = 0; offset < 152; ++offset) {
      // Not: unused; where it was mapped, and how large; counts of what a tree has.
      const auto within = [&](std::size_t begin, std::size_t end) {
        return offset >= begin && offset < end;
      };
      const bool means_nothing = within(8, 10) || within(12, 16) || within(24, 40) ||
                                 within(48, 80) || within(88, 92) || within(96, 128);
      const bool of_older_snapshot = page != id % 2 && within(40, 144);
      if (means_nothing || of_older_snapshot) continue;
      const int change = 1 << (offset % 8);
      const bool is_found = !is_sound_with(page, offset, change);
      char& byte = file[page * kPage + offset];
      byte = static_cast<char>(byte ^ change);
      EXPECT_TRUE(is_found || !begins_well()) << page << ' ' << offset;
      byte = static_cast<char>(byte ^ change);
    }
  }
}

TEST_F(DamagedPages, APageInThePlaceOfAnotherIsFoundWhateverWasChecked) {
  std::size_t branches = 0;
  const std::vector<std::size_t> in_use = pages_in_use();
  IndexPages pages(as_byte_span(file));
  IndexPages::Snapshot snapshot;
  ASSERT_EQ(pages.read_snapshot(id, snapshot), IndexPages::Found::sound);
  ASSERT_TRUE(pages.check_all(snapshot));
  const auto is_sound = [&] {
    return pages.check_tree(snapshot, snapshot.free) &&
           std::ranges::all_of(snapshot.tables, [&](const IndexPages::Tree& table) {
             return pages.check_tree(snapshot, table);
           });
  };
  for (const std::size_t page : in_use) {
    if (small(page, 10) != 1 || small(page, 12) < 20) continue;
    ++branches;
    ASSERT_TRUE(is_sound());
    // The first child where the second should be.
    const std::size_t first = page * kPage + small(page, 16);
    const std::size_t second = page * kPage + small(page, 18);
    const std::string child = file.substr(second, 4);
    file.replace(second, 4, file, first, 4);
    EXPECT_FALSE(is_sound()) << page;
    file.replace(second, 4, child);
  }
  EXPECT_GT(branches, 0u);
}

TEST_F(DamagedPages, AnyBytesAreSafeToCheck) {
  Rng rng(3);
  const std::string whole = file;
  for (int i = 0; i < 3000; ++i) {
    // The first pages, too, as what began well may have been overwritten since; mostly others.
    const std::size_t begin = i % 10 == 0 ? 0 : 2 * kPage;
    const std::size_t end = i % 10 == 0 ? 2 * kPage : file.size();
    for (std::size_t n = 1 + below(rng, 30); n > 0; --n) {
      file[begin + below(rng, end - begin)] = static_cast<char>(rng() & 0xff);
    }
    try_everything(rng);
    if (i % 20 == 0) file = whole;
  }
}

TEST_F(DamagedPages, AnyPageSizeIsSafe) {
  for (unsigned bit = 0; bit < 32; ++bit) {
    store_le(reinterpret_cast<std::byte*>(file.data()) + 40, std::uint32_t{1} << bit);
    EXPECT_EQ(is_sound(), (1U << bit) == kPage) << bit;
  }
  store_le(reinterpret_cast<std::byte*>(file.data()) + 40, std::uint32_t{0});
  EXPECT_FALSE(is_sound());
}

// LMDB would begin to count from there.
TEST(IndexPages, AnEmptyTableHasNoDepth) {
  const TempDir dir;
  IndexEnvironment::open(dir.path(), IndexMode::create).value();
  std::string file = test::read_file(dir / "data.mdb");
  IndexPages::Snapshot snapshot;
  EXPECT_EQ(IndexPages(as_byte_span(file)).read_snapshot(1, snapshot), IndexPages::Found::sound);
  const std::size_t leaf = snapshot.main.root * kPage;
  const auto small = [&](std::size_t at) {
    return load_le<std::uint16_t>(as_byte_span(file).data() + at);
  };
  const std::size_t node = leaf + small(leaf + 16);
  file[node + 8 + small(node + 6) + 6] = 1;
  IndexPages pages(as_byte_span(file));
  EXPECT_EQ(pages.read_snapshot(1, snapshot), IndexPages::Found::sound);
  EXPECT_FALSE(pages.check_all(snapshot));
}

TEST_F(DamagedPages, AnotherSnapshotIsOvertaken) {
  IndexPages pages(as_byte_span(file));
  IndexPages::Snapshot snapshot;
  EXPECT_EQ(pages.read_snapshot(id, snapshot), IndexPages::Found::sound);
  EXPECT_EQ(pages.read_snapshot(id - 1, snapshot), IndexPages::Found::sound);
  EXPECT_EQ(pages.read_snapshot(id - 2, snapshot), IndexPages::Found::overtaken);
  EXPECT_EQ(pages.read_snapshot(id + 1, snapshot), IndexPages::Found::overtaken);
}

}  // namespace
}  // namespace cleave
