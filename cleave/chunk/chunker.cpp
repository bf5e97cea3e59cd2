#include "cleave/chunk/chunker.h"

namespace cleave {

std::vector<Cut> cut_all(const FastCdc& fastcdc, ByteSpan data) {
  std::vector<Cut> cuts;
  cuts.reserve(data.size() / fastcdc.options().avg_size + 1);
  while (!data.empty()) {
    const Cut cut = fastcdc.cut(data);
    cuts.push_back(cut);
    data = data.subspan(cut.length);
  }
  return cuts;
}

std::vector<ChunkDescriptor> describe_chunks(Executor& executor, const FastCdc& fastcdc,
                                             HashAlgorithm algorithm, ByteSpan data) {
  std::vector<ChunkDescriptor> chunks;
  std::uint64_t offset = 0;
  for (const Cut& cut : cut_all(fastcdc, data)) {
    chunks.push_back({{}, offset, cut.length, cut.gear_hash});
    offset += cut.length;
  }
  executor.run(chunks.size(), [&](std::size_t i) {
    chunks[i].hash = hash(algorithm, data.subspan(chunks[i].offset, chunks[i].length));
  });
  return chunks;
}

}  // namespace cleave
