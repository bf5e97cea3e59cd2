#include "tests/crash/disk_model.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <sys/stat.h>

#include "tests/crash/fault_journal.h"
#include "tests/support/temp_dir.h"

namespace cleave::test {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPage = 4096;

std::uint64_t inode_of(const fs::path& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) throw std::runtime_error("no " + path.native());
  return st.st_ino;
}

std::string read_whole(const fs::path& path) {
  std::string bytes(fs::file_size(path), '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    throw std::runtime_error("cannot read " + path.native());
  }
  return bytes;
}

bool happens(double probability, std::mt19937_64& rng) {
  return static_cast<double>(rng() >> 11) * 0x1p-53 < probability;
}

// One of a thing's versions; the first is the durable one, the last the newest.
template <class T>
const T& pick(const std::vector<T>& versions, double survival, std::mt19937_64& rng) {
  if (happens(survival, rng)) return versions.back();
  if (survival == 0 || happens(0.5, rng)) return versions.front();
  return versions[rng() % versions.size()];
}

template <class T>
void keep_newest(std::vector<T>& versions) {
  versions.erase(versions.begin(), versions.end() - 1);
}

// Calls handle(header, name, name2, data) for every record.
template <class Handle>
void for_each_change(const fs::path& journal, Handle handle) {
  const std::string all = fs::exists(journal) ? read_whole(journal) : "";
  std::string_view rest = all;
  const auto take = [&](std::size_t size) {
    if (size > rest.size()) throw std::runtime_error("the journal is cut short");
    const std::string_view part = rest.substr(0, size);
    rest.remove_prefix(size);
    return part;
  };
  while (!rest.empty()) {
    ChangeHeader header;
    std::memcpy(&header, take(sizeof header).data(), sizeof header);
    const std::string name(take(header.name_size));
    const std::string name2(take(header.name2_size));
    handle(header, name, name2, take(header.data_size));
  }
}

}  // namespace

// A change of a folder's names that is not durable: takes away one, sets one, or both.
struct DiskModel::NameChange {
  std::string removed;
  std::string set;
  NodePtr node;
};

struct DiskModel::Node {
  bool is_folder = false;
  // Of a file: each page's versions since the last sync, and those of the size.
  std::map<std::uint64_t, std::vector<std::string>> pages;
  std::vector<std::uint64_t> sizes = {0};
  // Of a folder.
  std::map<std::string, NodePtr> names;
  std::vector<NameChange> changes;

  void write(std::uint64_t offset, std::string_view data, bool synced) {
    while (!data.empty()) {
      const std::uint64_t page = offset / kPage;
      const std::size_t at = offset % kPage;
      const std::size_t n = std::min(kPage - at, data.size());
      std::vector<std::string>& versions =
          pages.try_emplace(page, std::vector{std::string(kPage, '\0')}).first->second;
      std::string next = versions.back();
      next.replace(at, n, data.substr(0, n));
      versions.push_back(std::move(next));
      if (synced) keep_newest(versions);
      offset += n;
      data.remove_prefix(n);
    }
    if (offset > sizes.back()) sizes.push_back(offset);
    if (synced) keep_newest(sizes);
  }

  void resize(std::uint64_t size) {
    for (auto& [page, versions] : pages) {
      if ((page + 1) * kPage <= size) continue;
      std::string next = versions.back();
      const std::size_t keep = page * kPage < size ? size - page * kPage : 0;
      std::fill(next.begin() + static_cast<std::ptrdiff_t>(keep), next.end(), '\0');
      versions.push_back(std::move(next));
    }
    sizes.push_back(size);
  }

  void sync() {
    for (auto& [page, versions] : pages) keep_newest(versions);
    keep_newest(sizes);
    for (const NameChange& change : changes) apply(names, change);
    changes.clear();
  }

  std::string contents(const Survival& survival, Rng& rng) const {
    std::string bytes(pick(sizes, survival.sizes, rng), '\0');
    for (const auto& [page, versions] : pages) {
      const std::string& chosen = pick(versions, survival.pages, rng);
      const std::size_t begin = page * kPage;
      if (begin < bytes.size()) {
        bytes.replace(begin, std::min(kPage, bytes.size() - begin),
                      chosen.substr(0, bytes.size() - begin));
      }
    }
    return bytes;
  }

