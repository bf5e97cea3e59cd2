// FastCDC: chunks cover the input and keep their limits; the definition, one pass of every kernel,
// many threads, and streams and pushes sliced by the input agree.
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
#include "cleave/chunk/internal/gear_scan.h"
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

bool same(const std::vector<cleave::Cut>& cuts, const std::vector<cleave::Cut>& expected) {
  return std::ranges::equal(cuts, expected, [](const cleave::Cut& a, const cleave::Cut& b) {
    return a.length == b.length && a.gear_hash == b.gear_hash;
  });
}

void check_limits(const cleave::ChunkingOptions& options, const std::vector<cleave::Cut>& cuts,
                  std::size_t size) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    require(cuts[i].length <= options.max_size);
    // An odd minimum may be missed by one byte, the last chunk may be any size.
    require(cuts[i].length >= options.min_size / 2 * 2 || i + 1 == cuts.size());
    sum += cuts[i].length;
  }
  require(sum == size);
}

template <class Next>
void check_stream(Next next, const std::vector<cleave::Cut>& cuts, ByteSpan data) {
  std::size_t offset = 0;
  for (const cleave::Cut& cut : cuts) {
    const auto chunk = next();
    require(chunk && *chunk && (*chunk)->offset == offset && (*chunk)->gear_hash == cut.gear_hash);
    require(std::ranges::equal((*chunk)->payload.span(), data.subspan(offset, cut.length)));
    offset += cut.length;
  }
  const auto end = next();
  require(end && !*end);
}

cleave::Result<std::optional<cleave::Chunk>> push_until_chunk(cleave::PushChunker& chunker,
                                                              SlicingSource& source) {
  for (;;) {
    auto chunk = chunker.poll();
    if (!chunk || *chunk || chunker.finished()) return chunk;
    cleave::Buffer piece;
    piece.resize(4096);
    piece.resize(*source.read(piece.span()));
    if (piece.empty()) {
      chunker.finish();
    } else {
      chunker.push(std::move(piece).freeze());
    }
  }
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

  const std::vector<cleave::Cut> expected = cleave::test::reference_cuts(options, data);
  check_limits(options, expected, data.size());
  for (const cleave::GearKernel& kernel : cleave::gear_kernels()) {
    require(same(cleave::cut_all(*cleave::FastCdc::create(options, kernel), data), expected));
  }
  require(same(cleave::cut_all(*cleave::make_thread_executor(2), *fastcdc, data), expected));

  const ByteSpan slices = bytes.subspan(1, 8);
  SlicingSource source(data, slices);
  cleave::ChunkStream stream(source, *fastcdc);
  check_stream([&] { return stream.next(); }, expected, data);

  cleave::PushChunker pushed(*fastcdc);
  SlicingSource pieces(data, slices);
  check_stream([&] { return push_until_chunk(pushed, pieces); }, expected, data);
  return 0;
}
