#include "cleave/base/io.h"

#include <algorithm>
#include <cstring>

namespace cleave {

Result<std::size_t> read_full(ByteSource& source, MutableByteSpan into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const std::size_t n = CLEAVE_TRY(source.read(into.subspan(done)));
    if (n == 0) break;
    done += n;
  }
  return done;
}

Result<std::size_t> MemorySource::read(MutableByteSpan into) {
  const std::size_t n = std::min(into.size(), rest_.size());
  if (n > 0) std::memcpy(into.data(), rest_.data(), n);
  rest_ = rest_.subspan(n);
  return n;
}

}  // namespace cleave
