// NarSource: the Nix archive of a file, folder or symlink, made while it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <dirent.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/file.h"
#include "cleave/base/io.h"
#include "cleave/nar/nar_error.h"

namespace cleave {

struct NarCounts {
  std::uint64_t files = 0;
  std::uint64_t directories = 0;
  std::uint64_t symlinks = 0;
};

// The bytes are those of `nix-store --dump`: of everything a filesystem knows, the tree of names,
// contents, symlink targets, and for each file whether its owner may execute it. Symlinks are never
// followed, not even the path itself.
//
// Errors: unsupported_file_type for a FIFO, device or socket, file_changed for a file that grew or
// shrank while it was read, io_error for what cannot be read, NarError::too_deep, invalid_name or
// invalid_target for what readers of the format would refuse; each names the path. Files that
// change without changing their size, and names that appear after their folder was listed, are not
// noticed.
class NarSource final : public ByteSource {
 public:
  static Result<NarSource> open(const std::filesystem::path& path);

  // Fills all of `into`, except at the end of the archive. Contents are read right into it, so it
  // should be large. After an error every call returns the same error.
  Result<std::size_t> read(MutableByteSpan into) override;

  // What was begun so far.
  const NarCounts& counts() const { return counts_; }

 private:
  struct Entry {
    std::uint32_t name_begin;
    std::uint16_t name_size;
    unsigned char type;  // DT_REG …, DT_UNKNOWN where the filesystem does not say
  };
  struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  struct Directory {
    std::unique_ptr<DIR, CloseDirectory> handle;
    std::string names;  // each with a NUL behind it
    std::vector<Entry> entries;
    std::size_t next = 0;
    std::size_t path_size = 0;
  };

  NarSource();
  Result<> fill(MutableByteSpan into, std::size_t& done);
  Result<> next_entry();
  Result<> begin_entry(int directory, const char* name, unsigned char type);
  Result<> begin_file(int directory, const char* name);
  Result<> begin_symlink(int directory, const char* name);
  Result<> begin_directory(int directory, const char* name);
  Result<> list(Directory& directory);
  Result<std::size_t> read_contents(MutableByteSpan into);
  Error system_error(std::string_view call, int number) const;
  void put(std::string_view string);
  void end_object();

  std::string path_;                    // of the entry at hand, from the root's path on
  std::vector<Directory> directories_;  // open ones are the first depth_; the rest is spare memory
  std::size_t depth_ = 0;

  std::string tokens_;  // what comes before the contents of file_
  std::size_t tokens_taken_ = 0;
  FileDescriptor file_;
  std::uint64_t file_size_ = 0;
  std::uint64_t file_rest_ = 0;

  NarCounts counts_;
  std::optional<Error> failed_;
};

}  // namespace cleave
