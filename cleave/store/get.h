// Getting artifacts back. Every chunk is checked against its id before a byte of it goes out.
#pragma once

#include <filesystem>

#include "cleave/base/error.h"
#include "cleave/base/executor.h"
#include "cleave/base/file.h"
#include "cleave/base/io.h"
#include "cleave/observe/progress.h"
#include "cleave/store/store.h"

namespace cleave {

// Each names what is damaged (pack_damaged, index_damaged, chunk_missing) and leaves nothing
// half-written, except what a sink has taken already.

// Writes the artifact's bytes, in order; a folder's are its NAR.
Result<> write_artifact(const Store& store, Executor& executor, const Artifact& artifact,
                        ByteSink& sink, Progress& progress);

// Writes the artifact's bytes to a new file.
Result<> restore_file(const Store& store, Executor& executor, const Artifact& artifact,
                      const std::filesystem::path& path, Overwrite overwrite, Progress& progress);

// Unpacks an artifact whose format is NAR to `path`, which must not exist.
Result<> restore_folder(const Store& store, Executor& executor, const Artifact& artifact,
                        const std::filesystem::path& path, Progress& progress);

}  // namespace cleave
