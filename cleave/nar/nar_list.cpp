#include "cleave/nar/nar_list.h"

#include <algorithm>
#include <utility>

#include "cleave/base/internal/fail.h"
#include "cleave/nar/nar_reader.h"

namespace cleave {

namespace {

class Lister final : public NarVisitor {
 public:
  Result<> directory_begin(const NarDirectory& directory) override {
    add(directory.path, FileType::directory);
    return {};
  }
  Result<> file_begin(const NarFile& file) override {
    NarEntry& entry = add(file.path, FileType::regular);
    entry.executable = file.executable;
    entry.size = file.size;
    entry.offset = file.offset;
    return {};
  }
  Result<> symlink(const NarSymlink& symlink) override {
    NarEntry& entry = add(symlink.path, FileType::symlink);
    entry.size = symlink.target.size();
    entry.offset = symlink.offset;
    entry.target = symlink.target;
    return {};
  }

  std::vector<NarEntry> entries;

 private:
  NarEntry& add(std::string_view path, FileType type) {
    NarEntry& entry = entries.emplace_back();
    entry.path = path;
    entry.type = type;
    return entry;
  }
};

class Cat final : public NarVisitor {
 public:
  Cat(std::string_view path, ByteSink& out) : path_(path), out_(out) {}

  Result<> directory_begin(const NarDirectory& directory) override {
    return directory.path == path_ ? not_a_file("folder") : Result<>();
  }
  Result<> file_begin(const NarFile& file) override {
    found_ = file.path == path_;
    return {};
  }
  Result<> file_contents(ByteSpan contents) override {
    return found_ ? out_.write(contents) : Result<>();
  }
  Result<> file_end() override {
    written_ = found_;
    return {};
  }
  Result<> symlink(const NarSymlink& symlink) override {
    return symlink.path == path_ ? not_a_file("symlink") : Result<>();
  }
  bool has_enough() const override { return written_; }

  Result<> result() const {
    if (written_) return {};
    return fail(error(NarError::entry_not_found).with_subject("entry", path_));
  }

 private:
  Result<> not_a_file(std::string_view what) const {
    return fail(error(NarError::not_a_file, "a {}", what).with_subject("entry", path_));
  }

  std::string_view path_;
  ByteSink& out_;
  bool found_ = false;
  bool written_ = false;
};

template <class Nar>
Result<std::vector<NarEntry>> list(Nar& nar) {
  Lister lister;
  CLEAVE_TRY(read_nar(nar, lister));
  return std::move(lister.entries);
}

template <class Nar>
Result<> cat(Nar& nar, std::string_view path, ByteSink& out) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  Cat visitor(path, out);
  CLEAVE_TRY(read_nar(nar, visitor));
  return visitor.result();
}

}  // namespace

Result<std::vector<NarEntry>> list_nar(ByteSource& nar) { return list(nar); }
Result<std::vector<NarEntry>> list_nar(ByteSpan nar) { return list(nar); }

Result<> cat_nar(ByteSource& nar, std::string_view path, ByteSink& out) {
  return cat(nar, path, out);
}
Result<> cat_nar(ByteSpan nar, std::string_view path, ByteSink& out) { return cat(nar, path, out); }

}  // namespace cleave
