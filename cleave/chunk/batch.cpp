#include "cleave/chunk/batch.h"

#include <new>

#include "cleave/base/file.h"
#include "cleave/base/internal/fail.h"
#include "cleave/chunk/chunk_pipeline.h"

namespace cleave {

namespace {

// From here on a file is worth all threads.
constexpr std::uint64_t kLargeFile = std::uint64_t{32} << 20;

Result<std::vector<ChunkDescriptor>> try_to_describe(const PipelineOptions& options,
                                                     const std::filesystem::path& path) {
  FileSource file = CLEAVE_TRY(FileSource::open(path));
  ChunkPipeline pipeline = CLEAVE_TRY(PipelineBuilder(options).build());
  std::vector<ChunkDescriptor> chunks;
  CLEAVE_TRY(pipeline.run(file, [&](const ProcessedChunk& item) -> Result<> {
    chunks.push_back(describe(item));
    return {};
  }));
  CLEAVE_TRY(file.check_unchanged());
  return chunks;
}

// An executor's work must not throw.
Result<std::vector<ChunkDescriptor>> describe_file(const PipelineOptions& options,
                                                   const std::filesystem::path& path) {
  try {
    return try_to_describe(options, path);
  } catch (const std::bad_alloc&) {
    return fail(IoError::out_of_memory);
  }
}

}  // namespace

std::vector<std::vector<ChunkDescriptor>> describe_batch(Executor& executor, const FastCdc& fastcdc,
                                                         HashAlgorithm algorithm,
                                                         std::span<const ByteSpan> buffers) {
  std::vector<std::vector<ChunkDescriptor>> results(buffers.size());
  executor.run(buffers.size(), [&](std::size_t i) {
    results[i] = describe_chunks(executor, fastcdc, algorithm, buffers[i]);
  });
  return results;
}

std::vector<Result<std::vector<ChunkDescriptor>>> describe_files(
    Executor& executor, const ChunkingOptions& chunking, HashAlgorithm algorithm,
    std::span<const std::filesystem::path> paths, Progress& progress) {
  std::vector<Result<std::vector<ChunkDescriptor>>> results(paths.size());
  PipelineOptions options = {.chunking = chunking, .algorithm = algorithm, .progress = &progress};
  std::vector<std::size_t> small;
  std::vector<std::size_t> large;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    // What cannot be looked at will say why when it is opened.
    const auto info = file_info(paths[i], FollowSymlinks::yes);
    const std::uint64_t size = info && info->type == FileType::regular ? info->size : 0;
    (size < kLargeFile ? small : large).push_back(i);
    total += size;
  }
  progress.total = total;
  executor.run(small.size(), [&](std::size_t i) {
    const auto alone = make_inline_executor();
    PipelineOptions own = options;
    own.executor = alone.get();
    results[small[i]] = describe_file(own, paths[small[i]]);
  });
  options.executor = &executor;
  for (const std::size_t i : large) results[i] = describe_file(options, paths[i]);
  return results;
}

}  // namespace cleave
