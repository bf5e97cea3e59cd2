// cleave chunk: what it prints is what the library cuts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cleave/chunk/chunker.h"
#include "tests/support/bytes.h"
#include "tests/support/command.h"

namespace cleave::test {
namespace {

using nlohmann::json;
using testing::ContainsRegex;

class CliChunk : public CommandTest {
 protected:
  // Checks the chunks printed for `file` against those of the library, and that they are the file.
  void expect_chunks(const std::string& file, const ChunkingOptions& options,
                     HashAlgorithm algorithm, std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"chunk", file, "--json"});
    const json printed = json::parse(output_of(flags));
    const std::string bytes = read_file(file);
    const auto executor = make_inline_executor();
    const auto expected = describe_chunks(*executor, FastCdc::create(options).value(), algorithm,
                                          as_byte_span(bytes));
    EXPECT_EQ(printed["file"], file);
    EXPECT_EQ(printed["size"], bytes.size());
    ASSERT_EQ(printed["chunks"].size(), expected.size());
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const json& chunk = printed["chunks"][i];
      ASSERT_EQ(chunk.size(), 4u);
      ASSERT_EQ(chunk["offset"], offset);
      ASSERT_EQ(chunk["length"], expected[i].length);
      const auto length = chunk["length"].get<std::size_t>();
      const ByteSpan content = as_byte_span(bytes).subspan(offset, length);
      ASSERT_EQ(chunk["hash"], to_hex(hash(algorithm, content).span()));
      ASSERT_EQ(chunk["gear"], std::to_string(expected[i].gear_hash));
      offset += length;
    }
    EXPECT_EQ(offset, bytes.size());
  }
};

TEST_F(CliChunk, PrintsTheChunks) {
  const std::string file = path("file");
  write_file(file, text_of(mixed_bytes(1, 3'000'000)));
  expect_chunks(file, {}, HashAlgorithm::sha256, {});
  expect_chunks(file, {}, HashAlgorithm::blake3, {"--hash", "blake3"});
  expect_chunks(
      file, {65, 257, 1025, 0, 0}, HashAlgorithm::sha256,
      {"--min", "65", "--avg", "257", "--max", "1025", "--level", "0", "--hash", "sha256"});
  expect_chunks(file, {4096, 16384, 65535, 3, 666}, HashAlgorithm::blake3,
                {"--min=4KiB", "--avg=16KiB", "--max=65535", "--level=3", "--seed=666",
                 "--hash=BLAKE3", "-j", "3"});
  expect_chunks(
      file, {64, 256, 1024, 2, UINT64_MAX}, HashAlgorithm::sha256,
      {"--min=64", "--avg=256", "--max=1024", "--level=2", "--seed=18446744073709551615"});
  EXPECT_FALSE(std::filesystem::exists(store));
}

TEST_F(CliChunk, OfAnEmptyFileThereAreNone) {
  write_file(dir / "empty", "");
  const json printed = json::parse(output_of({"chunk", path("empty"), "--json"}));
  EXPECT_EQ(printed["size"], 0);
  EXPECT_TRUE(printed["chunks"].is_array());
  EXPECT_TRUE(printed["chunks"].empty());
  EXPECT_EQ(printed.size(), 3u);
}

TEST_F(CliChunk, StandardInput) {
  const std::string text = text_of(mixed_bytes(2, 100'000));
  write_file(dir / "file", text);
  json from_file = json::parse(output_of(with_small_chunks({"chunk", path("file"), "--json"})));
  json piped = json::parse(output_of(with_small_chunks({"chunk", "-", "--json"}), {.input = text}));
  EXPECT_EQ(piped["chunks"], from_file["chunks"]);
  EXPECT_EQ(piped["file"], "-");
}

TEST_F(CliChunk, ForPeopleATable) {
  write_file(dir / "file", "text");
  EXPECT_THAT(
      output_of({"chunk", path("file")}),
      ContainsRegex("^OFFSET  LENGTH  HASH\n     0       4  982d9e3eb996f559[0-9a-f]{48}\n$"));
}

TEST_F(CliChunk, SizesMustMakeSense) {
  write_file(dir / "file", "text");
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{{"--min", "63"},
                                             {"--min", "2MiB"},
                                             {"--avg", "255"},
                                             {"--max", "17MiB"},
                                             {"--min", "1MiB", "--avg", "512KiB"},
                                             {"--avg", "4MiB", "--max", "1MiB"},
                                             {"--level", "4"},
                                             {"--level", "-1"},
                                             {"--min", "-5"},
                                             {"--min", "many"},
                                             {"--min", "99999999999999999999999"},
                                             {"--max", "99999999999TiB"},
                                             {"--seed", "18446744073709551616"},
                                             {"--seed", "x"},
                                             {"--hash", "md5"},
                                             {"--min"}}) {
    for (const char* name : {"chunk", "add"}) {
      std::vector<std::string> args = {name, path("file")};
      args.insert(args.end(), flags.begin(), flags.end());
      const Outcome outcome = cleave(args);
      EXPECT_TRUE(exits_with(outcome, kUsage)) << testing::PrintToString(args);
      EXPECT_FALSE(outcome.err.empty());
      EXPECT_EQ(outcome.out, "");
    }
  }
}

}  // namespace
}  // namespace cleave::test
