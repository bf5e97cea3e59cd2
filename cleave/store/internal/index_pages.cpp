#include "cleave/store/internal/index_pages.h"

#include <algorithm>
#include <bit>
#include <fcntl.h>
#include <utility>
#include <vector>

#include "cleave/base/endian.h"
#include "cleave/base/file.h"
#include "cleave/store/format.h"

namespace cleave {

namespace {

constexpr std::size_t kHeaderSize = 16;  // of a page
constexpr std::size_t kNodeHeaderSize = 8;
constexpr std::size_t kTreeSize = 48;
constexpr std::size_t kMetaSize = 152;  // with the page's header
constexpr std::size_t kMaxKeySize = 511;
constexpr std::size_t kMinPageSize = 512;
constexpr std::size_t kMaxPageSize = 32768;
constexpr unsigned kMaxDepth = 32;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr std::uint64_t kMetaPages = 2;
constexpr std::uint32_t kMagic = 0xbeefc0de;
constexpr std::uint32_t kVersion = 1;
constexpr std::uint16_t kIntegerKeys = 8;

// What a page is.
enum Kind : std::uint16_t { kBranch = 1, kLeaf = 2, kLarge = 4, kMeta = 8 };

// What a node of a leaf is.
enum NodeKind : std::uint16_t { kPlain = 0, kLargeValue = 1, kTreeValue = 2 };

std::uint16_t load16(const std::byte* at) { return load_le<std::uint16_t>(at); }
std::uint32_t load32(const std::byte* at) { return load_le<std::uint32_t>(at); }
std::uint64_t load64(const std::byte* at) { return load_le<std::uint64_t>(at); }

IndexPages::Tree load_tree(const std::byte* at) {
  IndexPages::Tree tree;
  tree.depth = load16(at + 6);
  tree.root = load64(at + 40);
  return tree;
}
std::uint16_t tree_flags(const std::byte* at) { return load16(at + 4); }

bool is_page_size(std::size_t size) {
  return std::has_single_bit(size) && size >= kMinPageSize && size <= kMaxPageSize;
}

bool less(const IndexPages::Tree& tree, ByteSpan a, ByteSpan b) {
  if (tree.integer_keys) return load64(a.data()) < load64(b.data());
  return as_text(a) < as_text(b);  // as unsigned bytes, a prefix first
}

}  // namespace

struct IndexPages::Node {
  std::size_t begin = 0;  // in its page
  std::size_t end = 0;
  ByteSpan key;
  std::uint16_t kind = kPlain;  // of a leaf's
  std::uint32_t value_size = 0;
  const std::byte* value = nullptr;  // there, or the number of its page
  std::uint64_t child = 0;           // of a branch's
};

class IndexPages::Page {
 public:
  explicit Page(ByteSpan bytes) : bytes_(bytes) {}

  std::uint64_t number() const { return load64(bytes_.data()); }
  std::uint16_t kind() const { return load16(bytes_.data() + 10); }
  std::size_t lower() const { return load16(bytes_.data() + 12); }
  std::size_t upper() const { return load16(bytes_.data() + 14); }
  std::uint32_t run() const { return load32(bytes_.data() + 12); }  // of a large value's first page
  std::size_t count() const { return (lower() - kHeaderSize) / 2; }