  static void apply(std::map<std::string, NodePtr>& names, const NameChange& change) {
    if (!change.removed.empty()) names.erase(change.removed);
    if (!change.set.empty()) names[change.set] = change.node;
  }

  NodePtr find(const std::string& name) const {
    std::map<std::string, NodePtr> now = names;
    for (const NameChange& change : changes) apply(now, change);
    const auto found = now.find(name);
    if (found == now.end())
      throw std::runtime_error("the journal names what is not there: " + name);
    return found->second;
  }
};

DiskModel::DiskModel(const fs::path& folder) { root_ = load(folder); }
DiskModel::~DiskModel() = default;

DiskModel::NodePtr DiskModel::load(const fs::path& path) {
  auto node = std::make_shared<Node>();
  by_inode_[inode_of(path)] = node;
  if (fs::is_directory(path)) {
    node->is_folder = true;
    for (const auto& entry : fs::directory_iterator(path)) {
      node->names[entry.path().filename()] = load(entry.path());
    }
  } else {
    node->write(0, read_whole(path), true);
  }
  return node;
}

void DiskModel::replay(const fs::path& journal) {
  for_each_change(journal, [&](const ChangeHeader& header, const std::string& name,
                               const std::string& name2, std::string_view data) {
    const auto node = [&](std::uint64_t inode) -> Node& { return *by_inode_.at(inode); };
    const auto make = [&](bool is_folder) {
      auto made = std::make_shared<Node>();
      made->is_folder = is_folder;
      by_inode_[header.inode] = made;
      return made;
    };
    switch (header.change) {
      case Change::write: node(header.inode).write(header.offset, data, header.synced != 0); break;
      case Change::resize: node(header.inode).resize(header.offset); break;
      case Change::sync: node(header.inode).sync(); break;
      case Change::fault: break;
      case Change::make_unnamed: make(false); break;
      case Change::make_file:
      case Change::make_folder:
        node(header.folder)
            .changes.push_back({"", name, make(header.change == Change::make_folder)});
        break;
      case Change::link:
        node(header.folder).changes.push_back({"", name, by_inode_.at(header.inode)});
        break;
      case Change::remove: node(header.folder).changes.push_back({name, "", nullptr}); break;
      case Change::rename: {
        const NodePtr moved = node(header.folder).find(name);
        if (header.folder == header.folder2) {
          node(header.folder).changes.push_back({name, name2, moved});
        } else {
          node(header.folder).changes.push_back({name, "", nullptr});
          node(header.folder2).changes.push_back({"", name2, moved});
        }
        break;
      }
    }
  });
}

JournalSummary summarize(const fs::path& journal) {
  JournalSummary summary;
  for_each_change(journal, [&](const ChangeHeader& header, const std::string& /*name*/,
                               const std::string& /*name2*/, std::string_view data) {
    (header.change == Change::fault ? summary.faults : summary.operations) += 1;
    summary.written += data.size();
  });
  return summary;
}

Image DiskModel::after_power_cut(const Survival& survival, std::uint64_t seed) const {
  Rng rng(seed);
  Image image;
  collect(*root_, "", survival, rng, image);
  return image;
}

void DiskModel::collect(const Node& folder, const std::string& prefix, const Survival& survival,
                        Rng& rng, Image& image) const {
  std::map<std::string, NodePtr> names = folder.names;
  for (const NameChange& change : folder.changes) {
    if (happens(survival.names, rng)) Node::apply(names, change);
  }
  for (const auto& [name, node] : names) {
    if (node->is_folder) {
      image[prefix + name] = std::nullopt;
      collect(*node, prefix + name + "/", survival, rng, image);
    } else {
      image[prefix + name] = node->contents(survival, rng);
    }
  }
}

Image read_image(const fs::path& folder) {
  Image image;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    std::optional<std::string>& value = image[entry.path().lexically_relative(folder)];
    if (!entry.is_directory()) value = read_whole(entry.path());
  }
  return image;
}

void write_image(const Image& image, const fs::path& folder) {
  fs::create_directories(folder);
  for (const auto& [path, contents] : image) {
    if (contents) {
      write_file(folder / path, *contents);
    } else {
      fs::create_directory(folder / path);
    }
  }
}

}  // namespace cleave::test
