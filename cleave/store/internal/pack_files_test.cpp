#include "cleave/store/internal/pack_files.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/codec/zstd.h"
#include "cleave/store/store_error.h"
#include "tests/support/bytes.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using test::fails_with;
using test::ok;
using test::read_file;
using test::TempDir;
using testing::HasSubstr;

constexpr std::uint64_t kTarget = 1000;

class PackFilesTest : public testing::Test {
 protected:
  PackFilesTest() {
    fs::create_directory(dir / "index");
    fs::create_directory(dir / "packs");
    index = IndexEnvironment::open(dir / "index", IndexMode::create).value();
    IndexTransaction txn = index->begin_write().value();
    EXPECT_TRUE(ok(start_numbers(txn)));
    EXPECT_TRUE(ok(txn.commit()));
  }

  // Appends a chunk in a transaction of its own.
  Result<PlacedChunk> append(const std::string& text, StoredAs stored_as = StoredAs::raw) {
    Buffer payload;
    if (stored_as == StoredAs::zstd) {
      CLEAVE_TRY(zstd_compress_into(as_byte_span(text), 3, payload));
    } else {
      payload.append(as_byte_span(text));
    }
    PlacedChunk chunk{blake3(as_byte_span(text)), {}};
    chunk.place.size = static_cast<std::uint32_t>(text.size());
    chunk.place.stored_size = static_cast<std::uint32_t>(payload.size());
    chunk.place.stored_as = stored_as;
    Buffer record;
    append_record_header({chunk.id, stored_as, chunk.place.stored_size, chunk.place.size,
                          payload_check(chunk.id, stored_as, payload.span())},
                         record);
    record.append(payload.span());

    IndexTransaction txn = CLEAVE_TRY(index->begin_write());
    PackAppender appender(packs, txn, kTarget);
    const auto at = CLEAVE_TRY(appender.append(record.span()));
    CLEAVE_TRY(appender.sync());
    CLEAVE_TRY(txn.commit());
    chunk.place.pack = at.pack;
    chunk.place.offset = at.offset;
    return chunk;
  }
  Result<std::string> read(const PlacedChunk& chunk) {
    Buffer record;
    std::string out(chunk.place.size, '\0');
    CLEAVE_TRY(
        packs.read_chunk(chunk.id, chunk.place, record, std::as_writable_bytes(std::span(out))));
    return out;
  }
  Result<> check(const PlacedChunk& chunk) {
    Buffer record;
    std::string out(chunk.place.size, '\0');
    return packs.check_chunk(chunk.id, chunk.place, record, std::as_writable_bytes(std::span(out)));
  }
  std::uint64_t committed(std::uint32_t pack) {
    return find_pack(index->begin_read().value(), pack).value().value().size;
  }
  fs::path path_of(std::uint32_t pack) const { return packs.path_of(pack); }

  TempDir dir;
  std::shared_ptr<IndexEnvironment> index;
  PackFiles packs{dir / "packs"};
};

TEST_F(PackFilesTest, WhatWasAppendedIsRead) {
  const PlacedChunk first = append("first").value();
  const PlacedChunk second = append(std::string(500, 'b'), StoredAs::zstd).value();
  EXPECT_EQ(path_of(1).filename(), "0000000001.pack");
  EXPECT_EQ(first.place.pack, 1u);
  EXPECT_EQ(first.place.offset, kPackHeaderSize);
  EXPECT_EQ(second.place.offset, first.place.end());
  EXPECT_LT(second.place.stored_size, 100u);
  EXPECT_EQ(read(first).value(), "first");
  EXPECT_EQ(read(second).value(), std::string(500, 'b'));
  EXPECT_EQ(committed(1), second.place.end());
  EXPECT_EQ(fs::file_size(path_of(1)), second.place.end());
  EXPECT_TRUE(ok(packs.check_file(1, committed(1))));
}

