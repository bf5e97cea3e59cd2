#include "cleave/chunk/chunker.h"

#include <algorithm>

#include "cleave/base/settings.h"

namespace cleave {

namespace {

// Small chunks are hashed together: passing one on would cost more than hashing it.
constexpr std::uint64_t kHashTogether = std::uint64_t{256} << 10;

void hash_on(Executor& executor, HashAlgorithm algorithm, ByteSpan data,
             std::span<ChunkDescriptor> chunks) {
  std::vector<std::size_t> groups = {0};
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    size += chunks[i].length;
    if (size < kHashTogether) continue;
    groups.push_back(i + 1);
    size = 0;
  }
  if (groups.back() != chunks.size()) groups.push_back(chunks.size());
  executor.run(groups.size() - 1, [&](std::size_t group) {
    for (std::size_t i = groups[group]; i < groups[group + 1]; ++i) {
      chunks[i].hash = hash(algorithm, data.subspan(chunks[i].offset, chunks[i].length));
    }
  });
}

}  // namespace

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
  if (executor.concurrency() > 1 && data.size() < settings().parallel_threshold) {
    return describe_chunks(*make_inline_executor(), fastcdc, algorithm, data);
  }
  const std::vector<Cut> cuts = cut_all(executor, fastcdc, data);
  std::vector<ChunkDescriptor> chunks;
  chunks.reserve(cuts.size());
  std::uint64_t offset = 0;
  for (const Cut& cut : cuts) {
    chunks.push_back({{}, offset, cut.length, cut.gear_hash});
    offset += cut.length;
  }
  hash_on(executor, algorithm, data, chunks);
  return chunks;
}

}  // namespace cleave
