// The pages of an LMDB file, looked at before LMDB does.
//
// LMDB believes what a page says of itself, so a damaged one leads it out of its memory or round in
// circles. Here a page is checked before LMDB comes to it: that it is what its parent takes it for,
// and that its nodes lie within it, apart, and in order. The format is that of LMDB 0.9 (data
// version 1), in the byte order and word size of 64-bit little-endian machines; elsewhere nothing
// is checked.
//
// Each page is checked once, when something is first looked for on it, but for where it is in its
// tree, which is checked each time. What LMDB writes later in its place is believed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/function_ref.h"

namespace cleave {

class IndexPages {
 public:
  static constexpr std::size_t kTables = 5;

  // A tree of pages within one snapshot of the index.
  struct Tree {
    std::uint64_t root = ~std::uint64_t{0};  // the number of its first page; all ones: it is empty
    unsigned depth = 0;
    bool integer_keys = false;
    bool holds_trees = false;   // its values describe other trees
    bool large_values = false;  // may lie on pages of their own
  };
  struct Snapshot {
    std::uint64_t pages = 0;  // numbers below this are in use, or free
    Tree free;
    Tree main;
    std::array<Tree, kTables> tables;
  };
  enum class Found : std::uint8_t { sound, overtaken, damaged };

  // `map` is where the file is mapped; may be larger than the file is now.
  explicit IndexPages(ByteSpan map);

  // Whether a file begins as LMDB begins one: to be asked before LMDB opens it.
  static bool begins_well(const std::filesystem::path& data_file);

  // Reads where the trees begin in the snapshot with this transaction id. `overtaken` when commits
  // have replaced it, or do so right now.
  Found read_snapshot(std::uint64_t id, Snapshot& snapshot);

  // Each is false when a page is not as LMDB writes them.
  // All that is read to find `key`.
  bool check_path(const Snapshot& snapshot, const Tree& tree, ByteSpan key);
  // All that is read to walk the tree, or to remove anything from it, but for large values.
  bool check_tree(const Snapshot& snapshot, const Tree& tree);
  // All that is read to allocate pages: what the list says is free is a page, and there once.
  bool check_free_list(const Snapshot& snapshot);
  // Every page of the file: it is in one tree, once, or free.
  bool check_all(const Snapshot& snapshot);

 private:
  class Page;
  struct Meta;
  struct Node;
  // The keys that a page may hold: from `low` to below `high`, where they are given.
  struct Range {
    std::optional<ByteSpan> low = {};
    std::optional<ByteSpan> high = {};
  };
  // Takes a run of pages; false to stop.
  using TakePages = FunctionRef<bool(std::uint64_t first, std::uint64_t count)>;

  Page page(std::uint64_t number) const;
  Meta meta(std::uint64_t number) const;
  bool read_tables(Snapshot& snapshot);
  static bool has_pages(const Tree& tree);
  static bool has_good_depth(const Tree& tree);
  static bool fits(const Tree& tree, const Node& node);
  static bool check_nodes(const Tree& tree, const Page& page);
  bool check_page(const Snapshot& snapshot, const Tree& tree, std::uint64_t number, unsigned level,
                  const Range& range);
  bool find(const Snapshot& snapshot, const Tree& tree, ByteSpan key, std::optional<Node>& found);
  // A value, and where it is on pages of its own, which; nothing when those are not as they should
  // be.
  struct Value {
    ByteSpan bytes;
    std::uint64_t first = 0;
    std::uint64_t count = 0;
  };
  std::optional<Value> value(const Snapshot& snapshot, const Tree& tree, const Node& node) const;
  bool walk(const Snapshot& snapshot, const Tree& tree, std::uint64_t number, unsigned level,
            const Range& range, const TakePages* take);
  bool walk(const Snapshot& snapshot, const Tree& tree, const TakePages* take);
  bool take_free(const Snapshot& snapshot, std::uint64_t number, unsigned level, TakePages take);

  ByteSpan map_;
  std::size_t page_size_ = 0;
  // Pages that were checked, each where its number says; a later one may take its place.
  std::array<std::atomic<std::uint64_t>, 16384> checked_ = {};
};

}  // namespace cleave
