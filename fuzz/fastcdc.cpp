// FastCDC: chunks cover the input and keep their limits; the definition, one pass and a stream
// sliced by the input agree.
//
// Input: level (1), slices (8), seed, min, avg, max (8 each, little-endian, the sizes folded into a
// small legal range unless bit 7 of the level is set), then the data.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "cleave/base/endian.h"
#include "cleave/chunk/chunk_stream.h"
#include "cleave/chunk/chunker.h"
#include "tests/support/fastcdc_reference.h"

namespace {

using cleave::ByteSpan;

constexpr std::size_t kHeader = 1 + 8 + 4 * 8;

void require(bool condition) {
  if (!condition) std::abort();
}

class SlicingSource final : public cleave::ByteSource {
 public:
  SlicingSource(ByteSpan data, ByteSpan slices) : rest_(data), slices_(slices) {}
  cleave::Result<std::size_t> read(cleave::MutableByteSpan into) override {
    const std::size_t slice =
        1 + 16 * std::to_integer<std::size_t>(slices_[next_++ % slices_.size()]);
    const std::size_t n = std::min({slice, into.size(), rest_.size()});
    if (n > 0) std::memcpy(into.data(), rest_.data(), n);
    rest_ = rest_.subspan(n);
    return n;
  }

 private:
  ByteSpan rest_;
  ByteSpan slices_;
  std::size_t next_ = 0;
};

cleave::ChunkingOptions read_options(ByteSpan header) {
  const auto word = [&](std::size_t index) {
    return cleave::load_le<std::uint64_t>(header.data() + 9 + 8 * index);
  };
  const auto level = std::to_integer<std::uint32_t>(header[0]);
  cleave::ChunkingOptions options = {.min_size = word(1),
                                     .avg_size = word(2),
                                     .max_size = word(3),
                                     .level = level & 0x7f,
                                     .seed = word(0)};
  if (level < 0x80) {
    options.level %= 4;
    options.min_size = 64 + options.min_size % 512;
    options.avg_size = std::max<std::uint64_t>(options.min_size, 256) + options.avg_size % 2048;
    options.max_size = std::max<std::uint64_t>(options.avg_size, 1024) + options.max_size % 4096;
  }
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size < kHeader) return 0;
  const ByteSpan bytes = std::as_bytes(std::span(input, size));
  const ByteSpan data = bytes.subspan(kHeader);
  const cleave::ChunkingOptions options = read_options(bytes);
  const auto fastcdc = cleave::FastCdc::create(options);
  require(fastcdc.has_value() == options.validate().has_value());
  if (!fastcdc) return 0;

  const std::vector<cleave::Cut> cuts = cleave::cut_all(*fastcdc, data);
  const std::vector<cleave::Cut> expected = cleave::test::reference_cuts(options, data);
  require(cuts.size() == expected.size());
  SlicingSource source(data, bytes.subspan(1, 8));
  cleave::ChunkStream stream(source, *fastcdc);
  std::size_t offset = 0;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const cleave::Cut cut = cuts[i];
    require(cut.length == expected[i].length && cut.gear_hash == expected[i].gear_hash);
    require(cut.length <= options.max_size);
    // An odd minimum may be missed by one byte, the last chunk may be any size.
    require(cut.length >= options.min_size / 2 * 2 || i + 1 == cuts.size());

    const auto chunk = stream.next();
    require(chunk && *chunk && (*chunk)->offset == offset && (*chunk)->gear_hash == cut.gear_hash);
    require(std::ranges::equal((*chunk)->payload.span(), data.subspan(offset, cut.length)));
    offset += cut.length;
  }
  require(offset == data.size());
  const auto end = stream.next();
  require(end && !*end);
  return 0;
}
