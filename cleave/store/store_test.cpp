#include "cleave/store/store.h"

#include <cstdlib>
#include <functional>
#include <latch>
#include <optional>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/store/internal/index.h"
#include "tests/support/result.h"
#include "tests/support/store.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using test::add_text;
using test::fails_with;
using test::get_text;
using test::message_of;
using test::ok;
using test::open_store;
using test::TempDir;
using test::write_file;
using testing::HasSubstr;

constexpr StoreMode kAllModes[] = {StoreMode::read, StoreMode::write, StoreMode::create};

TEST(StoreOpen, CreateMakesAStoreAndTheFoldersAboveIt) {
  const TempDir dir;
  const fs::path path = dir / "a/b/store";
  ASSERT_TRUE(ok(Store::open(path, StoreMode::create)));
  EXPECT_EQ(test::read_file(path / "format"), "cleave-store 1\n");
  EXPECT_TRUE(fs::is_directory(path / "packs"));
  for (const StoreMode mode : kAllModes) {
    const auto store = Store::open(path, mode);
    ASSERT_TRUE(ok(store));
    EXPECT_TRUE((*store)->list().value().empty());
  }
}

TEST(StoreOpen, NothingThereIsNoStore) {
  const TempDir dir;
  for (const StoreMode mode : {StoreMode::read, StoreMode::write}) {
    const auto store = Store::open(dir / "store", mode);
    ASSERT_TRUE(fails_with(store, StoreError::no_store));
    EXPECT_THAT(message_of(store), HasSubstr((dir / "store").native()));
  }
  EXPECT_EQ(dir.count(), 0u);
}

TEST(StoreOpen, AnEmptyFolderIsNoStoreYet) {
  const TempDir dir;
  EXPECT_TRUE(fails_with(Store::open(dir.path(), StoreMode::read), StoreError::no_store));
  EXPECT_TRUE(fails_with(Store::open(dir.path(), StoreMode::write), StoreError::no_store));
  EXPECT_EQ(dir.count(), 0u);
  EXPECT_TRUE(ok(Store::open(dir.path(), StoreMode::create)));
}

TEST(StoreOpen, SomethingElseIsNotAStore) {
  const TempDir dir;
  write_file(dir / "file", "hello");
  fs::create_directory(dir / "folder");
  write_file(dir / "folder/thesis.txt", "hello");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  for (const StoreMode mode : kAllModes) {
    for (const char* name : {"file", "folder", "fifo"}) {
      const auto store = Store::open(dir / name, mode);
      ASSERT_TRUE(fails_with(store, StoreError::not_a_store)) << name;
      EXPECT_THAT(message_of(store), HasSubstr((dir / name).native()));
    }
    EXPECT_TRUE(fails_with(Store::open(dir / "file/store", mode), IoError::io_error));
  }
  EXPECT_EQ(dir.count(), 3u);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir / "folder"), {}), 1);
}

TEST(StoreOpen, AFolderWithAnotherFormatFileIsNotAStore) {
  const TempDir dir;
  for (const char* text : {"", "cleave", "something else\n", "cleave-stores 1\n"}) {
    write_file(dir / "format", text);
    for (const StoreMode mode : kAllModes) {
      EXPECT_TRUE(fails_with(Store::open(dir.path(), mode), StoreError::not_a_store)) << text;
    }
  }
  EXPECT_EQ(dir.count(), 1u);
}

TEST(StoreOpen, AnotherVersionIsRefused) {
  const TempDir dir;
  for (const char* version : {"2", "10", "1 ", "", "one", "2\nand more text"}) {
    write_file(dir / "format", std::string("cleave-store ") + version + "\n");
    for (const StoreMode mode : kAllModes) {
      const auto store = Store::open(dir.path(), mode);
      ASSERT_TRUE(fails_with(store, StoreError::store_version_unsupported)) << version;
      EXPECT_THAT(message_of(store), HasSubstr("version 1"));
      EXPECT_THAT(message_of(store), HasSubstr(dir.path().native()));
    }
  }
  write_file(dir / "format", "cleave-store 2\n");
  EXPECT_THAT(message_of(Store::open(dir.path(), StoreMode::read)),
              HasSubstr("the store is of version 2"));
}

