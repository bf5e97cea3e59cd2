#include "tests/support/tree.h"

#include <map>
#include <set>
#include <sys/stat.h>

namespace cleave::test {

namespace fs = std::filesystem;

namespace {

std::string random_name(Rng& rng, bool odd) {
  std::string name;
  const std::size_t kind = odd ? below(rng, 8) : 7;
  // Shares a prefix with others, so that the order of names is put to the test.
  const std::string_view alphabet = "ab.-_AB~0";
  for (std::size_t size = 1 + below(rng, 5); size > 0; --size) {
    name += alphabet[below(rng, alphabet.size())];
  }
  switch (kind) {
    case 0: name += "\n\t \"'\\"; break;
    case 1: name += "\xff\x80\xfe"; break;
    case 2: name += "\xc3\xa9\xf0\x9f\x8c\xb3"; break;
    case 3: name.resize(255, 'x'); break;
    case 4:
      for (char& c : name) c = static_cast<char>(1 + below(rng, 255));
      break;
    default: break;
  }
  for (char& c : name) {
    if (c == '/') c = ':';
  }
  return name == "." || name == ".." ? "dots" : name;
}

void fill(Rng& rng, const fs::path& path, const TreeOptions& options, std::size_t depth) {
  fs::create_directory(path);
  std::set<std::string> names;
  for (std::size_t n = below(rng, options.max_entries + 1); n > 0; --n) {
    names.insert(random_name(rng, options.odd_names));
  }
  for (const std::string& name : names) {
    const fs::path entry = path / name;
    switch (below(rng, 8)) {
      case 0: make_file(entry, ""); break;
      case 1:
        make_file(entry, random_text(rng, below(rng, options.max_file_size + 1)), true);
        break;
      case 2: {
        const std::string target = below(rng, 2) == 0 ? ".." : random_name(rng, options.odd_names);
        fs::create_symlink(target, entry);
        break;
      }
      case 3:
      case 4:
      case 5:
        if (depth < options.max_depth) {
          fill(rng, entry, options, depth + 1);
          break;
        }
        [[fallthrough]];
      default: make_file(entry, random_text(rng, below(rng, options.max_file_size + 1)));
    }
  }
}

// Each entry's path below `root`, and all that counts about it.
std::map<std::string, std::string> describe_tree(const fs::path& root) {
  std::map<std::string, std::string> entries;
  const auto add = [&](const fs::path& path) {
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0) {
      entries[path.lexically_relative(root)] = "missing";
    } else if (S_ISDIR(st.st_mode)) {
      entries[path.lexically_relative(root)] = "folder";
    } else if (S_ISLNK(st.st_mode)) {
      entries[path.lexically_relative(root)] = "symlink to " + fs::read_symlink(path).native();
    } else if (S_ISREG(st.st_mode)) {
      entries[path.lexically_relative(root)] =
          ((st.st_mode & S_IXUSR) != 0 ? "executable " : "file ") + read_file(path);
    } else {
      entries[path.lexically_relative(root)] = "something else";
    }
  };
  add(root);
  if (fs::symlink_status(root).type() == fs::file_type::directory) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) add(entry.path());
  }
  return entries;
}

}  // namespace

void make_file(const fs::path& path, std::string_view contents, bool executable) {
  fs::create_directories(path.parent_path());
  write_file(path, contents);
  if (executable) fs::permissions(path, fs::perms(0755));
}

std::size_t below(Rng& rng, std::size_t limit) {
  // Not a distribution of the standard library: those differ between its makers.
  return static_cast<std::size_t>(rng() % limit);
}

std::string random_text(Rng& rng, std::size_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(rng() >> 56);
  return text;
}

void random_tree(Rng& rng, const fs::path& path, const TreeOptions& options) {
  fill(rng, path, options, 1);
}

testing::AssertionResult trees_equal(const fs::path& left, const fs::path& right) {
  const auto a = describe_tree(left);
  const auto b = describe_tree(right);
  const auto excerpt = [](const std::string& text) {
    return testing::PrintToString(text.substr(0, 60));
  };
  for (const auto& [path, what] : a) {
    const auto found = b.find(path);
    if (found == b.end()) {
      return testing::AssertionFailure() << "only in " << left << ": " << excerpt(path);
    }
    if (found->second != what) {
      return testing::AssertionFailure()
             << excerpt(path) << " is " << excerpt(what) << " in " << left << ", "
             << excerpt(found->second) << " in " << right;
    }
  }
  for (const auto& [path, what] : b) {
    if (!a.contains(path)) {
      return testing::AssertionFailure() << "only in " << right << ": " << excerpt(path);
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace cleave::test