  // Whether its array of nodes lies within it.
  bool has_array() const {
    return lower() >= kHeaderSize && lower() % 2 == 0 && lower() <= upper() &&
           upper() <= bytes_.size();
  }
  // Nothing when it does not lie within the page.
  std::optional<Node> find_node(std::size_t i) const {
    Node node;
    node.begin = load16(bytes_.data() + kHeaderSize + 2 * i);
    if (node.begin < upper() || node.begin + kNodeHeaderSize > bytes_.size()) return std::nullopt;
    const std::byte* at = bytes_.data() + node.begin;
    const std::uint32_t low = load32(at);
    const std::uint16_t flags = load16(at + 4);
    const std::size_t key_size = load16(at + 6);
    std::size_t size = kNodeHeaderSize + key_size;
    if (kind() == kBranch) {
      node.child = low | std::uint64_t{flags} << 32;
    } else {
      node.kind = flags;
      node.value_size = low;
      size += flags == kLargeValue ? sizeof(std::uint64_t) : low;
    }
    size += size % 2;
    if (key_size > kMaxKeySize || size > bytes_.size() - node.begin) return std::nullopt;
    node.end = node.begin + size;
    node.key = bytes_.subspan(node.begin + kNodeHeaderSize, key_size);
    node.value = node.key.data() + key_size;
    return node;
  }
  // Of a page that was checked. Should it have changed since, an empty node, which leads nowhere.
  Node node(std::size_t i) const { return find_node(i).value_or(Node()); }
  ByteSpan key(std::size_t i) const {
    const std::byte* at = bytes_.data() + load16(bytes_.data() + kHeaderSize + 2 * i);
    return {at + kNodeHeaderSize, load16(at + 6)};
  }
  // Its last node with a key not above `key`; of a branch, the one that leads to it.
  std::size_t find(const Tree& tree, ByteSpan key) const {
    std::size_t begin = 1;
    std::size_t end = count();
    while (begin < end) {
      const std::size_t middle = begin + (end - begin) / 2;
      if (less(tree, key, this->key(middle))) {
        end = middle;
      } else {
        begin = middle + 1;
      }
    }
    return begin - 1;
  }
  // Its first node whose key counts: the first key of a branch is not used.
  std::size_t first_key() const { return kind() == kBranch ? 1 : 0; }
  // Whether its keys, which are in order, are within `range`.
  bool is_within(const Tree& tree, const Range& range) const {
    if (first_key() >= count()) return true;
    return !(range.low && less(tree, key(first_key()), *range.low)) &&
           !(range.high && !less(tree, key(count() - 1), *range.high));
  }
  // Whether its nodes have all of its end, without gap or overlap.
  bool is_filled() const {
    std::vector<std::pair<std::size_t, std::size_t>> places;
    places.reserve(count());
    for (std::size_t i = 0; i < count(); ++i) places.emplace_back(node(i).begin, node(i).end);
    std::ranges::sort(places);
    std::size_t end = upper();
    for (const auto& place : places) {
      if (place.first != end) return false;
      end = place.second;
    }
    return end == bytes_.size();
  }
  // The keys of a branch's child.
  Range child_range(std::size_t i, const Range& range) const {
    return {i == 0 ? range.low : key(i), i + 1 < count() ? key(i + 1) : range.high};
  }

 private:
  ByteSpan bytes_;
};

struct IndexPages::Meta {
  bool sound = false;
  Tree free;
  Tree main;
  std::uint64_t pages = 0;
  std::uint64_t id = 0;

