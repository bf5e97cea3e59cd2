// Whether a store is whole, after something happened to it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cleave/store/add.h"

namespace cleave::test {

// Artifacts: their names and bytes (a folder's: its NAR).
using Contents = std::map<std::string, std::string>;

// Chunks of one or two KiB, so that files of some KiB have several in common.
AddOptions medium_chunks();
inline const std::vector<std::string> kMediumChunks = {"--min", "512",   "--avg",
                                                       "2048",  "--max", "4096"};

std::string nar_of(const std::filesystem::path& folder);

// A folder in memory, if there is one. Without symlinks in its path.
std::filesystem::path memory_folder();

// Runs `check` in a child process, so that nothing it does to the store (LMDB's locks, a signal) is
// left in this one. Returns what it returned: a problem, or nothing.
std::string in_child(const std::function<std::string()>& check);

enum class MayBeUnmade : bool { no, yes };

// Nothing, if `store` verifies, holds exactly one of `allowed`, and goes on to work: an artifact is
// added, garbage collected, and it verifies again. Otherwise what is wrong. A store that may be
// unmade may be absent or half made, as long as the next to add finishes it.
std::string find_problem(const std::filesystem::path& store, const std::vector<Contents>& allowed,
                         MayBeUnmade may_be_unmade = MayBeUnmade::no);

}  // namespace cleave::test
