// The vectors of tests/data/fastcdc, whose head explains the format: eagerly and as streams.
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cleave/chunk/chunk_stream.h"
#include "cleave/chunk/chunker.h"
#include "cleave/hash/sha256.h"
#include "tests/support/bytes.h"
#include "tests/support/chunking.h"
#include "tests/support/result.h"
#include "tests/support/temp_dir.h"

namespace cleave {
namespace {

using test::make_fastcdc;

const std::filesystem::path kFolder = std::filesystem::path(CLEAVE_TEST_DATA) / "fastcdc";

struct Vector {
  std::string input;
  ChunkingOptions options;
  std::vector<Cut> cuts;
};

std::vector<std::byte> make_input(std::size_t size, const std::string& kind,
                                  const std::string& argument) {
  if (kind == "file") {
    const std::string file = test::read_file(kFolder / argument);
    const ByteSpan bytes = as_byte_span(file);
    return {bytes.begin(), bytes.end()};
  }
  if (kind == "splitmix64") return test::random_bytes(std::stoull(argument), size);
  if (kind == "fill")
    return std::vector<std::byte>(size, static_cast<std::byte>(std::stoi(argument)));
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 31 + i / 7) % 251);
  return bytes;
}

class FastCdcVectors : public testing::Test {
 protected:
  FastCdcVectors() {
    std::ifstream file(kFolder / "vectors.txt");
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      if (line.starts_with("input ")) {
        std::string word, name, kind, argument, sha256_hex;
        std::size_t size = 0;
        words >> word >> name >> size >> kind >> argument >> sha256_hex;
        inputs[name] = make_input(size, kind, argument);
        EXPECT_EQ(to_hex(sha256(inputs[name]).span()), sha256_hex) << name;
      } else if (line.starts_with("vector ")) {
        std::string word;
        Vector& vector = vectors.emplace_back();
        ChunkingOptions& options = vector.options;
        words >> word >> vector.input >> options.min_size >> options.avg_size >> options.max_size >>
            options.level >> options.seed;
      } else if (!line.starts_with("#")) {
        Cut cut = {};
        std::size_t count = 1;
        words >> cut.length >> std::hex >> cut.gear_hash >> std::dec;
        if (!words.eof()) words >> count;
        EXPECT_FALSE(words.fail()) << line;
        vectors.back().cuts.insert(vectors.back().cuts.end(), count, cut);
      }
    }
    EXPECT_EQ(vectors.size(), 285U);
    EXPECT_EQ(inputs.size(), 24U);
  }

  std::map<std::string, std::vector<std::byte>> inputs;
  std::vector<Vector> vectors;
};

TEST_F(FastCdcVectors, HoldForDataInMemory) {
  for (const Vector& vector : vectors) {
    EXPECT_EQ(cut_all(make_fastcdc(vector.options), inputs[vector.input]), vector.cuts)
        << vector.input << ' ' << vector.options.min_size << '/' << vector.options.avg_size << '/'
        << vector.options.max_size << " level " << vector.options.level << " seed "
        << vector.options.seed;
  }
}

TEST_F(FastCdcVectors, HoldForStreams) {
  std::mt19937_64 random(1);
  for (const Vector& vector : vectors) {
    const ByteSpan input = inputs[vector.input];
    const FastCdc fastcdc = make_fastcdc(vector.options);
    const std::size_t most = input.size() > 1'000'000 ? 1'000'000 : 1 + random() % 5000;
    test::SlicingSource source(input, [&] { return 1 + random() % most; });
    ChunkStream stream(source, fastcdc);
    std::uint64_t offset = 0;
    for (const Cut& cut : vector.cuts) {
      const auto next = stream.next();
      ASSERT_TRUE(test::ok(next));
      ASSERT_TRUE(next->has_value());
      const Chunk& chunk = **next;  // NOLINT(bugprone-unchecked-optional-access): asserted
      ASSERT_EQ(chunk.offset, offset);
      ASSERT_EQ((Cut{chunk.payload.size(), chunk.gear_hash}), cut);
      offset += cut.length;
    }
    ASSERT_EQ(offset, input.size());
    ASSERT_FALSE(stream.next()->has_value());
  }
}

struct Known {
  const char* input;
  ChunkingOptions options;
  std::vector<std::size_t> lengths;
};

// Published with the Rust crate and in its tests.
TEST_F(FastCdcVectors, HoldAsPublished) {
  const Known known[] = {
      {"sekien", {4096, 16384, 65535, 1, 0}, {21325, 17140, 28084, 18217, 24700}},
      {"sekien", {4096, 16384, 65535, 1, 666}, {10605, 55745, 11346, 5883, 11586, 14301}},
      {"sekien", {4096, 16384, 65535, 0, 0}, {6634, 59915, 25597, 5237, 12083}},
      {"sekien", {8192, 32768, 131072, 1, 0}, {66549, 42917}},
      {"formula",
       {1024, 6000, 16384, 1, 0},
       {6162, 7028, 7028, 7028, 7028, 7028, 7028, 7028, 7028, 3273}},
  };
  for (const Known& k : known) {
    std::vector<std::size_t> lengths;
    for (const Cut& cut : cut_all(make_fastcdc(k.options), inputs[k.input]))
      lengths.push_back(cut.length);
    EXPECT_EQ(lengths, k.lengths) << k.input;
  }
}

}  // namespace
}  // namespace cleave
