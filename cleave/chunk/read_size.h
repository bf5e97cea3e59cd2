// How much to ask a stream for at a time, learned from what it gives.
#pragma once

#include <algorithm>
#include <cstddef>

namespace cleave {

// Grows when reads come back full: the stream has more than was asked for, and fewer, larger reads
// cost less. Shrinks when they come back short: what is set aside for a read is then not used.
class ReadSize {
 public:
  static constexpr std::size_t kMin = std::size_t{16} << 10;
  static constexpr std::size_t kMax = std::size_t{1} << 20;

  // In kMin … kMax.
  std::size_t bytes() const { return bytes_; }

  // `got` of `asked` bytes came. Full reads of less than bytes() say nothing.
  void observe(std::size_t asked, std::size_t got) {
    if (got >= bytes_) {
      bytes_ = std::min(2 * bytes_, kMax);
    } else if (got < asked && got < bytes_ / 4) {
      bytes_ = std::max(bytes_ / 2, kMin);
    }
  }

 private:
  std::size_t bytes_ = std::size_t{64} << 10;
};

}  // namespace cleave
