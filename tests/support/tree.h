// Trees of files for tests: random ones, and whether two are equal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace cleave::test {

// Writes a file, with the folders on its way.
void make_file(const std::filesystem::path& path, std::string_view contents,
               bool executable = false);

using Rng = std::mt19937_64;
// A number in [0, limit).
std::size_t below(Rng& rng, std::size_t limit);
// Bytes that do not compress.
std::string random_text(Rng& rng, std::size_t size);

struct TreeOptions {
  std::size_t max_entries = 6;  // of a folder
  std::size_t max_depth = 4;
  std::size_t max_file_size = 3000;
  // Names with spaces, newlines, bytes that are not UTF-8, and of 255 bytes.
  bool odd_names = true;
};

// Makes a folder at `path` with files (empty ones and executable ones too), folders (empty ones
// too) and symlinks (most of them to nowhere). The same tree for the same state of `rng`.
void random_tree(Rng& rng, const std::filesystem::path& path, const TreeOptions& options = {});

// Equal in types, names, contents, symlink targets, and who may execute what.
testing::AssertionResult trees_equal(const std::filesystem::path& left,
                                     const std::filesystem::path& right);

}  // namespace cleave::test
