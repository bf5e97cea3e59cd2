#include "cleave/store/store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "cleave/base/file.h"
#include "cleave/base/internal/system.h"
#include "cleave/base/settings.h"
#include "cleave/store/internal/file_lock.h"
#include "cleave/store/internal/index.h"
#include "cleave/store/internal/pack_files.h"

namespace cleave {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatFile = "format";
constexpr std::string_view kFormatPrefix = "cleave-store ";
constexpr std::size_t kMaxFormatSize = 64;

Result<> make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0777) == 0 || errno == EEXIST) return {};
  return fail(system_error("create folder", path));
}

// Makes `path` and the folders above it, each durable in the one above.
Result<> make_directories(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (file_info(path, FollowSymlinks::yes)) {
    // Who made it may have been killed before syncing. Most often it is older, and not ours to
    // sync: so this may fail.
    static_cast<void>(sync_directory(parent));
    return {};
  }
  if (parent != path) CLEAVE_TRY(make_directories(parent));
  CLEAVE_TRY(make_directory(path));
  return sync_directory(parent);
}

Result<> make_empty_file(const fs::path& path) {
  CLEAVE_TRY(open_file(path, O_RDWR | O_CREAT));
  return {};
}

bool is_there(const fs::path& path) { return file_info(path, FollowSymlinks::no).has_value(); }

// Removes an index that was begun when the making of the store did not get to its end: with a part
// of it missing, LMDB would refuse it for ever. Where there are packs, it has been used.
Result<> begin_index_anew(const fs::path& store) {
  std::error_code problem;
  const bool unused = fs::is_empty(store / "packs", problem);
  if (problem || !unused) return {};
  for (const char* name : {"data.mdb", "lock.mdb"}) {
    const fs::path file = store / "index" / name;
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail(system_error("remove", file));
  }
  return {};
}

// Whether all that is in `path` could be from making a store that did not get to its end, or gets
// there right now.
bool only_beginnings(const fs::path& path) {
  constexpr std::array<std::string_view, 5> kOurs = {"writers.lock", "readers.lock", "packs",
                                                     "index", kFormatFile};
  std::error_code problem;
  for (fs::directory_iterator entry(path, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    const std::string name = entry->path().filename().native();
    const bool ours = std::ranges::find(kOurs, name) != kOurs.end() || name.starts_with(".format.");
    if (!ours) return false;
  }
  return !problem;
}

Error no_store(const fs::path& path) {
  return error(StoreError::no_store, "`cleave add` makes one").with_subject("path", path.native());
}

Error not_a_store(const fs::path& path) {
  return error(StoreError::not_a_store, "has no file \"format\"; name another with --store")
      .with_subject("path", path.native());
}

}  // namespace

Store::Store(fs::path path, const StoreLimits& limits)
    : path_(std::move(path)),
      limits_(limits),
      packs_(std::make_unique<PackFiles>(path_ / "packs")),
      writers_lock_(std::make_unique<LockFile>(path_ / "writers.lock")) {}

Store::~Store() = default;

void Store::set_on_wait(OnWait on_wait) { writers_lock_->on_wait = std::move(on_wait); }

Result<std::shared_ptr<Store>> Store::open(const fs::path& path, StoreMode mode,
                                           const StoreLimits& limits) {
  std::shared_ptr<Store> store(new Store(path, limits));
  const auto info = file_info(path, FollowSymlinks::yes);
  if (!info && info.error().os_error() != ENOENT) return fail(info.error());
  if (!info && mode != StoreMode::create) return fail(no_store(path));
  if (info && info->type != FileType::directory) return fail(not_a_store(path));

  if (!is_there(path / kFormatFile)) {
    if (info && !only_beginnings(path)) return fail(not_a_store(path));
    if (mode != StoreMode::create) return fail(no_store(path));
    CLEAVE_TRY(store->create());
  } else if (mode == StoreMode::create) {
    // Who made it may have been killed before syncing the name "format".
    CLEAVE_TRY(sync_directory(path));
  }
  CLEAVE_TRY(store->check_version());
  const IndexMode index_mode =
      mode == StoreMode::read ? IndexMode::read_only : IndexMode::read_write;
  store->index_ = CLEAVE_TRY(IndexEnvironment::open(path / "index", index_mode));
  return store;
}

