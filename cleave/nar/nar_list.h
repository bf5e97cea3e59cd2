// What is in a NAR, without unpacking it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/file.h"
#include "cleave/base/io.h"

namespace cleave {

struct NarEntry {
  std::string path;  // "a/b/c"; empty for the root. Any bytes but NUL: escape() it to show it
  FileType type = FileType::other;
  bool executable = false;
  std::uint64_t size = 0;    // of a file's contents or a symlink's target
  std::uint64_t offset = 0;  // where these are in the NAR
  std::string target;        // of a symlink
};

// All entries in the order of the archive: a folder before what is in it, names in order of their
// bytes. The whole archive is checked; with a NAR in memory, the contents of files are not touched.
Result<std::vector<NarEntry>> list_nar(ByteSource& nar);
Result<std::vector<NarEntry>> list_nar(ByteSpan nar);

// Writes the contents of the file at `path` (slashes at its beginning do not matter; empty: the
// root) and stops reading behind them: what comes after is not checked.
// Errors: NarError::entry_not_found, not_a_file.
Result<> cat_nar(ByteSource& nar, std::string_view path, ByteSink& out);
Result<> cat_nar(ByteSpan nar, std::string_view path, ByteSink& out);

}  // namespace cleave
