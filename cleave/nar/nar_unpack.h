// NarUnpacker: makes the tree that a NAR describes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cleave/base/file.h"
#include "cleave/nar/nar_reader.h"

namespace cleave {

// Restores what a NarReader reads under a temporary name beside `target`, and gives it that name in
// commit(). Without a commit() the destructor removes all of it; only a killed process leaves the
// temporary tree behind (".NAME.cleave-…").
//
// Modes are what the umask leaves of 0777 for folders and executable files and of 0666 for others
// (`nix-store --restore` does the same, always with a umask of 022). Nothing is created outside of
// the tree: each name is made anew (O_EXCL) in the open folder it belongs to, and symlinks are
// created but never followed. Nothing is synced. Three system calls a file, when it is fed in one
// piece.
class NarUnpacker final : public NarVisitor {
 public:
  // IoError::output_exists when something is at `target`.
  static Result<NarUnpacker> create(const std::filesystem::path& target);
  NarUnpacker(NarUnpacker&&) = default;
  NarUnpacker& operator=(NarUnpacker&&) = delete;
  ~NarUnpacker() override;

  // To be called after NarReader::finish(). Replaces nothing: output_exists when something came to
  // be at the target meanwhile. (Where the filesystem cannot rename on that condition, there is an
  // instant in which it would be replaced.)
  Result<> commit();

  Result<> directory_begin(const NarDirectory& directory) override;
  Result<> directory_end() override;
  Result<> file_begin(const NarFile& file) override;
  Result<> file_contents(ByteSpan contents) override;
  Result<> file_end() override;
  Result<> symlink(const NarSymlink& symlink) override;

 private:
  class Name;

  NarUnpacker() = default;
  int folder() const;
  Result<Name> checked_name(std::string_view path, std::string_view name) const;
  Error system_error(std::string_view call, std::string_view path, int number) const;

  std::filesystem::path target_;
  std::string temporary_;  // name in parent_; empty when there is nothing to remove
  FileDescriptor parent_;
  std::vector<FileDescriptor> folders_;
  FileDescriptor file_;
  std::string file_path_;
  bool complete_ = false;
};

// Unpacks all of `nar` to `target`.
Result<> unpack_nar(ByteSource& nar, const std::filesystem::path& target);

}  // namespace cleave