// Every prefix of what making a store does, as a crash leaves it.
TEST(StoreOpen, AHalfMadeStoreIsMadeAnew) {
  const TempDir whole;
  ASSERT_TRUE(ok(Store::open(whole.path(), StoreMode::create)));
  const std::vector<std::function<void(const fs::path&)>> steps = {
      [](const fs::path& to) { fs::create_directory(to); },
      [](const fs::path& to) { write_file(to / "writers.lock", ""); },
      [](const fs::path& to) { write_file(to / "readers.lock", ""); },
      [](const fs::path& to) { fs::create_directory(to / "packs"); },
      [](const fs::path& to) { fs::create_directory(to / "index"); },
      [](const fs::path& to) { write_file(to / "index/lock.mdb", ""); },
      [](const fs::path& to) { write_file(to / "index/data.mdb", ""); },
      [&](const fs::path& to) {
        fs::copy_file(whole / "index/data.mdb", to / "index/data.mdb",
                      fs::copy_options::overwrite_existing);
      },
      [](const fs::path& to) { write_file(to / ".format.cleave-0123456789abcdef", "cleave-st"); }};
  for (std::size_t done = 1; done <= steps.size(); ++done) {
    const TempDir dir;
    for (std::size_t i = 0; i < done; ++i) steps[i](dir / "store");
    EXPECT_TRUE(fails_with(Store::open(dir / "store", StoreMode::read), StoreError::no_store));
    EXPECT_TRUE(fails_with(Store::open(dir / "store", StoreMode::write), StoreError::no_store));
    const auto store = Store::open(dir / "store", StoreMode::create);
    ASSERT_TRUE(ok(store)) << done << " steps";
    ASSERT_TRUE(ok(add_text(*store, "a", "text")));
    EXPECT_EQ(get_text(**store, "a").value(), "text");
  }
}

TEST(StoreOpen, ALostIndexIsDamageAndIsNotMadeAnew) {
  const TempDir dir;
  ASSERT_TRUE(ok(add_text(open_store(dir.path()), "a", "text")));
  fs::remove(dir / "index/data.mdb");
  for (const StoreMode mode : kAllModes) {
    EXPECT_TRUE(fails_with(Store::open(dir.path(), mode), StoreError::index_damaged));
  }
  write_file(dir / "index/data.mdb", "");
  for (const StoreMode mode : kAllModes) {
    EXPECT_TRUE(fails_with(Store::open(dir.path(), mode), StoreError::index_damaged));
  }
}

TEST(StoreOpen, AFolderThatMayNotBeWritten) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  const TempDir dir;
  fs::permissions(dir.path(), fs::perms(0500));
  EXPECT_TRUE(fails_with(Store::open(dir / "store", StoreMode::create), IoError::io_error));
  fs::permissions(dir.path(), fs::perms(0700));
}

TEST(StoreOpen, ManyThreadsMakeOneStore) {
  constexpr int kThreads = 8;
  for (int round = 0; round < 30; ++round) {
    const TempDir dir;
    std::latch start(kThreads);
    std::vector<std::string> problems(kThreads);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
          start.arrive_and_wait();
          const auto store = Store::open(dir / "deep/store", StoreMode::create);
          if (!store) problems[static_cast<std::size_t>(i)] = message_of(store);
        });
      }
    }
    for (const std::string& problem : problems) ASSERT_EQ(problem, "");
    EXPECT_TRUE(open_store(dir / "deep/store")->list().value().empty());
  }
}

TEST(Store, FindsListsAndRemoves) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  for (const char* name : {"b", "a", "c"}) ASSERT_TRUE(ok(add_text(store, name, name)));
  std::vector<std::string> names;
  for (const Artifact& artifact : test::artifacts_of(*store)) names.push_back(artifact.name);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(store->find("b")->size, 1u);
  EXPECT_TRUE(ok(store->remove("b")));
  EXPECT_TRUE(fails_with(store->remove("b"), StoreError::no_such_artifact));
  EXPECT_TRUE(fails_with(store->find("b"), StoreError::no_such_artifact));
  EXPECT_EQ(store->list()->size(), 2u);
}

TEST(Store, InvalidNamesAreUsageErrors) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  for (const std::string name : {"", ".", "..", "a\nb", "\xff"}) {
    EXPECT_TRUE(fails_with(store->find(name), StoreError::invalid_name));
    EXPECT_TRUE(fails_with(store->remove(name), StoreError::invalid_name));
    EXPECT_TRUE(fails_with(add_text(store, name, "text"), StoreError::invalid_name));
  }
  EXPECT_TRUE(fails_with(store->find(std::string(256, 'x')), StoreError::invalid_name));
  EXPECT_TRUE(store->list()->empty());
}

TEST(Store, WritingWaitsForNoReader) {
  const TempDir dir;
  const auto store = open_store(dir.path());
  ASSERT_TRUE(ok(add_text(store, "a", "one")));
  const IndexTransaction reader = store->index().begin_read().value();
  ASSERT_TRUE(ok(add_text(store, "b", "two")));
  EXPECT_EQ(store->list()->size(), 2u);
}

class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Environment() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(Store, DefaultPath) {
  const Environment home("HOME", "/home/somebody");
  {
    const Environment store("CLEAVE_STORE", "/a/store");
    const Environment data("XDG_DATA_HOME", "/data");
    EXPECT_EQ(default_store_path(), "/a/store");
  }
  const Environment store("CLEAVE_STORE", nullptr);
  {
    const Environment data("XDG_DATA_HOME", "/data");
    EXPECT_EQ(default_store_path(), "/data/cleave");
  }
  const Environment data("XDG_DATA_HOME", nullptr);
  EXPECT_EQ(default_store_path(), "/home/somebody/.local/share/cleave");
}

}  // namespace
}  // namespace cleave
