#include "cleave/store/internal/lmdb.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <sys/statvfs.h>
#include <vector>

#include "cleave/base/file.h"
#include "cleave/base/internal/fail.h"
#include "cleave/store/internal/file_lock.h"
#include "cleave/store/store_error.h"

namespace cleave {

namespace {

// Address space, not memory or disk: what the index may grow to. Room for some 700 million chunks.
constexpr std::size_t kMapSize = std::size_t{64} << 30;
constexpr unsigned kMaxReaders = 1024;
// What lock.mdb takes for so many readers.
constexpr std::size_t kLockFileSize = 256 + (kMaxReaders * std::size_t{64});

// Where IndexPages knows how pages look.
constexpr bool kPagesAreChecked = std::endian::native == std::endian::little &&
                                  sizeof(void*) == 8 && MDB_VERSION_MAJOR == 0 &&
                                  MDB_VERSION_MINOR == 9;

// What LMDB's assertions throw instead of ending the process; caught in call().
struct AssertionFailed {};

[[noreturn]] void on_assertion(MDB_env* /*env*/, const char* /*message*/) {
  throw AssertionFailed();
}

MDB_val to_val(ByteSpan bytes) { return {bytes.size(), const_cast<std::byte*>(bytes.data())}; }

ByteSpan to_span(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

// LMDB writes its lock file through a mapping, which on a full disk is a fault and not an error.
// Written ahead, a full disk is found here.
Result<> reserve_lock_file(const std::filesystem::path& directory) {
  // Or two that find it too short could both write, the later one over what LMDB has put there.
  const FileLock alone = CLEAVE_TRY(FileLock::acquire(directory, FileLock::Kind::exclusive));
  const std::filesystem::path path = directory / "lock.mdb";
  const FileDescriptor fd = CLEAVE_TRY(open_file(path, O_RDWR | O_CREAT));
  const FileInfo info = CLEAVE_TRY(file_info(fd.get(), path));
  if (info.size >= kLockFileSize) return {};
  const std::vector<std::byte> zeros(kLockFileSize - info.size);
  return write_all_at(fd.get(), zeros, info.size, path);
}

// Whether there is no room for more than LMDB writes at once, which is up to 64 pages.
bool is_full(const std::filesystem::path& directory) {
  struct statvfs space;
  if (::statvfs(directory.c_str(), &space) != 0) return false;
  constexpr std::uint64_t kOneWrite = std::uint64_t{1} << 20;
  return std::uint64_t{space.f_bavail} * space.f_frsize < kOneWrite;
}

// Where LMDB mapped `data_file`, which it does not tell; empty where the system does not either.
// The size tells it from a file with the same number on another disk.
ByteSpan find_map(const std::filesystem::path& data_file, std::size_t size) {
  const auto info = file_info(data_file, FollowSymlinks::yes);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; info && std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::uint64_t inode = 0;
    const int fields = std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %*s %*x %*s %" SCNu64,
                                   &begin, &end, &inode);
    // NOLINTNEXTLINE: the kernel gives addresses as text
    if (fields == 3 && inode == info->inode && end - begin == size)
      return {reinterpret_cast<std::byte*>(begin), size};
  }
  return {};
}

// What belongs to a damaged environment is never closed, which would walk it: it stays, known to be
// there, until the process ends.
void leave_alone(void* object) {
  static std::mutex mutex;
  static std::vector<void*>& objects = *new std::vector<void*>;
  const std::lock_guard lock(mutex);
  objects.push_back(object);
}

// The environments that are open in this process, by what their directory is.
using Identity = std::pair<std::uint64_t, std::uint64_t>;
std::mutex open_mutex;
std::map<Identity, std::weak_ptr<IndexEnvironment>>& open_environments() {
  static std::map<Identity, std::weak_ptr<IndexEnvironment>> environments;
  return environments;
}

}  // namespace

template <class F>
Result<int> IndexEnvironment::call(const char* name, F f) {
  if (broken_.load(std::memory_order_acquire)) return fail(damaged(name));
  int code = 0;
  try {
    code = f();
  } catch (const AssertionFailed&) {
    code = MDB_CORRUPTED;
  }
  // Not MDB_PANIC: what the file holds is sound, but a write to it has failed before.
  const bool bad = code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_CURSOR_FULL ||
                   guard_->damaged();
  if (bad) {
    broken_.store(true, std::memory_order_release);
    return fail(damaged(name));
  }
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND) return fail(failed(code, name));
  return code;
}

template <class F>
Result<> IndexEnvironment::check(const char* name, F check) {
  if (broken_.load(std::memory_order_acquire)) return fail(damaged(name));
  const bool sound = !pages_ || check(*pages_);
  if (sound && !guard_->damaged()) return {};
  broken_.store(true, std::memory_order_release);
  return fail(damaged(name));
}

