#include "cleave/store/get.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/base/internal/fail.h"
#include "cleave/nar/nar_error.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/pack_files.h"
#include "tests/support/nar.h"
#include "tests/support/result.h"
#include "tests/support/store.h"
#include "tests/support/tree.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using test::add_bytes;
using test::add_file;
using test::add_text;
using test::all_executors;
using test::fails_with;
using test::get_text;
using test::message_of;
using test::ok;
using test::open_store;
using test::random_bytes;
using test::read_file;
using test::TempDir;
using test::text_of;
using testing::HasSubstr;

class StoreGet : public testing::Test {
 protected:
  Result<> to_file(const std::string& name, const fs::path& path,
                   Overwrite overwrite = Overwrite::no, Executor* on = nullptr) {
    const Artifact artifact = CLEAVE_TRY(store->find(name));
    Progress progress;
    return restore_file(*store, on != nullptr ? *on : *executor, artifact, path, overwrite,
                        progress);
  }
  Result<> to_folder(const std::string& name, const fs::path& path, Executor* on = nullptr) {
    const Artifact artifact = CLEAVE_TRY(store->find(name));
    Progress progress;
    return restore_folder(*store, on != nullptr ? *on : *executor, artifact, path, progress);
  }
  // Flips a byte of the chunk at `offset` of an artifact, in its pack.
  void damage(const std::string& name, std::uint64_t offset) {
    const IndexTransaction txn = store->index().begin_read().value();
    for (const auto& [id, size] : test::recipe_of(txn, store->find(name).value())) {
      if (offset >= size) {
        offset -= size;
        continue;
      }
      const ChunkPlace place = find_chunk(txn, id).value().value();
      const fs::path path = store->packs().path_of(place.pack);
      std::string bytes = read_file(path);
      bytes[place.end() - 1] = static_cast<char>(bytes[place.end() - 1] ^ 1);
      test::write_file(path, bytes);
      return;
    }
    FAIL() << "no such offset";
  }

