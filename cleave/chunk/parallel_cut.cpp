// One large input cut by many threads. Each starts somewhere as if a chunk began there: cut points
// follow from the contents, so after a few chunks it cuts where everybody does. Where two threads
// have cut at the same place they agree from there on; what lies before is cut again.
#include <algorithm>
#include <vector>

#include "cleave/chunk/chunker.h"

namespace cleave {

namespace {

// A segment is cut by one thread. Some chunks of it are cut twice, so it has to be many.
constexpr std::uint64_t kMinChunksPerSegment = 24;
constexpr std::size_t kSegmentsPerThread = 2;
// Chains that have not met after so many chunks hardly ever will.
constexpr std::size_t kMaxBridge = 32;

struct End {
  std::uint64_t offset;
  std::uint64_t gear_hash;
};
using Chain = std::vector<End>;

class SegmentedCut {
 public:
  SegmentedCut(const FastCdc& fastcdc, ByteSpan data, std::size_t segments)
      : fastcdc_(fastcdc),
        data_(data),
        segment_size_((data.size() + segments - 1) / segments),
        chains_(segments),
        bridges_(segments) {}

  std::vector<Cut> run(Executor& executor) {
    executor.run(chains_.size(), [&](std::size_t i) { cut_segment(i); });
    executor.run(chains_.size() - 1, [&](std::size_t i) { build_bridge(i); });
    return stitch();
  }

 private:
  std::uint64_t begin_of(std::size_t segment) const {
    return std::min<std::uint64_t>(segment * segment_size_, data_.size());
  }

  End cut_from(std::uint64_t offset) const {
    const Cut cut = fastcdc_.cut(data_.subspan(offset));
    return {offset + cut.length, cut.gear_hash};
  }

  void cut_segment(std::size_t segment) {
    const std::uint64_t end = begin_of(segment + 1);
    for (std::uint64_t at = begin_of(segment); at < end; at = chains_[segment].back().offset) {
      chains_[segment].push_back(cut_from(at));
    }
  }

  // Where the chain of a segment cuts behind its end, up to where it meets the next one.
  void build_bridge(std::size_t segment) {
    if (chains_[segment].empty()) return;
    End last = chains_[segment].back();
    const std::uint64_t end = begin_of(segment + 2);
    while (last.offset < end && bridges_[segment].size() < kMaxBridge &&
           find_in_chain(segment + 1, last.offset) == chains_[segment + 1].end()) {
      bridges_[segment].push_back(last = cut_from(last.offset));
    }
  }

  Chain::const_iterator find_in_chain(std::size_t segment, std::uint64_t offset) const {
    const Chain& chain = chains_[segment];
    const auto at = std::ranges::lower_bound(chain, offset, {}, &End::offset);
    return at != chain.end() && at->offset == offset ? at : chain.end();
  }

  // The true chain, from the start of the data.
  std::vector<Cut> stitch() const {
    std::vector<Cut> cuts;
    cuts.reserve(data_.size() / fastcdc_.options().avg_size + 1);
    std::uint64_t done = 0;
    const auto append = [&](const End& end) {
      cuts.push_back({static_cast<std::size_t>(end.offset - done), end.gear_hash});
      done = end.offset;
    };
    const auto append_rest = [&](std::size_t segment, Chain::const_iterator from) {
      std::for_each(from, chains_[segment].end(), append);
      std::ranges::for_each(bridges_[segment], append);
    };
    append_rest(0, chains_[0].begin());
    while (done < data_.size()) {
      const auto segment = static_cast<std::size_t>(done / segment_size_);
      const auto met = find_in_chain(segment, done);
      if (met != chains_[segment].end()) {
        append_rest(segment, met + 1);
      } else {
        append(cut_from(done));
      }
    }
    return cuts;
  }

  const FastCdc& fastcdc_;
  ByteSpan data_;
  std::uint64_t segment_size_;
  std::vector<Chain> chains_;   // cuts from a segment's start to the first one not inside it
  std::vector<Chain> bridges_;  // and what follows them
};

}  // namespace

std::vector<Cut> cut_all(Executor& executor, const FastCdc& fastcdc, ByteSpan data) {
  const std::uint64_t smallest = kMinChunksPerSegment * fastcdc.options().avg_size;
  const std::size_t segments =
      std::min<std::uint64_t>(kSegmentsPerThread * executor.concurrency(), data.size() / smallest);
  if (executor.concurrency() == 1 || segments < 2) return cut_all(fastcdc, data);
  return SegmentedCut(fastcdc, data, segments).run(executor);
}

}  // namespace cleave