  // `bytes`: the beginning of the page.
  static Meta parse(std::uint64_t number, ByteSpan bytes) {
    const std::byte* const at = bytes.data() + kHeaderSize;
    Meta meta;
    meta.free = load_tree(at + 24);
    meta.free.integer_keys = true;
    meta.free.large_values = true;
    meta.main = load_tree(at + 72);
    meta.main.holds_trees = true;
    meta.pages = load64(at + 120) + 1;
    meta.id = load64(at + 128);
    const Page page(bytes);
    meta.sound = page.number() == number && page.kind() == kMeta && load32(at) == kMagic &&
                 load32(at + 4) == kVersion && tree_flags(at + 24) == kIntegerKeys &&
                 tree_flags(at + 72) == 0;
    return meta;
  }
  static std::size_t page_size(ByteSpan bytes) { return load32(bytes.data() + kHeaderSize + 24); }
};

IndexPages::IndexPages(ByteSpan map) : map_(map), page_size_(Meta::page_size(map)) {
  // What began well may have been overwritten since.
  if (!is_page_size(page_size_)) page_size_ = kMinPageSize;
}

bool IndexPages::begins_well(const std::filesystem::path& data_file) {
  const auto fd = open_file(data_file, O_RDONLY);
  std::array<std::byte, kMetaSize> bytes;
  const auto read = [&](std::uint64_t offset) {
    return read_exact_at(fd->get(), bytes, offset, data_file).has_value();
  };
  if (!fd || !read(0) || !Meta::parse(0, bytes).sound) return false;
  const std::size_t page_size = Meta::page_size(bytes);
  return is_page_size(page_size) && read(page_size) && Meta::parse(1, bytes).sound &&
         Meta::page_size(bytes) == page_size;
}

IndexPages::Page IndexPages::page(std::uint64_t number) const {
  return Page(map_.subspan(number * page_size_, page_size_));
}

IndexPages::Meta IndexPages::meta(std::uint64_t number) const {
  return Meta::parse(number, map_.subspan(number * page_size_, page_size_));
}

IndexPages::Found IndexPages::read_snapshot(std::uint64_t id, Snapshot& snapshot) {
  // Transactions write the two in turn.
  const Meta metas[] = {meta(0), meta(1)};
  const bool fresh = metas[0].id == 0 && metas[1].id == 0;
  const bool in_turn = metas[0].id % 2 == 0 && metas[1].id % 2 == 1 &&
                       (metas[0].id + 1 == metas[1].id || metas[1].id + 1 == metas[0].id);
  const Meta& current = metas[id % 2];
  if (!metas[0].sound || !metas[1].sound || !(fresh || in_turn) || current.id != id) {
    return Found::overtaken;
  }
  snapshot.free = current.free;
  snapshot.main = current.main;
  snapshot.pages = current.pages;
  const bool sound = current.pages >= kMetaPages && current.pages <= map_.size() / page_size_ &&
                     read_tables(snapshot);
  if (meta(id % 2).id != id) return Found::overtaken;
  return sound ? Found::sound : Found::damaged;
}

// Finds the tables in the main tree, by their names.
bool IndexPages::read_tables(Snapshot& snapshot) {
  if (!check_tree(snapshot, snapshot.main)) return false;
  for (std::size_t i = 0; i < kTables; ++i) {
    const auto table = static_cast<Table>(i);
    std::optional<Node> node;
    if (!find(snapshot, snapshot.main, as_byte_span(table_name(table)), node)) return false;
    snapshot.tables[i] = {};
    if (!node) continue;
    if (!fits(snapshot.main, *node) || tree_flags(node->value) != 0) return false;
    snapshot.tables[i] = load_tree(node->value);
    snapshot.tables[i].large_values = table == Table::recipes;
  }
  return true;
}

bool IndexPages::check_page(const Snapshot& snapshot, const Tree& tree, std::uint64_t number,
                            unsigned level, const Range& range) {
  if (number < kMetaPages || number >= snapshot.pages) return false;
  const Page page = this->page(number);
  const Kind kind = level == 1 ? kLeaf : kBranch;
  if (page.number() != number || page.kind() != kind || !page.has_array()) return false;
  std::atomic<std::uint64_t>& checked = checked_[number % checked_.size()];
  if (checked.load(std::memory_order_relaxed) != number) {
    if (!check_nodes(tree, page) || !page.is_filled()) return false;
    checked.store(number, std::memory_order_relaxed);
  }
  // Each time: another page may lead here that should not.
  return page.is_within(tree, range);
}

// Whether each node is of the tree's kind, and the keys are in order.
bool IndexPages::check_nodes(const Tree& tree, const Page& page) {
  const bool is_branch = page.kind() == kBranch;
  const std::size_t least = is_branch && !tree.integer_keys ? 2 : 1;
  if (page.count() < least) return false;
  std::optional<ByteSpan> last;
  for (std::size_t i = 0; i < page.count(); ++i) {
    const auto node = page.find_node(i);
    if (!node || !(is_branch || fits(tree, *node))) return false;
    if (i < page.first_key()) continue;
    if (tree.integer_keys && node->key.size() != sizeof(std::uint64_t)) return false;
    if (last && !less(tree, *last, node->key)) return false;
    last = node->key;
  }
  return true;
}

// Whether a leaf of the tree may have such a node.
bool IndexPages::fits(const Tree& tree, const Node& node) {
  if (tree.holds_trees) return node.kind == kTreeValue && node.value_size == kTreeSize;
  return node.kind == kPlain || (node.kind == kLargeValue && tree.large_values);
}

std::optional<IndexPages::Value> IndexPages::value(const Snapshot& snapshot, const Tree& tree,
                                                   const Node& node) const {
  if (node.kind != kLargeValue) return Value{.bytes = {node.value, node.value_size}};
  const std::uint64_t first = load64(node.value);
  if (first < kMetaPages || first >= snapshot.pages) return std::nullopt;
  const Page page = this->page(first);
  const std::uint64_t count = page.run();
  const std::uint64_t needed = (kHeaderSize + node.value_size + page_size_ - 1) / page_size_;
  // A list of free pages may have become shorter in its place; no value of ours does.
  const bool fits = tree.integer_keys ? count >= needed : count == needed;
  if (page.number() != first || page.kind() != kLarge || !fits || count > snapshot.pages - first) {
    return std::nullopt;
  }
  return Value{map_.subspan(first * page_size_ + kHeaderSize, node.value_size), first, count};
}

bool IndexPages::has_pages(const Tree& tree) { return tree.root != kNoPage; }

bool IndexPages::has_good_depth(const Tree& tree) {
  return has_pages(tree) ? tree.depth > 0 && tree.depth <= kMaxDepth : tree.depth == 0;
}

// Looks for `key`, at pages that are checked on the way: false when one is not sound.
bool IndexPages::find(const Snapshot& snapshot, const Tree& tree, ByteSpan key,
                      std::optional<Node>& found) {
  if (!has_good_depth(tree)) return false;
  std::uint64_t number = tree.root;
  Range range;
  for (unsigned level = tree.depth; level > 0; --level) {
    if (!check_page(snapshot, tree, number, level, range)) return false;
    const Page page = this->page(number);
    const std::size_t i = page.find(tree, key);
    const Node node = page.node(i);
    if (level == 1 && as_text(node.key) == as_text(key)) found = node;
    range = page.child_range(i, range);
    number = node.child;
  }
  return true;
}

bool IndexPages::check_path(const Snapshot& snapshot, const Tree& tree, ByteSpan key) {
  std::optional<Node> node;
  return find(snapshot, tree, key, node) && (!node || value(snapshot, tree, *node));
}

bool IndexPages::walk(const Snapshot& snapshot, const Tree& tree, std::uint64_t number,
                      unsigned level, const Range& range, const TakePages* take) {
  if (!check_page(snapshot, tree, number, level, range)) return false;
  if (take != nullptr && !(*take)(number, 1)) return false;
  const Page page = this->page(number);
  for (std::size_t i = 0; i < page.count(); ++i) {
    const Node node = page.node(i);
    if (level > 1) {
      const Range inner = page.child_range(i, range);
      if (!walk(snapshot, tree, node.child, level - 1, inner, take)) return false;
    } else if (take != nullptr && node.kind == kLargeValue) {
      const auto large = value(snapshot, tree, node);
      if (!large || !(*take)(large->first, large->count)) return false;
    }
  }
  return true;
}

bool IndexPages::walk(const Snapshot& snapshot, const Tree& tree, const TakePages* take) {
  if (!has_good_depth(tree)) return false;
  return !has_pages(tree) || walk(snapshot, tree, tree.root, tree.depth, {}, take);
}

bool IndexPages::check_tree(const Snapshot& snapshot, const Tree& tree) {
  return walk(snapshot, tree, nullptr);
}

// Takes the pages that a part of the list, whose pages were checked, says are free.
bool IndexPages::take_free(const Snapshot& snapshot, std::uint64_t number, unsigned level,
                           TakePages take) {
  const Page page = this->page(number);
  for (std::size_t i = 0; i < page.count(); ++i) {
    const Node node = page.node(i);
    if (level > 1) {
      if (!take_free(snapshot, node.child, level - 1, take)) return false;
      continue;
    }
    // A count, and so many numbers, the highest first.
    const auto found = value(snapshot, snapshot.free, node);
    constexpr std::size_t kSize = sizeof(std::uint64_t);
    if (!found || found->bytes.size() < kSize) return false;
    const ByteSpan list = found->bytes;
    const std::uint64_t count = load64(list.data());
    if (count > list.size() / kSize - 1) return false;
    std::uint64_t last = snapshot.pages;
    for (std::uint64_t k = 1; k <= count; ++k) {
      const std::uint64_t free = load64(list.data() + k * kSize);
      if (free < kMetaPages || free >= last || !take(free, 1)) return false;
      last = free;
    }
  }
  return true;
}

namespace {

// Which pages were taken.
class Taken {
 public:
  explicit Taken(std::uint64_t pages) : taken_(pages) {}
  // False when one of them is not there, or was taken before.
  bool operator()(std::uint64_t first, std::uint64_t count) {
    if (first > taken_.size() || count > taken_.size() - first) return false;
    for (std::uint64_t i = first; i < first + count; ++i) {
      if (taken_[i]) return false;
      taken_[i] = true;
    }
    return true;
  }
  bool all() const { return std::ranges::find(taken_, false) == taken_.end(); }

 private:
  std::vector<bool> taken_;
};

}  // namespace

bool IndexPages::check_free_list(const Snapshot& snapshot) {
  if (!check_tree(snapshot, snapshot.free)) return false;
  if (!has_pages(snapshot.free)) return true;
  Taken taken(snapshot.pages);
  return take_free(snapshot, snapshot.free.root, snapshot.free.depth, taken);
}

bool IndexPages::check_all(const Snapshot& snapshot) {
  Taken taken(snapshot.pages);
  taken(0, kMetaPages);
  const TakePages take = taken;
  if (!walk(snapshot, snapshot.free, &take) || !walk(snapshot, snapshot.main, &take)) return false;
  for (const Tree& table : snapshot.tables) {
    if (!walk(snapshot, table, &take)) return false;
  }
  if (has_pages(snapshot.free) &&
      !take_free(snapshot, snapshot.free.root, snapshot.free.depth, take)) {
    return false;
  }
  return taken.all();
}

}  // namespace cleave