TEST_F(PackFilesTest, ANewPackBeginsAtTheTarget) {
  EXPECT_EQ(append(std::string(900, 'a')).value().place.pack, 1u);
  EXPECT_EQ(append(std::string(900, 'b')).value().place.pack, 1u);  // not reached before
  EXPECT_EQ(append(std::string(10, 'c')).value().place.pack, 2u);

  IndexTransaction txn = index->begin_write().value();
  PackAppender appender(packs, txn, kTarget);
  const std::string records(600, 'r');
  EXPECT_EQ(appender.append(as_byte_span(records)).value().pack, 2u);
  EXPECT_EQ(appender.append(as_byte_span(records)).value().pack, 2u);
  EXPECT_EQ(appender.append(as_byte_span(records)).value().pack, 3u);
  EXPECT_TRUE(ok(appender.sync()));
  EXPECT_EQ(find_pack(txn, 2).value()->size, fs::file_size(path_of(2)));
  EXPECT_EQ(find_pack(txn, 3).value()->size, fs::file_size(path_of(3)));
}

// However they are gathered into writes.
TEST_F(PackFilesTest, RecordsOfAnySizesLieOneBehindAnother) {
  constexpr std::uint64_t kMiB = 1 << 20;
  IndexTransaction txn = index->begin_write().value();
  PackAppender appender(packs, txn, 100 * kMiB);
  Buffer header;
  append_pack_header(1, header);
  std::string expected = test::text_of(header.span());
  std::uint64_t seed = 0;
  for (const std::uint64_t size : {kMiB, kMiB, 3 * kMiB, 5 * kMiB, std::uint64_t{1}, 4 * kMiB - 1,
                                   4 * kMiB, std::uint64_t{100}, 4 * kMiB - 100, kMiB}) {
    const auto records = test::random_bytes(++seed, size);
    const auto at = appender.append(records).value();
    EXPECT_EQ(at.pack, 1u);
    EXPECT_EQ(at.offset, expected.size());
    expected += test::text_of(records);
  }
  ASSERT_TRUE(ok(appender.sync()));
  EXPECT_EQ(find_pack(txn, 1).value()->size, expected.size());
  EXPECT_TRUE(read_file(path_of(1)) == expected);
}

TEST_F(PackFilesTest, ManyPacksAreRead) {
  std::vector<PlacedChunk> chunks;
  for (int i = 0; i < 150; ++i) {
    chunks.push_back(append(std::string(kTarget, 'a') + std::to_string(i)).value());
  }
  EXPECT_EQ(chunks.back().place.pack, 150u);
  for (int round = 0; round < 2; ++round) {
    for (const PlacedChunk& chunk : chunks) EXPECT_TRUE(ok(read(chunk)));
  }
}

TEST_F(PackFilesTest, WhatWasNotCommittedIsOverwritten) {
  const PlacedChunk first = append("first").value();
  for (int i = 0; i < 2; ++i) {
    IndexTransaction txn = index->begin_write().value();
    PackAppender appender(packs, txn, kTarget);
    const std::string lost(2000, 'x');
    EXPECT_EQ(appender.append(as_byte_span(lost)).value().pack, 1u);
    EXPECT_EQ(appender.append(as_byte_span(lost)).value().pack, 2u);
    EXPECT_TRUE(ok(appender.sync()));
  }
  EXPECT_EQ(committed(1), first.place.end());
  EXPECT_TRUE(ok(packs.check_file(1, committed(1))));
  const PlacedChunk second = append("second").value();
  EXPECT_EQ(second.place.offset, first.place.end());
  EXPECT_EQ(append(std::string(kTarget, 'c')).value().place.pack, 1u);
  const PlacedChunk in_new = append("in the second pack").value();
  EXPECT_EQ(in_new.place.pack, 2u);
  EXPECT_EQ(read(first).value(), "first");
  EXPECT_EQ(read(second).value(), "second");
  EXPECT_EQ(read(in_new).value(), "in the second pack");
}

