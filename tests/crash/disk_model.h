// What a disk may hold after its power went: a folder as it was, the operations of a journal on
// top, and of those that no sync made durable any subset. Harsher than filesystems are:
// - Pages of 4096 bytes, a file's size, and names are written back each by itself and in any order.
// - A sync of a file keeps its data and size, but not its name: that takes a sync of its folder.
// - A sync of a folder keeps its own names, but not its name in the folder above.
// Atomic are a page, and a rename within a folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace cleave::test {

// A folder's contents: files with their bytes, and folders, by path.
using Image = std::map<std::string, std::optional<std::string>>;

Image read_image(const std::filesystem::path& folder);
void write_image(const Image& image, const std::filesystem::path& folder);

// How likely it is that what was not synced did get to the disk; 0 to 1.
struct Survival {
  double pages = 1;
  double sizes = 1;
  double names = 1;
};

// What a journal says in sum.
struct JournalSummary {
  std::size_t operations = 0;  // that changed something
  std::uint64_t written = 0;   // bytes
  std::size_t faults = 0;      // errors that were made up
};
JournalSummary summarize(const std::filesystem::path& journal);

class DiskModel {
 public:
  // All that `folder` holds now is durable.
  explicit DiskModel(const std::filesystem::path& folder);
  ~DiskModel();

  void replay(const std::filesystem::path& journal);
  Image after_power_cut(const Survival& survival, std::uint64_t seed) const;

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  struct NameChange;
  using Rng = std::mt19937_64;

  NodePtr load(const std::filesystem::path& path);
  void collect(const Node& folder, const std::string& prefix, const Survival& survival, Rng& rng,
               Image& image) const;

  NodePtr root_;
  std::map<std::uint64_t, NodePtr> by_inode_;
};

}  // namespace cleave::test
