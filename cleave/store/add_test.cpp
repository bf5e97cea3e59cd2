#include "cleave/store/add.h"

#include <algorithm>
#include <fstream>
#include <latch>
#include <sys/stat.h>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/base/internal/fail.h"
#include "cleave/hash/sha256.h"
#include "cleave/nar/nar_source.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/stats.h"
#include "tests/support/chunking.h"
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
using test::mixed_bytes;
using test::ok;
using test::open_store;
using test::pack_bytes;
using test::pack_contents;
using test::random_bytes;
using test::small_chunks;
using test::TempDir;
using test::text_of;
using test::trees_equal;
using test::write_file;
using testing::HasSubstr;

Result<> restore_to(const Store& store, const std::string& name, const fs::path& path,
                    Executor& executor) {
  Progress progress;
  return restore_folder(store, executor, CLEAVE_TRY(store.find(name)), path, progress);
}

RC_GTEST_PROP(StoreAdd, GetIsTheInverseForAnyBytes, ()) {
  static const TempDir dir;
  static const auto store = open_store(dir / "store", {.pack_size = 20'000});
  const auto executor = make_seeded_executor(*rc::gen::arbitrary<std::uint64_t>());
  AddOptions options;
  options.chunking = test::any_options();
  options.sha256 = *rc::gen::arbitrary<bool>();
  options.replace = true;
  for (const char* name : {"a", "b"}) {
    const auto size = *rc::gen::inRange<std::size_t>(0, 60'000);
    const auto bytes = mixed_bytes(*rc::gen::arbitrary<std::uint64_t>(), size);
    const auto added = add_bytes(store, name, bytes, options, executor.get());
    RC_ASSERT(added.has_value());
    RC_ASSERT(added->artifact.size == bytes.size());
    RC_ASSERT(get_text(*store, name, executor.get()).value() == text_of(bytes));
  }
}

TEST(StoreAdd, GetIsTheInverseForAnyTree) {
  const TempDir dir;
  const auto store = open_store(dir / "store", {.pack_size = 20'000});
  test::Rng rng(7);
  for (auto& [name, executor] : all_executors(20)) {
    const fs::path tree = dir / ("tree " + name);
    test::random_tree(rng, tree);
    const auto added = add_file(store, name, tree, small_chunks(), executor.get());
    ASSERT_TRUE(ok(added)) << name;
    EXPECT_EQ(added->artifact.kind, ArtifactKind::folder);
    EXPECT_EQ(added->artifact.format, ArtifactFormat::nar);

    const fs::path again = dir / ("again " + name);
    ASSERT_TRUE(ok(restore_to(*store, name, again, *executor)));
    EXPECT_TRUE(trees_equal(tree, again)) << name;

    NarSource nar = NarSource::open(tree).value();
    std::string bytes(added->artifact.size + 1, '\0');
    bytes.resize(read_full(nar, std::as_writable_bytes(std::span(bytes))).value());
    EXPECT_EQ(get_text(*store, name, executor.get()).value(), bytes) << name;
    EXPECT_EQ(added->artifact.sha256, sha256(as_byte_span(bytes)));
  }
  EXPECT_TRUE(test::verify(*store, test::Everything::yes)->problems.empty());
}

std::vector<std::byte> joined(const std::vector<std::vector<std::byte>>& parts) {
  std::vector<std::byte> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::vector<std::pair<Digest, std::uint32_t>> recipe_of(const Store& store,
                                                        const Artifact& artifact) {
  std::vector<std::pair<Digest, std::uint32_t>> recipe;
  for (const auto& [id, size] : test::recipe_of(store, artifact)) recipe.emplace_back(id, size);
  return recipe;
}

// Repeats lie further apart than what travels through the pipeline together, so that which of two
// equal chunks gets stored could depend on the order of work.
TEST(StoreAdd, PacksAndRecipesAreTheSameForAnyExecutor) {
  const TempDir dir;
  const auto a = random_bytes(1, 1'100'000);
  const auto b = random_bytes(2, 700'000);
  const auto data = joined({a, b, a, std::vector<std::byte>(500'000), b, a});
  AddOptions options;
  options.chunking = {.min_size = 4096, .avg_size = 16384, .max_size = 65536};
  std::map<std::string, std::string> packs;
  std::vector<std::pair<Digest, std::uint32_t>> recipe;
  Digest digest;
  for (auto& [name, executor] : all_executors(30)) {
    const fs::path path = dir / name;
    const auto store = open_store(path, {.pack_size = 300'000});
    const auto added = add_bytes(store, "a", data, options, executor.get());
    ASSERT_TRUE(ok(added)) << name;
    if (recipe.empty()) {
      packs = pack_contents(path);
      recipe = recipe_of(*store, added->artifact);
      digest = added->artifact.digest;
    }
    EXPECT_EQ(recipe_of(*store, added->artifact), recipe) << name;
    EXPECT_EQ(added->artifact.digest, digest) << name;
    EXPECT_TRUE(pack_contents(path) == packs) << name;
    fs::remove_all(path);
  }
}

TEST(StoreAdd, ReportsWhatIsNew) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const auto data = random_bytes(3, 50'000);
  const AddReport first = add_bytes(store, "first", data).value();
  EXPECT_EQ(first.new_bytes, data.size());
  EXPECT_EQ(first.new_chunks, first.artifact.chunks);
  EXPECT_EQ(first.stored_bytes, pack_bytes(dir.path()) - kPackHeaderSize);

  const auto before = pack_contents(dir.path());
  const AddReport second = add_bytes(store, "second", data).value();
  EXPECT_EQ(second.new_chunks, 0u);
  EXPECT_EQ(second.stored_bytes, 0u);
  EXPECT_EQ(second.artifact.digest, first.artifact.digest);
  EXPECT_EQ(second.artifact.chunks, first.artifact.chunks);
  EXPECT_TRUE(pack_contents(dir.path()) == before);
}

TEST(StoreAdd, EqualChunksOfOneArtifactAreStoredOnce) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const AddReport report = add_bytes(store, "zeros", std::vector<std::byte>(1'000'000)).value();
  EXPECT_GT(report.artifact.chunks, 900u);
  EXPECT_LE(report.new_chunks, 2u);
  EXPECT_LT(pack_bytes(dir.path()), 300u);
  EXPECT_EQ(get_text(*store, "zeros").value(), std::string(1'000'000, '\0'));
}

TEST(StoreAdd, AnEmptyFileHasNoChunks) {
  const TempDir dir;
  const auto store = open_store(dir / "store");
  write_file(dir / "empty", "");
  const AddReport report = add_file(store, "empty", dir / "empty").value();
  EXPECT_EQ(report.artifact.size, 0u);
  EXPECT_EQ(report.artifact.chunks, 0u);
  EXPECT_EQ(report.artifact.digest, blake3({}));
  EXPECT_EQ(get_text(*store, "empty").value(), "");
}

// Threads with an adder each, all with the same data at the same time, in different orders.
TEST(StoreAdd, ThreadsThatBringTheSameStoreItOnce) {
  constexpr int kThreads = 4;
  const TempDir dir;
  std::vector<std::vector<std::byte>> files;
  for (std::uint64_t i = 0; i < 6; ++i) files.push_back(random_bytes(i, 40'000 + 1000 * i));

  const auto alone = open_store(dir / "alone");
  for (std::size_t i = 0; i < files.size(); ++i) {
    ASSERT_TRUE(ok(add_bytes(alone, std::to_string(i), files[i])));
  }
  for (int round = 0; round < 5; ++round) {
    const fs::path path = dir / std::to_string(round);
    const auto shared = open_store(path);
    std::latch start(kThreads);
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        const auto executor = make_thread_executor(2);
        start.arrive_and_wait();
        for (std::size_t i = 0; i < files.size(); ++i) {
          const std::size_t k = (i + t * 2) % files.size();
          const std::string name = std::to_string(t) + "-" + std::to_string(k);
          EXPECT_TRUE(ok(add_bytes(shared, name, files[k], small_chunks(), executor.get())));
        }
      });
    }
    threads.clear();
    EXPECT_EQ(pack_bytes(path), pack_bytes(dir / "alone"));
    for (const Artifact& artifact : test::artifacts_of(*shared)) {
      const auto k = static_cast<std::size_t>(artifact.name.back() - '0');
      EXPECT_EQ(get_text(*shared, artifact.name).value(), text_of(files[k]));
    }
    EXPECT_EQ(shared->list()->size(), kThreads * files.size());
  }
}

TEST(StoreAdd, ANameThatExistsIsRefusedBeforeReading) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  ASSERT_TRUE(ok(add_text(store, "a", "first")));
  const auto again =
      test::add_with(store, *make_inline_executor(), small_chunks(),
                     [](Adder& adder) { return adder.add_path("/there/is/no/such/file", "a"); });
  ASSERT_TRUE(fails_with(again, StoreError::name_exists));
  EXPECT_THAT(message_of(again), HasSubstr("\"a\""));
  EXPECT_EQ(get_text(*store, "a").value(), "first");
}

TEST(StoreAdd, OfTwoWithOneNameAtOnceOneWins) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const auto executor = make_inline_executor();
  Progress progress;
  std::vector<Result<AddReport>> outcomes;
  const auto adder = Adder::start(store, *executor, progress, small_chunks(),
                                  [&](const std::string& name, Result<AddReport> outcome) {
                                    EXPECT_EQ(name, "a");
                                    outcomes.push_back(std::move(outcome));
                                  })
                         .value();
  {
    // Keeps the first from being committed until the second is on its way too.
    const IndexTransaction blocker = store->index().begin_write().value();
    MemorySource one(as_byte_span("one"));
    MemorySource two(as_byte_span("two"));
    EXPECT_TRUE(ok(adder->add_stream(one, "a")));
    EXPECT_TRUE(ok(adder->add_stream(two, "a")));
  }
  EXPECT_TRUE(ok(adder->finish()));
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_TRUE(ok(outcomes[0]));
  EXPECT_TRUE(fails_with(outcomes[1], StoreError::name_exists));
  EXPECT_EQ(get_text(*store, "a").value(), "one");
}

TEST(StoreAdd, ReplaceForgetsTheOld) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  AddOptions replace = small_chunks();
  replace.replace = true;
  ASSERT_TRUE(ok(add_bytes(store, "a", random_bytes(1, 100'000), replace)));
  ASSERT_TRUE(ok(add_text(store, "a", "the new one", replace)));
  EXPECT_EQ(store->list()->size(), 1u);
  EXPECT_EQ(get_text(*store, "a").value(), "the new one");
  EXPECT_GT(store_stats(*store)->unused_bytes, 100'000u);
  ASSERT_TRUE(ok(test::collect(*store)));
  EXPECT_EQ(get_text(*store, "a").value(), "the new one");
  EXPECT_LT(pack_bytes(dir.path()), 200u);
}

// Gives `size` bytes of `data`, then fails.
class FailingSource final : public ByteSource {
 public:
  FailingSource(ByteSpan data, std::size_t size) : inner_(data.first(size)) {}
  Result<std::size_t> read(MutableByteSpan into) override {
    const std::size_t n = CLEAVE_TRY(inner_.read(into));
    if (n == 0) return fail(IoError::io_error, "the disk is on fire");
    return n;
  }

 private:
  MemorySource inner_;
};

// What the failed one had taken on itself to store may never have been.
TEST(StoreAdd, AfterAFailedSourceTheNextArtifactIsWhole) {
  const auto data = random_bytes(5, 3'000'000);
  AddOptions options;
  options.chunking = {.min_size = 1024, .avg_size = 4096, .max_size = 16384};
  for (auto& [name, executor] : all_executors(5)) {
    const TempDir dir;
    const auto store = open_store(dir.path());
    Progress progress;
    std::vector<std::string> done;
    const auto adder = Adder::start(store, *executor, progress, options,
                                    [&](const std::string& artifact, const Result<AddReport>& r) {
                                      EXPECT_TRUE(ok(r));
                                      done.push_back(artifact);
                                    })
                           .value();
    for (const std::size_t size : {0UL, 1UL, 70'000UL, 1'500'000UL, 3'000'000UL}) {
      FailingSource source(data, size);
      const auto failed = adder->add_stream(source, "failed");
      ASSERT_TRUE(fails_with(failed, IoError::io_error)) << name;
      EXPECT_THAT(message_of(failed), HasSubstr("on fire"));
    }
    MemorySource whole(data);
    ASSERT_TRUE(ok(adder->add_stream(whole, "whole")));
    ASSERT_TRUE(ok(adder->finish()));
    EXPECT_EQ(done, std::vector<std::string>{"whole"});
    EXPECT_EQ(get_text(*store, "whole").value(), text_of(data)) << name;
    EXPECT_TRUE(test::verify(*store, test::Everything::yes)->problems.empty());
  }
}

// More than one commit's worth before it fails: part of it is in the store by then.
TEST(StoreAdd, ALargeSourceThatFailsLeavesOnlyGarbage) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const auto data = random_bytes(6, 20'000'000);
  const auto executor = make_thread_executor(2);
  const AddOptions options;
  const auto failed = test::add_with(store, *executor, options, [&](Adder& adder) {
    FailingSource source(data, 19'000'000);
    return adder.add_stream(source, "a");
  });
  ASSERT_TRUE(fails_with(failed, IoError::io_error));
  EXPECT_TRUE(store->list()->empty());
  EXPECT_GT(store_stats(*store)->unused_bytes, 8'000'000u);
  EXPECT_TRUE(test::verify(*store, test::Everything::yes)->problems.empty());
  ASSERT_TRUE(ok(add_bytes(store, "a", data, options, executor.get())));
  EXPECT_TRUE(get_text(*store, "a").value() == text_of(data));
  EXPECT_LT(pack_bytes(dir.path()), 20'100'000u);
}

TEST(StoreAdd, WhatAFailedArtifactStoredIsNotCountedForTheNext) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const auto data = random_bytes(7, 12'000'000);
  const auto executor = make_inline_executor();
  const auto next = test::add_with(store, *executor, {}, [&](Adder& adder) {
    FailingSource source(data, data.size());
    EXPECT_TRUE(fails_with(adder.add_stream(source, "failed"), IoError::io_error));
    MemorySource text(as_byte_span("text"));
    return adder.add_stream(text, "next");
  });
  ASSERT_TRUE(ok(next));
  EXPECT_EQ(next->new_chunks, 1u);
  EXPECT_EQ(next->new_bytes, 4u);
}

// Runs like an inline executor, and does something to the file being read just before.
class Meddler final : public Executor {
 public:
  explicit Meddler(std::function<void()> meddle) : meddle_(std::move(meddle)) {}
  std::size_t concurrency() const override { return 1; }
  void run(std::size_t count, FunctionRef<void(std::size_t)> body) override {
    meddle_();
    inner_->run(count, body);
  }

 private:
  std::function<void()> meddle_;
  std::unique_ptr<Executor> inner_ = make_inline_executor();
};

TEST(StoreAdd, AFileThatChangesWhileItIsReadIsRefused) {
  const TempDir dir;
  const fs::path path = dir / "file";
  const auto store = open_store(dir / "store");
  const std::vector<std::function<void()>> changes = {
      [&] { fs::resize_file(path, 100); }, [&] { fs::resize_file(path, 100'000); },
      [&] { std::ofstream(path, std::ios::app) << "more"; },
      [&] { write_file(path, std::string(50'000, 'y')); }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    write_file(path, std::string(50'000, 'x'));
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
    Meddler executor(changes[i]);
    const auto added = add_file(store, "a", path, small_chunks(), &executor);
    ASSERT_TRUE(fails_with(added, IoError::file_changed)) << i;
    EXPECT_THAT(message_of(added), HasSubstr(path.native()));
  }
  EXPECT_TRUE(store->list()->empty());
}

TEST(StoreAdd, AFileInATreeThatChangesIsRefused) {
  const TempDir dir;
  const fs::path path = dir / "tree/file";
  const auto store = open_store(dir / "store");
  test::make_file(path, std::string(50'000, 'x'));
  Meddler executor([&] { fs::resize_file(path, 100); });
  // The file is opened only after the change, but a tree that changes under the walk is a race that
  // only some orders show: adding must then succeed with what is there, or refuse.
  const auto added = add_file(store, "a", dir / "tree", small_chunks(), &executor);
  if (added) {
    EXPECT_TRUE(ok(restore_to(*store, "a", dir / "again", executor)));
  } else {
    EXPECT_TRUE(store->list()->empty());
  }
}

TEST(StoreAdd, WhatCannotBeReadIsNamed) {
  const TempDir dir;
  const auto store = open_store(dir / "store");
  const auto missing = add_file(store, "a", dir / "missing");
  ASSERT_TRUE(fails_with(missing, IoError::io_error));
  EXPECT_EQ(missing.error().os_error(), ENOENT);
  EXPECT_THAT(message_of(missing), HasSubstr((dir / "missing").native()));

  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_TRUE(fails_with(add_file(store, "a", dir / "fifo"), IoError::unsupported_file_type));
  EXPECT_TRUE(fails_with(add_file(store, "a", "/dev/null"), IoError::unsupported_file_type));
  fs::create_directory(dir / "tree");
  fs::rename(dir / "fifo", dir / "tree/fifo");
  const auto in_tree = add_file(store, "a", dir / "tree");
  ASSERT_TRUE(fails_with(in_tree, IoError::unsupported_file_type));
  EXPECT_THAT(message_of(in_tree), HasSubstr("tree/fifo"));
  EXPECT_TRUE(store->list()->empty());
}

TEST(StoreAdd, SymlinksGivenAreFollowed) {
  const TempDir dir;
  const auto store = open_store(dir / "store");
  test::make_file(dir / "tree/file", "text");
  fs::create_symlink("tree", dir / "to-tree");
  fs::create_symlink("tree/file", dir / "to-file");
  fs::create_symlink("nowhere", dir / "dangling");
  EXPECT_EQ(add_file(store, "folder", dir / "to-tree")->artifact.kind, ArtifactKind::folder);
  ASSERT_TRUE(ok(add_file(store, "file", dir / "to-file")));
  EXPECT_EQ(get_text(*store, "file").value(), "text");
  EXPECT_TRUE(fails_with(add_file(store, "none", dir / "dangling"), IoError::io_error));
}

TEST(StoreAdd, Sha256OfNarsAlwaysOfFilesOnDemand) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const std::string nar = test::nar::archive(test::nar::file("contents"));
  const Artifact as_nar = add_text(store, "nar", nar)->artifact;
  EXPECT_EQ(as_nar.format, ArtifactFormat::nar);
  EXPECT_EQ(as_nar.kind, ArtifactKind::file);
  EXPECT_EQ(as_nar.sha256, sha256(as_byte_span(nar)));
  EXPECT_EQ(get_text(*store, "nar").value(), nar);

  EXPECT_FALSE(add_text(store, "plain", "text")->artifact.sha256);
  AddOptions options = small_chunks();
  options.sha256 = true;
  const auto data = random_bytes(8, 30'000);
  const Artifact with = add_bytes(store, "with", data, options)->artifact;
  EXPECT_EQ(with.sha256, sha256(data));
  EXPECT_EQ(with.format, ArtifactFormat::raw);
  EXPECT_EQ(store->find("with")->sha256, with.sha256);
}

TEST(StoreAdd, WhatIsRecordedOfAnArtifact) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  AddOptions options = small_chunks();
  options.chunking.level = 2;
  options.chunking.seed = 99;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const Artifact added = add_text(store, "a", "some text", options)->artifact;
  const Artifact found = store->find("a").value();
  for (const Artifact& artifact : {added, found}) {
    EXPECT_EQ(artifact.name, "a");
    EXPECT_EQ(artifact.size, 9u);
    EXPECT_EQ(artifact.chunks, 1u);
    EXPECT_EQ(artifact.chunking.max_size, 1024u);
    EXPECT_EQ(artifact.chunking.level, 2u);
    EXPECT_EQ(artifact.chunking.seed, 99u);
    EXPECT_NEAR(static_cast<double>(artifact.added),
                static_cast<double>(std::chrono::nanoseconds(now).count()), 60e9);
    RecipeDigest digest;
    digest.add({blake3(as_byte_span("some text")), 9});
    EXPECT_EQ(artifact.digest, digest.digest());
  }
  EXPECT_EQ(added.serial, found.serial);
}

TEST(StoreAdd, ResultsComeInOrderOnceEach) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const auto executor = make_thread_executor(3);
  Progress progress;
  std::vector<std::string> names;
  std::vector<std::string> expected;
  {
    const auto adder = Adder::start(store, *executor, progress, small_chunks(),
                                    [&](const std::string& name, const Result<AddReport>& result) {
                                      EXPECT_TRUE(ok(result));
                                      EXPECT_EQ(result->artifact.name, name);
                                      names.push_back(name);
                                    })
                           .value();
    for (int i = 0; i < 200; ++i) {
      expected.push_back("artifact " + std::to_string(i));
      MemorySource source(as_byte_span(expected.back()));
      ASSERT_TRUE(ok(adder->add_stream(source, expected.back())));
    }
    ASSERT_TRUE(ok(adder->finish()));
    EXPECT_EQ(names, expected);
  }
  EXPECT_EQ(store->list()->size(), 200u);
}

// An artifact is acknowledged, refused, or reported as failed: never passed over.
TEST(StoreAdd, WhenACommitFailsEveryArtifactIsReported) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const auto executor = make_inline_executor();
  const auto data = random_bytes(9, 10'000'000);  // more than is committed at once
  for (const bool large : {false, true}) {
    fs::rename(dir / "packs", dir / "hidden");
    Progress progress;
    std::vector<std::string> failed;
    const auto adder = Adder::start(store, *executor, progress, {},
                                    [&](const std::string& name, const Result<AddReport>& result) {
                                      EXPECT_TRUE(fails_with(result, IoError::io_error));
                                      failed.push_back(name);
                                    })
                           .value();
    std::vector<std::string> submitted;
    {
      const IndexTransaction blocker = store->index().begin_write().value();
      for (const char* name : {"a", "b", "c"}) {
        MemorySource source(ByteSpan(data).first(large ? data.size() : 1000));
        if (adder->add_stream(source, name)) submitted.push_back(name);
      }
    }
    EXPECT_TRUE(fails_with(adder->finish(), IoError::io_error));
    EXPECT_EQ(failed, submitted) << large;
    EXPECT_FALSE(submitted.empty());
    MemorySource later(data);
    EXPECT_TRUE(fails_with(adder->add_stream(later, "later"), IoError::io_error));
    fs::rename(dir / "hidden", dir / "packs");
  }
  EXPECT_TRUE(store->list()->empty());
  EXPECT_TRUE(ok(add_bytes(store, "a", data)));
  EXPECT_TRUE(test::verify(*store, test::Everything::yes)->problems.empty());
}

TEST(StoreAdd, StopsWhenAsked) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  const auto executor = make_thread_executor(2);
  Progress progress;
  progress.stop = true;
  const auto adder =
      Adder::start(store, *executor, progress, small_chunks(), [](const auto&, auto) {
        FAIL();
      }).value();
  MemorySource source(as_byte_span("text"));
  EXPECT_TRUE(fails_with(adder->add_stream(source, "a"), IoError::interrupted));
  EXPECT_TRUE(ok(adder->finish()));
  EXPECT_TRUE(store->list()->empty());
}

TEST(StoreAdd, ChunkSizesMustMakeSense) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  AddOptions options;
  options.chunking.min_size = options.chunking.max_size + 1;
  EXPECT_TRUE(
      fails_with(add_text(store, "a", "text", options), ChunkingError::invalid_chunking_options));
}

TEST(StoreAdd, ManyPacks) {
  const TempDir dir;
  const auto store = open_store(dir.path(), {.pack_size = 5'000});
  for (std::uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(ok(add_bytes(store, std::to_string(i), random_bytes(i, 2'000))));
  }
  EXPECT_EQ(store_stats(*store)->packs, pack_contents(dir.path()).size());
  EXPECT_GT(store_stats(*store)->packs, 20u);
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(get_text(*store, std::to_string(i)).value() == text_of(random_bytes(i, 2'000)));
  }
}

TEST(StoreAdd, DefaultNames) {
  EXPECT_EQ(default_artifact_name("/a/b"), "b");
  EXPECT_EQ(default_artifact_name("/a/b/"), "b");
  EXPECT_EQ(default_artifact_name("b/../c"), "c");
  EXPECT_EQ(default_artifact_name("."), fs::current_path().filename());
  EXPECT_EQ(default_artifact_name("/"), "");
}

}  // namespace
}  // namespace cleave