Error IndexEnvironment::failed(int code, const char* call) const {
  // LMDB calls a write that does not fit an I/O error.
  if (code == ENOSPC || (code == EIO && is_full(directory_))) {
    return error(IoError::io_error, "{}, the disk is full; make room there and try again", call)
        .with_subject("path", directory_.native())
        .with_os_error(ENOSPC);
  }
  if (code == MDB_MAP_FULL) {
    return error(StoreError::index_full, "start another store")
        .with_limit(kMapSize)
        .with_subject("path", directory_.native());
  }
  const bool damaged = code == MDB_INVALID || code == MDB_VERSION_MISMATCH;
  return error(damaged ? StoreError::index_damaged : StoreError::index_failed, "{}: {}", call,
               mdb_strerror(code))
      .with_subject("path", directory_.native());
}

Error IndexEnvironment::damaged(const char* what) const {
  return error(StoreError::index_damaged, "found at {}; restore the index from a copy", what)
      .with_subject("path", directory_.native());
}

Result<std::shared_ptr<IndexEnvironment>> IndexEnvironment::open(
    const std::filesystem::path& directory, IndexMode mode) {
  const FileInfo info = CLEAVE_TRY(file_info(directory, FollowSymlinks::yes));
  const Identity identity(info.device, info.inode);
  const std::lock_guard lock(open_mutex);
  std::weak_ptr<IndexEnvironment>& known = open_environments()[identity];
  if (auto shared = known.lock()) return shared;
  std::shared_ptr<IndexEnvironment> made(new IndexEnvironment(directory));
  CLEAVE_TRY(made->start(mode));
  known = made;
  return made;
}

// Opens the environment's files; for reading, also where nothing may be written.
int IndexEnvironment::open_files(IndexMode mode) {
  const auto try_open = [&](unsigned flags) {
    mdb_env_close(env_);
    env_ = nullptr;
    if (const int code = mdb_env_create(&env_)) return code;
    mdb_env_set_mapsize(env_, kMapSize);
    mdb_env_set_maxreaders(env_, kMaxReaders);
    mdb_env_set_maxdbs(env_, kTables);
    mdb_env_set_assert(env_, on_assertion);
    return mdb_env_open(env_, directory_.c_str(), MDB_NOTLS | flags, 0666);
  };
  const auto refused = [](int code) { return code == EACCES || code == EROFS || code == EPERM; };
  int code = try_open(0);
  if (mode != IndexMode::read_only) return code;
  if (refused(code)) code = try_open(MDB_RDONLY);
  // Nobody who may write can see a reader that may not write the lock file.
  if (refused(code)) code = try_open(MDB_RDONLY | MDB_NOLOCK);
  return code;
}

Result<> IndexEnvironment::start(IndexMode mode) {
  const std::filesystem::path data_file = directory_ / "data.mdb";
  const auto data = file_info(data_file, FollowSymlinks::yes);
  const bool missing = !data || data->size == 0;
  // LMDB would start an empty index in place of one that was lost.
  if (missing && mode != IndexMode::create) return fail(damaged("open"));
  if (!missing && kPagesAreChecked && !IndexPages::begins_well(data_file)) {
    return fail(damaged("open"));
  }
  if (mode != IndexMode::read_only) CLEAVE_TRY(reserve_lock_file(directory_));
  if (const int code = open_files(mode)) return fail(failed(code, "open"));

  MDB_envinfo environment;
  mdb_env_info(env_, &environment);
  const ByteSpan map = find_map(data_file, environment.me_mapsize);
  guard_.emplace(map.data(), map.size());
  if (kPagesAreChecked && !map.empty()) pages_.emplace(map);
  int dead = 0;
  mdb_reader_check(env_, &dead);  // slots of readers that were killed
  if (CLEAVE_TRY(open_tables(MDB_RDONLY, 0))) return {};
  if (mode == IndexMode::create && CLEAVE_TRY(open_tables(0, MDB_CREATE))) return {};
  return fail(damaged("open"));
}

// False when a table is missing.
Result<bool> IndexEnvironment::open_tables(unsigned txn_flags, unsigned table_flags) {
  IndexTransaction txn = CLEAVE_TRY(begin(txn_flags));
  for (std::size_t i = 0; i < kTables; ++i) {
    const char* name = table_name(static_cast<Table>(i)).data();
    const int code = CLEAVE_TRY(
        call("open table", [&] { return mdb_dbi_open(txn.txn_, name, table_flags, &tables_[i]); }));
    if (code == MDB_NOTFOUND) return false;
  }
  CLEAVE_TRY(txn.commit());  // handles live on only after a commit
  return true;
}

IndexEnvironment::~IndexEnvironment() {
  if (env_ == nullptr) return;
  broken_ ? leave_alone(env_) : mdb_env_close(env_);
}

Result<IndexTransaction> IndexEnvironment::begin(unsigned flags) {
  const bool writes = (flags & MDB_RDONLY) == 0;
  for (int attempt = 1;; ++attempt) {
    MDB_txn* txn = nullptr;
    CLEAVE_TRY(call("begin", [&] { return mdb_txn_begin(env_, nullptr, flags, &txn); }));
    IndexTransaction made(shared_from_this(), txn);
    if (!pages_) return made;
    // A writer's own id is the next one.
    const auto found = pages_->read_snapshot(mdb_txn_id(txn) - (writes ? 1 : 0), made.snapshot_);
    // Commits may overtake a reader here, but hardly that often.
    const bool again = found == IndexPages::Found::overtaken && !writes && attempt < 1000;
    if (again && !guard_->damaged()) continue;
    const bool sound =
        found == IndexPages::Found::sound && (!writes || pages_->check_free_list(made.snapshot_));
    if (sound && !guard_->damaged()) return made;
    mdb_txn_abort(std::exchange(made.txn_, nullptr));  // or the next writer would wait for it
    broken_.store(true, std::memory_order_release);
    return fail(damaged("begin"));
  }
}

