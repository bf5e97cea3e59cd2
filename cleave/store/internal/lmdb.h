// LMDB behind a C++ face: ordered byte strings in named tables, transactions, one writer at a time
// over all processes, readers that see a snapshot and never wait.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include <lmdb.h>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/mapped_file.h"
#include "cleave/store/format.h"
#include "cleave/store/internal/index_pages.h"

namespace cleave {

// A key and its value; valid until the next change of the table or the end of the transaction.
struct IndexRow {
  ByteSpan key;
  ByteSpan value;
};

class IndexEnvironment;

// A transaction. Rolled back when it is dropped without commit(). Belongs to one thread at a time.
// Every function returns index_damaged, and does not crash, when the file does not hold what LMDB
// wrote there; after that the environment is of no more use to this process.
class IndexTransaction {
 public:
  IndexTransaction(IndexTransaction&& other) noexcept
      : environment_(std::move(other.environment_)),
        txn_(std::exchange(other.txn_, nullptr)),
        snapshot_(other.snapshot_),
        checked_tables_(other.checked_tables_) {}
  IndexTransaction& operator=(IndexTransaction&&) = delete;
  ~IndexTransaction();

  Result<std::optional<ByteSpan>> get(Table table, ByteSpan key) const;
  Result<> put(Table table, ByteSpan key, ByteSpan value);
  // False when there was nothing to remove.
  Result<bool> remove(Table table, ByteSpan key);
  Result<> commit();
  // Whether every page of the file is as LMDB wrote it, as of the beginning of this transaction.
  bool every_page_is_sound() const;

 private:
  friend class IndexEnvironment;
  friend class IndexCursor;
  Result<> check_path(Table table, ByteSpan key, const char* name) const;
  Result<> check_table(Table table, const char* name) const;
  IndexTransaction(std::shared_ptr<IndexEnvironment> environment, MDB_txn* txn)
      : environment_(std::move(environment)), txn_(txn) {}

  std::shared_ptr<IndexEnvironment> environment_;
  MDB_txn* txn_;
  IndexPages::Snapshot snapshot_;  // at the beginning
  mutable std::array<bool, IndexPages::kTables> checked_tables_ = {};
};

// Walks a table in key order. Must not outlive its transaction.
class IndexCursor {
 public:
  static Result<IndexCursor> open(const IndexTransaction& transaction, Table table);
  IndexCursor(IndexCursor&& other) noexcept
      : environment_(other.environment_), cursor_(std::exchange(other.cursor_, nullptr)) {}
  IndexCursor& operator=(IndexCursor&&) = delete;
  ~IndexCursor();

  // The first row with a key >= `key`; nothing when there is none.
  Result<std::optional<IndexRow>> seek(ByteSpan key);
  Result<std::optional<IndexRow>> next();

 private:
  IndexCursor(IndexEnvironment* environment, MDB_cursor* cursor)
      : environment_(environment), cursor_(cursor) {}
  Result<std::optional<IndexRow>> move(ByteSpan key, MDB_cursor_op operation);

  IndexEnvironment* environment_;
  MDB_cursor* cursor_;
};

enum class IndexMode : std::uint8_t { read_only, read_write, create };

// An open index. LMDB must not be opened twice in a process: open() shares what is open already.
class IndexEnvironment : public std::enable_shared_from_this<IndexEnvironment> {
 public:
  // `directory` exists. Only `create` makes an index where none is: in any other mode a missing one
  // is damage.
  static Result<std::shared_ptr<IndexEnvironment>> open(const std::filesystem::path& directory,
                                                        IndexMode mode);
  ~IndexEnvironment();
  IndexEnvironment(const IndexEnvironment&) = delete;
  IndexEnvironment& operator=(const IndexEnvironment&) = delete;

  Result<IndexTransaction> begin_read();
  // Waits for the writer of any process.
  Result<IndexTransaction> begin_write();

 private:
  friend class IndexTransaction;
  friend class IndexCursor;
  explicit IndexEnvironment(std::filesystem::path directory) : directory_(std::move(directory)) {}

  Result<> start(IndexMode mode);
  int open_files(IndexMode mode);
  Result<bool> open_tables(unsigned txn_flags, unsigned table_flags);
  Result<IndexTransaction> begin(unsigned flags);
  Error failed(int code, const char* call) const;
  Error damaged(const char* what) const;
  // Calls f, which returns an LMDB code, unless the index is known to be damaged.
  template <class F>
  Result<int> call(const char* name, F f);
  // Fails, now and ever after, unless check(pages) finds nothing wrong.
  template <class F>
  Result<> check(const char* name, F check);

  static constexpr std::size_t kTables = IndexPages::kTables;
  std::filesystem::path directory_;
  MDB_env* env_ = nullptr;
  MDB_dbi tables_[kTables] = {};
  std::optional<MappingGuard> guard_;
  std::optional<IndexPages> pages_;
  std::atomic<bool> broken_ = false;
};

}  // namespace cleave
