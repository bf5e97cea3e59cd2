// What the tests of chunking share: options drawn at random, sources that slice as they like.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <ostream>
#include <utility>

#include <rapidcheck.h>

#include "cleave/base/io.h"
#include "cleave/chunk/fastcdc.h"

namespace cleave {

inline bool operator==(const Cut& a, const Cut& b) {
  return a.length == b.length && a.gear_hash == b.gear_hash;
}
inline std::ostream& operator<<(std::ostream& out, const Cut& cut) {
  return out << '{' << cut.length << ", " << cut.gear_hash << '}';
}

namespace test {

inline FastCdc make_fastcdc(const ChunkingOptions& options) {
  return FastCdc::create(options).value();
}

// Legal options with small sizes, odd ones too, so that an input of some KiB has many chunks.
inline ChunkingOptions any_options() {
  ChunkingOptions options;
  options.min_size = *rc::gen::inRange<std::uint64_t>(64, 1500);
  options.avg_size =
      *rc::gen::inRange<std::uint64_t>(std::max<std::uint64_t>(options.min_size, 256), 4000);
  options.max_size =
      *rc::gen::inRange<std::uint64_t>(std::max<std::uint64_t>(options.avg_size, 1024), 9000);
  options.level = *rc::gen::inRange<std::uint32_t>(0, 4);
  options.seed =
      *rc::gen::oneOf(rc::gen::just<std::uint64_t>(0), rc::gen::arbitrary<std::uint64_t>());
  return options;
}

// Gives `data` in slices of next_size() bytes, as far as there is room.
class SlicingSource final : public ByteSource {
 public:
  SlicingSource(ByteSpan data, std::function<std::size_t()> next_size,
                std::optional<std::uint64_t> claimed_remaining = std::nullopt)
      : rest_(data), next_size_(std::move(next_size)), claimed_(claimed_remaining) {}

  Result<std::size_t> read(MutableByteSpan into) override {
    RC_ASSERT(!into.empty());
    const std::size_t n =
        std::min({std::max<std::size_t>(next_size_(), 1), into.size(), rest_.size()});
    if (n > 0) std::memcpy(into.data(), rest_.data(), n);
    rest_ = rest_.subspan(n);
    return n;
  }
  std::optional<std::uint64_t> remaining() const override { return claimed_; }

 private:
  ByteSpan rest_;
  std::function<std::size_t()> next_size_;
  std::optional<std::uint64_t> claimed_;
};

}  // namespace test
}  // namespace cleave
