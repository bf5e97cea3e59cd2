// NarReader on any bytes: never a crash; the same events and error however they are sliced; and
// what it accepts is exactly what those events encode to.
#include "cleave/nar/nar_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "cleave/nar/nar_list.h"
#include "tests/support/nar.h"

namespace {

using namespace cleave;

void require(bool condition) {
  if (!condition) std::abort();
}

// All events, and the error if there is one. Slices have sizes from `first` on, in a pattern that
// hits all alignments; each is a copy of its own, so that a use after the call is seen.
std::string events(ByteSpan nar, std::size_t first) {
  test::nar::Recorder recorder;
  NarReader reader(recorder);
  Result<> result;
  for (std::size_t size = first; result && !nar.empty(); size = first + size % 13) {
    const std::size_t n = std::min(size, nar.size());
    result = reader.feed(as_byte_span(std::string(as_text(nar.first(n)))));
    nar = nar.subspan(n);
  }
  if (result) result = reader.finish();
  if (!result) {
    // It stays as it is.
    require(!reader.finish() && reader.finish().error().message() == result.error().message());
    recorder.log += result.error().message();
  }
  return recorder.log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan nar = std::as_bytes(std::span(data, size));
  const std::string whole = events(nar, size + 1);
  require(events(nar, 1) == whole);
  require(events(nar, 7) == whole);

  test::nar::Rewriter rewriter;
  const Result<> result = read_nar(nar, rewriter);
  if (result) require(rewriter.nar == as_text(nar));
  require(list_nar(nar).has_value() == result.has_value());
  return 0;
}