  TempDir dir;
  TempDir out;
  std::shared_ptr<Store> store = open_store(dir.path(), {.pack_size = 10'000});
  std::unique_ptr<Executor> executor = make_inline_executor();
};

TEST_F(StoreGet, FilesComeBackWithAnyExecutor) {
  const std::string text = text_of(test::mixed_bytes(1, 3'000'000));
  ASSERT_TRUE(ok(add_text(store, "a", text)));
  for (auto& [name, on] : all_executors(10)) {
    ASSERT_TRUE(ok(to_file("a", out / name, Overwrite::no, on.get())));
    EXPECT_TRUE(read_file(out / name) == text) << name;
    EXPECT_TRUE(get_text(*store, "a", on.get()).value() == text) << name;
  }
}

TEST_F(StoreGet, AnOutputThatExistsIsLeftAlone) {
  ASSERT_TRUE(ok(add_text(store, "a", "from the store")));
  test::write_file(out / "file", "precious");
  const auto refused = to_file("a", out / "file");
  ASSERT_TRUE(fails_with(refused, IoError::output_exists));
  EXPECT_THAT(message_of(refused), HasSubstr((out / "file").native()));
  EXPECT_EQ(read_file(out / "file"), "precious");
  ASSERT_TRUE(ok(to_file("a", out / "file", Overwrite::yes)));
  EXPECT_EQ(read_file(out / "file"), "from the store");
  EXPECT_EQ(out.count(), 1u);
}

TEST_F(StoreGet, AFolderThatCannotBeWrittenTo) {
  ASSERT_TRUE(ok(add_text(store, "a", "text")));
  EXPECT_TRUE(fails_with(to_file("a", out / "missing/file"), IoError::io_error));
  EXPECT_TRUE(fails_with(to_folder("a", out / "missing/folder"), IoError::io_error));
  EXPECT_EQ(out.count(), 0u);
}

TEST_F(StoreGet, NothingOfADamagedFileIsLeft) {
  const auto data = random_bytes(2, 3'000'000);
  ASSERT_TRUE(ok(add_bytes(store, "a", data)));
  damage("a", 2'900'000);
  test::write_file(out / "old", "old");
  for (auto& [name, on] : all_executors(3)) {
    const auto damaged = to_file("a", out / "new", Overwrite::no, on.get());
    ASSERT_TRUE(fails_with(damaged, StoreError::pack_damaged)) << name;
    EXPECT_THAT(message_of(damaged), HasSubstr(".pack"));
    EXPECT_TRUE(
        fails_with(to_file("a", out / "old", Overwrite::yes, on.get()), StoreError::pack_damaged));
    EXPECT_EQ(read_file(out / "old"), "old");
    EXPECT_EQ(out.count(), 1u) << name;
  }
}

TEST_F(StoreGet, ASinkGetsOnlyVerifiedBytes) {
  const auto data = random_bytes(3, 3'000'000);
  ASSERT_TRUE(ok(add_bytes(store, "a", data)));
  damage("a", 2'000'000);
  BufferSink sink;
  Progress progress;
  EXPECT_TRUE(
      fails_with(write_artifact(*store, *executor, store->find("a").value(), sink, progress),
                 StoreError::pack_damaged));
  EXPECT_LE(sink.buffer.size(), 2'000'000u);
  EXPECT_TRUE(test::equal(sink.buffer.span(), ByteSpan(data).first(sink.buffer.size())));
}

TEST_F(StoreGet, NothingOfADamagedFolderIsLeft) {
  for (int i = 0; i < 30; ++i) {
    test::make_file(out / "tree" / std::to_string(i) / "file",
                    text_of(random_bytes(static_cast<std::uint64_t>(i), 100'000)));
  }
  const std::uint64_t size = add_file(store, "tree", out / "tree")->artifact.size;
  ASSERT_TRUE(ok(to_folder("tree", out / "again")));
  EXPECT_TRUE(test::trees_equal(out / "tree", out / "again"));
  damage("tree", size - 100'000);
  for (auto& [name, on] : all_executors(3)) {
    EXPECT_TRUE(fails_with(to_folder("tree", out / "damaged", on.get()), StoreError::pack_damaged));
    EXPECT_EQ(out.count(), 2u) << name;
  }
}

TEST_F(StoreGet, OnlyNarsBecomeFolders) {
  ASSERT_TRUE(ok(add_text(store, "text", "no archive at all, but some text")));
  const auto no_nar = to_folder("text", out / "folder");
  ASSERT_FALSE(no_nar);
  EXPECT_EQ(no_nar.error().error_class(), ErrorClass::malformed);
  EXPECT_EQ(out.count(), 0u);

  const std::string nar = test::nar::archive(test::nar::file("contents"));
  ASSERT_TRUE(ok(add_text(store, "nar", nar)));
  ASSERT_TRUE(ok(to_folder("nar", out / "file")));
  EXPECT_EQ(read_file(out / "file"), "contents");
}

TEST_F(StoreGet, ACutNarIsMalformed) {
  const std::string nar = test::nar::archive(
      test::nar::folder(test::nar::entry("a", test::nar::file(std::string(5000, 'a')))));
  for (const std::size_t size : {nar.size() - 1, nar.size() / 2, std::size_t{50}}) {
    const std::string name = std::to_string(size);
    ASSERT_TRUE(ok(add_text(store, name, nar.substr(0, size))));
    const auto cut = to_folder(name, out / "folder");
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error().error_class(), ErrorClass::malformed);
    EXPECT_EQ(out.count(), 0u);
    EXPECT_EQ(get_text(*store, name).value(), nar.substr(0, size));
  }
}

TEST_F(StoreGet, AMissingChunkIsNamed) {
  ASSERT_TRUE(ok(add_text(store, "a", "text")));
  const Digest id = blake3(as_byte_span("text"));
  {
    IndexTransaction txn = store->index().begin_write().value();
    ASSERT_TRUE(ok(remove_chunk(txn, id)));
    ASSERT_TRUE(ok(txn.commit()));
  }
  const auto missing = to_file("a", out / "a");
  ASSERT_TRUE(fails_with(missing, StoreError::chunk_missing));
  EXPECT_THAT(message_of(missing), HasSubstr("\"a\""));
  EXPECT_THAT(message_of(missing), HasSubstr(to_hex(id.span())));
}

TEST_F(StoreGet, AnArtifactThatIsRemovedMeanwhileIsNotDamage) {
  ASSERT_TRUE(ok(add_text(store, "a", "text")));
  const Artifact artifact = store->find("a").value();
  BufferSink sink;
  Progress progress;
  ASSERT_TRUE(ok(store->remove("a")));
  EXPECT_TRUE(fails_with(write_artifact(*store, *executor, artifact, sink, progress),
                         StoreError::no_such_artifact));
  ASSERT_TRUE(ok(add_text(store, "a", "another text")));
  EXPECT_TRUE(fails_with(write_artifact(*store, *executor, artifact, sink, progress),
                         StoreError::no_such_artifact));
  EXPECT_EQ(sink.buffer.size(), 0u);
}

TEST_F(StoreGet, StopsWhenAskedAndLeavesNothing) {
  ASSERT_TRUE(ok(add_bytes(store, "a", random_bytes(4, 100'000))));
  Progress progress;
  progress.stop = true;
  const Artifact artifact = store->find("a").value();
  EXPECT_TRUE(
      fails_with(restore_file(*store, *executor, artifact, out / "a", Overwrite::no, progress),
                 IoError::interrupted));
  EXPECT_EQ(out.count(), 0u);
}

// Takes 100 bytes.
class SmallSink final : public ByteSink {
 public:
  Result<> write(ByteSpan bytes) override {
    taken += bytes.size();
    if (taken > 100) return fail(IoError::io_error, "full");
    return {};
  }
  std::size_t taken = 0;
};

TEST_F(StoreGet, ASinkThatFailsEndsIt) {
  ASSERT_TRUE(ok(add_bytes(store, "a", random_bytes(5, 5'000'000))));
  const auto threads = make_thread_executor(3);
  SmallSink sink;
  Progress progress;
  const auto failed = write_artifact(*store, *threads, store->find("a").value(), sink, progress);
  ASSERT_TRUE(fails_with(failed, IoError::io_error));
  EXPECT_LT(sink.taken, 3'000'000u);
}

}  // namespace
}  // namespace cleave
