#include "cleave/store/add.h"

#include <array>
#include <chrono>
#include <unordered_set>
#include <utility>
#include <vector>

#include "cleave/base/file.h"
#include "cleave/base/internal/fail.h"
#include "cleave/base/pipeline.h"
#include "cleave/chunk/chunk_stream.h"
#include "cleave/hash/hash.h"
#include "cleave/nar/nar_source.h"
#include "cleave/observe/metrics.h"
#include "cleave/store/internal/committer.h"
#include "cleave/store/internal/file_lock.h"
#include "cleave/store/internal/index.h"

namespace cleave {

namespace {

SpanSite hash_span("add.hash");
SpanSite sha256_span("add.sha256");
SpanSite lookup_span("add.lookup");
SpanSite compress_span("add.compress");
SpanSite submit_span("add.submit");

// Chunks travel in groups of about this size, so that small ones cost no more than large ones.
constexpr std::size_t kGroupBytes = std::size_t{1} << 20;
// Groups on their way at once, for each thread.
constexpr std::size_t kGroupsPerThread = 3;
// What is handed to the committer at a time, unless one group is larger.
constexpr std::size_t kBatchBytes = std::size_t{4} << 20;

// The first bytes of every NAR: the string "nix-archive-1".
constexpr std::string_view kNarMagic("\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0", 24);

std::int64_t now() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count();
}

// Chunks on their way through the pipeline, and what became of them.
struct Group {
  std::vector<Chunk> chunks;
  std::vector<RecipeEntry> recipe;
  std::vector<PlacedChunk> new_chunks;  // their places are offsets in `records`
  Buffer records;
  Buffer compressed;

  void clear() {
    chunks.clear();
    recipe.clear();
    new_chunks.clear();
    records.clear();
  }
};

}  // namespace

class Adder::Session {
 public:
  Session(std::shared_ptr<Store> store, FileLock lock, Executor& executor, Progress& progress,
          const AddOptions& options, const FastCdc& fastcdc, OnResult on_result)
      : store_(std::move(store)),
        lock_(std::move(lock)),
        executor_(executor),
        progress_(progress),
        options_(options),
        fastcdc_(fastcdc),
        groups_(kGroupsPerThread * executor.concurrency()),
        committer_(*store_, std::move(on_result)) {}

  Result<> check_name(const std::string& name) const;
  // Runs `source` through the pipeline; `last_check` decides in the end whether it may be stored.
  Result<> add(ByteSource& source, const std::string& name, ArtifactKind kind,
               FunctionRef<Result<>()> last_check);
  Result<> finish() { return committer_.finish(); }

 private:
  Result<> run(ByteSource& source);
  static Result<bool> take(ChunkStream& stream, Group& group);
  void hash_whole(const Group& group);
  Result<> look_up(Group& group);
  void claim(Group& group);
  Result<> compress_new(Group& group);
  Result<> compress(const Chunk& chunk, const Digest& id, Group& group);
  Result<> collect(const Group& group);

  std::shared_ptr<Store> store_;
  FileLock lock_;
  Executor& executor_;
  Progress& progress_;
  AddOptions options_;
  FastCdc fastcdc_;
  std::unordered_set<Digest, DigestHash> claimed_;  // the chunks this session stores itself
  std::vector<Group> groups_;
  Sha256 sha256_;

  // Of the artifact at hand; the serial stages have them for themselves.
  bool wants_sha256_ = false;
  Artifact artifact_;
  RecipeDigest recipe_digest_;
  std::vector<RecipeEntry> recipe_;
  Batch batch_;

  Committer committer_;  // last: its thread ends first
};

Result<> Adder::Session::check_name(const std::string& name) const {
  CLEAVE_TRY(check_artifact_name(name));
  if (options_.replace) return {};
  const IndexTransaction txn = CLEAVE_TRY(store_->index().begin_read());
  if (!CLEAVE_TRY(find_artifact(txn, name))) return {};
  return fail(name_exists(name));
}