TEST_F(PackFilesTest, NothingIsAppendedToARetiredPack) {
  ASSERT_TRUE(ok(append("first")));
  {
    IndexTransaction txn = index->begin_write().value();
    ASSERT_TRUE(ok(put_pack(txn, 1, {.size = committed(1), .retired = true})));
    ASSERT_TRUE(ok(txn.commit()));
  }
  EXPECT_EQ(append("second").value().place.pack, 2u);
}

TEST_F(PackFilesTest, NothingIsAppendedToADamagedPack) {
  ASSERT_TRUE(ok(append(std::string(100, 'a'))));
  const std::string whole = read_file(path_of(1));
  const auto appended_to = [&](const std::string& bytes) {
    test::write_file(path_of(1), bytes);
    packs.close(1);
    return append("second");
  };
  EXPECT_TRUE(fails_with(appended_to(whole.substr(0, whole.size() - 1)), StoreError::pack_damaged));
  EXPECT_TRUE(fails_with(appended_to(""), StoreError::pack_damaged));
  EXPECT_TRUE(fails_with(appended_to("X" + whole.substr(1)), StoreError::pack_damaged));
  EXPECT_TRUE(ok(appended_to(whole)));
}

TEST_F(PackFilesTest, AMissingPackIsNamed) {
  const PlacedChunk chunk = append("first").value();
  fs::remove(path_of(1));
  const auto missing = read(chunk);
  ASSERT_TRUE(fails_with(missing, StoreError::pack_damaged));
  EXPECT_THAT(test::message_of(missing), HasSubstr("0000000001.pack"));
  EXPECT_TRUE(fails_with(packs.check_file(1, 16), StoreError::pack_damaged));
}

TEST_F(PackFilesTest, AnyFlippedByteOfAChunkIsFound) {
  for (const StoredAs stored_as : {StoredAs::raw, StoredAs::zstd}) {
    const std::string text = "an ordinary text, " + std::string(60, '.');
    const PlacedChunk chunk = append(text, stored_as).value();
    const fs::path path = path_of(chunk.place.pack);
    const std::string whole = read_file(path);
    for (std::uint64_t at = chunk.place.offset; at < chunk.place.end(); ++at) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
      test::write_file(path, flipped);
      const auto outcome = check(chunk);
      ASSERT_TRUE(fails_with(outcome, StoreError::pack_damaged)) << "byte " << at;
      EXPECT_EQ(outcome.error().offset(), chunk.place.offset);
      // Reading finds all that counts: what it gives is right.
      const auto text_again = read(chunk);
      EXPECT_TRUE(!text_again || *text_again == text) << "byte " << at;
    }
    for (std::uint64_t size = chunk.place.offset; size < chunk.place.end(); ++size) {
      test::write_file(path, whole.substr(0, size));
      ASSERT_TRUE(fails_with(read(chunk), StoreError::pack_damaged)) << size << " bytes";
    }
    test::write_file(path, whole);
    EXPECT_TRUE(ok(check(chunk)));
  }
}

TEST_F(PackFilesTest, APlaceThatIsNotTheChunksIsDamage) {
  const PlacedChunk chunk = append("first").value();
  ASSERT_TRUE(ok(append("second, to read into")));
  PlacedChunk wrong = chunk;
  wrong.place.offset += 1;
  EXPECT_TRUE(fails_with(read(wrong), StoreError::pack_damaged));
  wrong = chunk;
  wrong.place.size += 1;
  EXPECT_TRUE(fails_with(read(wrong), StoreError::pack_damaged));
  wrong = chunk;
  wrong.place.stored_size += 1;
  EXPECT_TRUE(fails_with(read(wrong), StoreError::pack_damaged));
  wrong = chunk;
  wrong.place.stored_as = StoredAs::zstd;
  EXPECT_TRUE(fails_with(read(wrong), StoreError::pack_damaged));
  wrong = chunk;
  wrong.id.bytes[5] ^= std::byte{1};
  EXPECT_TRUE(fails_with(read(wrong), StoreError::pack_damaged));
}

}  // namespace
}  // namespace cleave
