// NARs for tests, written by hand (also wrong ones), and read into a text of events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "cleave/nar/nar_reader.h"

namespace cleave::test::nar {

inline std::string length(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return bytes;
}

inline std::string str(std::string_view text) {
  return length(text.size()) + std::string(text) + std::string((8 - text.size() % 8) % 8, '\0');
}

inline std::string strs(std::initializer_list<std::string_view> texts) {
  std::string all;
  for (const std::string_view text : texts) all += str(text);
  return all;
}

enum Executable : bool { kNotExecutable, kExecutable };

inline std::string file(std::string_view contents, Executable executable = kNotExecutable) {
  return strs({"(", "type", "regular"}) + (executable ? strs({"executable", ""}) : "") +
         strs({"contents", contents, ")"});
}
inline std::string symlink(std::string_view target) {
  return strs({"(", "type", "symlink", "target", target, ")"});
}
inline std::string entry(std::string_view name, std::string_view object) {
  return strs({"entry", "(", "name", name, "node"}) + std::string(object) + str(")");
}
// `entries` as entry() makes them, one behind the other.
inline std::string folder(std::string_view entries) {
  return strs({"(", "type", "directory"}) + std::string(entries) + str(")");
}
inline std::string archive(std::string_view object) {
  return str("nix-archive-1") + std::string(object);
}

// Folders within folders, `depth` below the root, with `inside` in the last.
inline std::string nested(std::size_t depth, std::string_view inside) {
  std::string open;
  std::string close;
  for (std::size_t i = 0; i < depth; ++i) {
    open += strs({"(", "type", "directory", "entry", "(", "name", "d", "node"});
    close += strs({")", ")"});
  }
  return archive(open + std::string(inside) + close);
}

// Writes down all events; contents in one piece, however they came.
class Recorder : public NarVisitor {
 public:
  Result<> directory_begin(const NarDirectory& directory) override {
    log += "folder " + std::string(directory.path) + "\n";
    return {};
  }
  Result<> directory_end() override {
    log += "end of folder\n";
    return {};
  }
  Result<> file_begin(const NarFile& file) override {
    log += (file.executable ? "executable " : "file ") + std::string(file.path) + " at " +
           std::to_string(file.offset) + ", " + std::to_string(file.size) + " bytes: ";
    return {};
  }
  Result<> file_contents(ByteSpan contents) override {
    log += as_text(contents);
    return {};
  }
  Result<> file_end() override {
    log += "\n";
    return {};
  }
  Result<> symlink(const NarSymlink& symlink) override {
    log += "symlink " + std::string(symlink.path) + " at " + std::to_string(symlink.offset) +
           " to " + std::string(symlink.target) + "\n";
    return {};
  }

  std::string log;
};

// Makes the NAR again from its events: a second, independent writer.
class Rewriter : public NarVisitor {
 public:
  Result<> directory_begin(const NarDirectory& directory) override {
    begin(directory.path, directory.name);
    nar += strs({"(", "type", "directory"});
    ++depth_;
    return {};
  }
  Result<> directory_end() override {
    --depth_;
    end();
    return {};
  }
  Result<> file_begin(const NarFile& file) override {
    begin(file.path, file.name);
    nar += strs({"(", "type", "regular"}) + (file.executable ? strs({"executable", ""}) : "") +
           str("contents") + length(file.size);
    return {};
  }
  Result<> file_contents(ByteSpan contents) override {
    nar += as_text(contents);
    return {};
  }
  Result<> file_end() override {
    nar.append((8 - nar.size() % 8) % 8, '\0');
    end();
    return {};
  }
  Result<> symlink(const NarSymlink& symlink) override {
    begin(symlink.path, symlink.name);
    nar += strs({"(", "type", "symlink", "target", symlink.target});
    end();
    return {};
  }

  std::string nar;

 private:
  void begin(std::string_view path, std::string_view name) {
    nar += path.empty() ? str("nix-archive-1") : strs({"entry", "(", "name", name, "node"});
  }
  void end() { nar += depth_ == 0 ? str(")") : strs({")", ")"}); }

  std::size_t depth_ = 0;
};

}  // namespace cleave::test::nar