Result<IndexTransaction> IndexEnvironment::begin_read() { return begin(MDB_RDONLY); }

Result<IndexTransaction> IndexEnvironment::begin_write() { return begin(0); }

IndexTransaction::~IndexTransaction() {
  if (txn_ == nullptr) return;
  environment_->broken_ ? leave_alone(txn_) : mdb_txn_abort(txn_);
}

Result<std::optional<ByteSpan>> IndexTransaction::get(Table table, ByteSpan key) const {
  MDB_val key_val = to_val(key);
  MDB_val value = {};
  const MDB_dbi dbi = environment_->tables_[static_cast<std::size_t>(table)];
  CLEAVE_TRY(check_path(table, key, "get"));
  const int code =
      CLEAVE_TRY(environment_->call("get", [&] { return mdb_get(txn_, dbi, &key_val, &value); }));
  if (code == MDB_NOTFOUND) return std::nullopt;
  return to_span(value);
}

Result<> IndexTransaction::put(Table table, ByteSpan key, ByteSpan value) {
  MDB_val key_val = to_val(key);
  MDB_val value_val = to_val(value);
  const MDB_dbi dbi = environment_->tables_[static_cast<std::size_t>(table)];
  CLEAVE_TRY(check_path(table, key, "put"));
  CLEAVE_TRY(
      environment_->call("put", [&] { return mdb_put(txn_, dbi, &key_val, &value_val, 0); }));
  return {};
}

Result<bool> IndexTransaction::remove(Table table, ByteSpan key) {
  MDB_val key_val = to_val(key);
  const MDB_dbi dbi = environment_->tables_[static_cast<std::size_t>(table)];
  // What is removed may bring any pages of the table together.
  CLEAVE_TRY(check_table(table, "remove"));
  CLEAVE_TRY(check_path(table, key, "remove"));
  const int code = CLEAVE_TRY(
      environment_->call("remove", [&] { return mdb_del(txn_, dbi, &key_val, nullptr); }));
  return code == MDB_SUCCESS;
}

Result<> IndexTransaction::commit() {
  CLEAVE_TRY(
      environment_->call("commit", [&] { return mdb_txn_commit(std::exchange(txn_, nullptr)); }));
  return {};
}

Result<> IndexTransaction::check_path(Table table, ByteSpan key, const char* name) const {
  const IndexPages::Tree& tree = snapshot_.tables[static_cast<std::size_t>(table)];
  return environment_->check(
      name, [&](IndexPages& pages) { return pages.check_path(snapshot_, tree, key); });
}

Result<> IndexTransaction::check_table(Table table, const char* name) const {
  const auto i = static_cast<std::size_t>(table);
  if (checked_tables_[i]) return {};
  CLEAVE_TRY(environment_->check(
      name, [&](IndexPages& pages) { return pages.check_tree(snapshot_, snapshot_.tables[i]); }));
  checked_tables_[i] = true;
  return {};
}

bool IndexTransaction::every_page_is_sound() const {
  return !environment_->pages_ || environment_->pages_->check_all(snapshot_);
}

Result<IndexCursor> IndexCursor::open(const IndexTransaction& transaction, Table table) {
  CLEAVE_TRY(transaction.check_table(table, "walk"));
  IndexEnvironment& environment = *transaction.environment_;
  const MDB_dbi dbi = environment.tables_[static_cast<std::size_t>(table)];
  MDB_cursor* cursor = nullptr;
  CLEAVE_TRY(environment.call("open cursor",
                              [&] { return mdb_cursor_open(transaction.txn_, dbi, &cursor); }));
  return IndexCursor(&environment, cursor);
}

IndexCursor::~IndexCursor() {
  if (cursor_ == nullptr) return;
  environment_->broken_ ? leave_alone(cursor_) : mdb_cursor_close(cursor_);
}

Result<std::optional<IndexRow>> IndexCursor::move(ByteSpan key, MDB_cursor_op operation) {
  MDB_val key_val = to_val(key);
  MDB_val value = {};
  const int code = CLEAVE_TRY(environment_->call(
      "walk", [&] { return mdb_cursor_get(cursor_, &key_val, &value, operation); }));
  if (code == MDB_NOTFOUND) return std::nullopt;
  return IndexRow{to_span(key_val), to_span(value)};
}

Result<std::optional<IndexRow>> IndexCursor::seek(ByteSpan key) {
  return move(key, key.empty() ? MDB_FIRST : MDB_SET_RANGE);
}

Result<std::optional<IndexRow>> IndexCursor::next() { return move({}, MDB_NEXT); }

}  // namespace cleave
