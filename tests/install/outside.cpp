// Cuts some bytes into chunks with nothing but an installed Cleave.
#include <cleave/base/version.h>
#include <cleave/chunk/chunker.h>
#include <cleave/chunk/fastcdc.h>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
  std::vector<std::byte> data(1 << 20);
  std::uint32_t random = 1;
  for (std::byte& byte : data) {
    random = random * 1664525 + 1013904223;
    byte = static_cast<std::byte>(random >> 24);
  }

  const auto fastcdc = cleave::FastCdc::create(
      {.min_size = 4096, .avg_size = 16384, .max_size = 65536, .level = 1, .seed = 0});
  if (!fastcdc) return 1;
  const auto executor = cleave::make_executor(2);
  const auto chunks =
      cleave::describe_chunks(*executor, *fastcdc, cleave::HashAlgorithm::blake3, data);

  std::uint64_t end = 0;
  for (const auto& chunk : chunks) {
    if (chunk.offset != end) return 1;
    end += chunk.length;
  }
  std::printf("cleave %s: %zu chunks\n", cleave::kVersion.data(), chunks.size());
  return end == data.size() && chunks.size() > 16 ? 0 : 1;
}
