// Chunks of many inputs at once.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/executor.h"
#include "cleave/chunk/chunker.h"
#include "cleave/observe/progress.h"

namespace cleave {

// The chunks of each buffer, as describe_chunks() gives them, in the order of the buffers.
std::vector<std::vector<ChunkDescriptor>> describe_batch(Executor& executor, const FastCdc& fastcdc,
                                                         HashAlgorithm algorithm,
                                                         std::span<const ByteSpan> buffers);

// The chunks of each regular file, in the order of the paths; a file that cannot be read, or is
// written to meanwhile, has its error in its place and does not hinder the others. Small files are
// read side by side, one by each thread, large ones one after another by all. Memory: some MiB a
// thread. `progress` counts bytes, of the sizes the files had at the start; when it is told to
// stop, the files that are not done have IoError::interrupted.
std::vector<Result<std::vector<ChunkDescriptor>>> describe_files(
    Executor& executor, const ChunkingOptions& chunking, HashAlgorithm algorithm,
    std::span<const std::filesystem::path> paths, Progress& progress);

}  // namespace cleave