Result<> Adder::Session::add(ByteSource& source, const std::string& name, ArtifactKind kind,
                             FunctionRef<Result<>()> last_check) {
  artifact_ = {};
  artifact_.name = name;
  artifact_.kind = kind;
  artifact_.format = kind == ArtifactKind::folder ? ArtifactFormat::nar : ArtifactFormat::raw;
  artifact_.chunking = options_.chunking;
  wants_sha256_ = options_.sha256 || artifact_.format == ArtifactFormat::nar;
  recipe_digest_ = {};
  recipe_.clear();
  batch_ = committer_.take_empty();
  batch_.first_of_artifact = true;
  sha256_ = {};

  Result<> done = run(source);
  if (done) done = last_check();
  if (!done) {
    // What was claimed may not have come to be stored.
    claimed_.clear();
    return done;
  }
  artifact_.digest = recipe_digest_.digest();
  if (wants_sha256_) artifact_.sha256 = sha256_.finish();
  artifact_.chunks = recipe_.size();
  artifact_.added = now();
  batch_.artifact = FinishedArtifact{std::move(artifact_), std::move(recipe_), options_.replace};
  return committer_.submit(std::move(batch_));
}

Result<> Adder::Session::run(ByteSource& source) {
  ChunkStream stream(source, fastcdc_);
  const auto from_stream = [&](Group& group) -> Result<bool> {
    CLEAVE_TRY(progress_.check());
    return take(stream, group);
  };
  const auto whole = [&](Group& group) -> Result<> {
    hash_whole(group);
    return {};
  };
  const auto known = [&](Group& group) { return look_up(group); };
  const auto claimed = [&](Group& group) -> Result<> {
    claim(group);
    return {};
  };
  const auto compressed = [&](Group& group) { return compress_new(group); };
  const auto in_order = [&](Group& group) { return collect(group); };
  const std::array<Stage<Group>, 5> stages = {{{StageOrder::serial, whole},
                                               {StageOrder::parallel, known},
                                               {StageOrder::serial, claimed},
                                               {StageOrder::parallel, compressed},
                                               {StageOrder::serial, in_order}}};
  const Result<> done = run_pipeline<Group>(executor_, groups_, from_stream, stages);
  for (Group& group : groups_) group.clear();  // lets go of the stream's memory
  return done;
}

Result<bool> Adder::Session::take(ChunkStream& stream, Group& group) {
  group.clear();
  std::size_t size = 0;
  while (size < kGroupBytes) {
    auto chunk = CLEAVE_TRY(stream.next());
    if (!chunk) break;
    size += chunk->payload.size();
    group.chunks.push_back(*std::move(chunk));
  }
  return size > 0;
}

void Adder::Session::hash_whole(const Group& group) {
  const Chunk& first = group.chunks.front();
  if (first.offset == 0 && as_text(first.payload.span()).starts_with(kNarMagic)) {
    artifact_.format = ArtifactFormat::nar;
    wants_sha256_ = true;
  }
  if (!wants_sha256_) return;
  Span span(sha256_span);
  for (const Chunk& chunk : group.chunks) {
    sha256_.update(chunk.payload);
    span.add_bytes(chunk.payload.size());
  }
}

// Chunks stay marked by their slot in the recipe: those that are known lose their payload.
Result<> Adder::Session::look_up(Group& group) {
  for (const Chunk& chunk : group.chunks) {
    Span span(hash_span, chunk.payload.size());
    const auto size = static_cast<std::uint32_t>(chunk.payload.size());
    group.recipe.push_back({blake3(chunk.payload), size});
  }
  Span span(lookup_span);
  const IndexTransaction txn = CLEAVE_TRY(store_->index().begin_read());
  for (std::size_t i = 0; i < group.chunks.size(); ++i) {
    if (CLEAVE_TRY(find_chunk(txn, group.recipe[i].id))) group.chunks[i].payload = {};
  }
  return {};
}

// In order, so that of equal chunks it is always the first that gets stored.
void Adder::Session::claim(Group& group) {
  for (std::size_t i = 0; i < group.chunks.size(); ++i) {
    Bytes& payload = group.chunks[i].payload;
    if (!payload.empty() && !claimed_.insert(group.recipe[i].id).second) payload = {};
  }
}