// The file "format" comes last: without it there is no store yet, and making one begins anew.
Result<> Store::create() {
  CLEAVE_TRY(make_directories(path_));
  // The folder itself is the lock, not writers.lock: whoever was first may hold that for long.
  const FileLock alone = CLEAVE_TRY(FileLock::acquire(path_, FileLock::Kind::exclusive));
  if (is_there(path_ / kFormatFile)) return sync_directory(path_);  // someone else just made it
  CLEAVE_TRY(make_empty_file(writers_lock().path));
  CLEAVE_TRY(make_empty_file(readers_lock()));
  CLEAVE_TRY(make_directory(path_ / "packs"));
  CLEAVE_TRY(make_directory(path_ / "index"));
  CLEAVE_TRY(begin_index_anew(path_));
  {
    const auto index = CLEAVE_TRY(IndexEnvironment::open(path_ / "index", IndexMode::create));
    IndexTransaction txn = CLEAVE_TRY(index->begin_write());
    CLEAVE_TRY(start_numbers(txn));
    CLEAVE_TRY(txn.commit());
  }
  CLEAVE_TRY(sync_directory(path_ / "index"));
  CLEAVE_TRY(sync_directory(path_));

  OutputFile format = CLEAVE_TRY(OutputFile::create(path_ / kFormatFile, Overwrite::no));
  const std::string text = fmt::format("{}{}\n", kFormatPrefix, kStoreVersion);
  CLEAVE_TRY(format.write(as_byte_span(text)));
  CLEAVE_TRY(sync_data(format.fd(), path_ / kFormatFile));
  CLEAVE_TRY(format.commit());
  return sync_directory(path_);
}

Result<> Store::check_version() const {
  FileSource file = CLEAVE_TRY(FileSource::open(path_ / kFormatFile));
  std::array<std::byte, kMaxFormatSize> bytes;
  const std::size_t size = CLEAVE_TRY(read_full(file, bytes));
  const std::string_view text = as_text(ByteSpan(bytes).first(size));
  if (!text.starts_with(kFormatPrefix)) return fail(not_a_store(path_));
  if (text != fmt::format("{}{}\n", kFormatPrefix, kStoreVersion)) {
    const std::string_view version = text.substr(kFormatPrefix.size());
    return fail(error(StoreError::store_version_unsupported,
                      "this cleave reads version {}, the store is of version {}", kStoreVersion,
                      version.substr(0, version.find('\n')))
                    .with_subject("path", path_.native()));
  }
  return {};
}

Result<std::vector<Artifact>> Store::list() const {
  const IndexTransaction txn = CLEAVE_TRY(index_->begin_read());
  std::vector<Artifact> artifacts;
  CLEAVE_TRY(for_each_artifact(
      txn, [&](std::string_view name, const std::optional<Artifact>& artifact) -> Result<> {
        if (!artifact) return fail(damaged_record(Table::artifacts, as_byte_span(name)));
        artifacts.push_back(*artifact);
        return {};
      }));
  return artifacts;
}

Result<Artifact> Store::find(std::string_view name) const {
  CLEAVE_TRY(check_artifact_name(name));
  const IndexTransaction txn = CLEAVE_TRY(index_->begin_read());
  auto artifact = CLEAVE_TRY(find_artifact(txn, name));
  if (!artifact) {
    return fail(
        error(StoreError::no_such_artifact, "`cleave ls` lists them").with_subject("name", name));
  }
  return *std::move(artifact);
}

Result<> Store::remove(std::string_view name) {
  CLEAVE_TRY(check_artifact_name(name));
  IndexTransaction txn = CLEAVE_TRY(index_->begin_write());
  CLEAVE_TRY(remove_artifact(txn, name));
  return txn.commit();
}

fs::path default_store_path() {
  if (const std::string store = environment("CLEAVE_STORE"); !store.empty()) return store;
  if (const std::string data = environment("XDG_DATA_HOME"); !data.empty()) {
    return fs::path(data) / "cleave";
  }
  const std::string home = environment("HOME");
  return fs::path(home.empty() ? "." : home) / ".local/share/cleave";
}

}  // namespace cleave