Result<> Adder::Session::compress_new(Group& group) {
  for (std::size_t i = 0; i < group.chunks.size(); ++i) {
    const Chunk& chunk = group.chunks[i];
    if (!chunk.payload.empty()) CLEAVE_TRY(compress(chunk, group.recipe[i].id, group));
  }
  return {};
}

Result<> Adder::Session::compress(const Chunk& chunk, const Digest& id, Group& group) {
  Span span(compress_span, chunk.payload.size());
  CLEAVE_TRY(zstd_compress_into(chunk.payload, options_.zstd_level, group.compressed));
  const bool smaller = group.compressed.size() < chunk.payload.size();
  const ByteSpan payload = smaller ? group.compressed.span() : chunk.payload.span();
  ChunkPlace place;
  place.offset = group.records.size();
  place.stored_size = static_cast<std::uint32_t>(payload.size());
  place.size = static_cast<std::uint32_t>(chunk.payload.size());
  place.stored_as = smaller ? StoredAs::zstd : StoredAs::raw;
  append_record_header({id, place.stored_as, place.stored_size, place.size,
                        payload_check(id, place.stored_as, payload)},
                       group.records);
  group.records.append(payload);
  group.new_chunks.push_back({id, place});
  return {};
}

Result<> Adder::Session::collect(const Group& group) {
  Span span(submit_span);
  for (const RecipeEntry& entry : group.recipe) {
    recipe_digest_.add(entry);
    artifact_.size += entry.size;
    progress_.advance(entry.size);
  }
  recipe_.insert(recipe_.end(), group.recipe.begin(), group.recipe.end());
  // Before it would grow, so that a batch is no larger than it has to be.
  if (!batch_.records.empty() && batch_.records.size() + group.records.size() > kBatchBytes) {
    CLEAVE_TRY(committer_.submit(std::move(batch_)));
    batch_ = committer_.take_empty();
  }
  for (PlacedChunk chunk : group.new_chunks) {
    chunk.place.offset += batch_.records.size();
    batch_.chunks.push_back(chunk);
  }
  batch_.records.append(group.records.span());
  return {};
}

Adder::Adder(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Adder::~Adder() = default;

Result<std::unique_ptr<Adder>> Adder::start(std::shared_ptr<Store> store, Executor& executor,
                                            Progress& progress, const AddOptions& options,
                                            OnResult on_result) {
  const FastCdc fastcdc = CLEAVE_TRY(FastCdc::create(options.chunking));
  FileLock lock = CLEAVE_TRY(FileLock::acquire(store->writers_lock(), FileLock::Kind::shared));
  auto session = std::make_unique<Session>(std::move(store), std::move(lock), executor, progress,
                                           options, fastcdc, std::move(on_result));
  return std::unique_ptr<Adder>(new Adder(std::move(session)));
}

Result<> Adder::add_path(const std::filesystem::path& path, const std::string& name) {
  CLEAVE_TRY(session_->check_name(name));
  const FileInfo info = CLEAVE_TRY(file_info(path, FollowSymlinks::yes));
  if (info.type == FileType::directory) {
    // The slash makes it the folder behind a symlink.
    NarSource nar = CLEAVE_TRY(NarSource::open(path / ""));
    return session_->add(nar, name, ArtifactKind::folder, [] { return Result<>(); });
  }
  FileSource file = CLEAVE_TRY(FileSource::open(path));
  return session_->add(file, name, ArtifactKind::file, [&] { return file.check_unchanged(); });
}

Result<> Adder::add_stream(ByteSource& source, const std::string& name) {
  CLEAVE_TRY(session_->check_name(name));
  return session_->add(source, name, ArtifactKind::file, [] { return Result<>(); });
}

Result<> Adder::finish() { return session_->finish(); }

std::string default_artifact_name(const std::filesystem::path& path) {
  std::error_code problem;  // the working folder is gone: the path as it stands must do
  const std::filesystem::path absolute = std::filesystem::absolute(path, problem);
  const std::filesystem::path whole = (problem ? path : absolute).lexically_normal();
  return whole.has_filename() ? whole.filename() : whole.parent_path().filename();
}

}  // namespace cleave
