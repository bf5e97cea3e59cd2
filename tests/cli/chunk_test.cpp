// cleave chunk: what it prints is what the library cuts.
#include <nlohmann/json.hpp>

#include "cleave/chunk/chunker.h"
#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::MatchesRegex;

class ChunkCommand : public CliTest {
 protected:
  // Checks the chunks printed for `file` against those of the library, and that they are the file.
  void expect_chunks(const std::string& file, const ChunkingOptions& options,
                     HashAlgorithm algorithm, std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"chunk", file, "--json"});
    const json printed = json::parse(done(flags));
    const std::string bytes = read_file(at(file));
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

TEST_F(ChunkCommand, PrintsTheChunks) {
  make("file", text_of(mixed_bytes(1, 3'000'000)));
  expect_chunks("file", {}, HashAlgorithm::sha256, {});
  expect_chunks("file", {}, HashAlgorithm::blake3, {"--hash", "blake3"});
  expect_chunks(
      "file", {65, 257, 1025, 0, 0}, HashAlgorithm::sha256,
      {"--min", "65", "--avg", "257", "--max", "1025", "--level", "0", "--hash", "sha256"});
  expect_chunks("file", {4096, 16384, 65535, 3, 666}, HashAlgorithm::blake3,
                {"--min=4KiB", "--avg=16KiB", "--max=65535", "--level=3", "--seed=666",
                 "--hash=BLAKE3", "-j", "3"});
  expect_chunks(
      "file", {64, 256, 1024, 2, UINT64_MAX}, HashAlgorithm::sha256,
      {"--min=64", "--avg=256", "--max=1024", "--level=2", "--seed=18446744073709551615"});
  EXPECT_THAT(names(), ElementsAre("file"));
  EXPECT_FALSE(std::filesystem::exists(store()));
}

TEST_F(ChunkCommand, StandardInput) {
  const std::string text = text_of(mixed_bytes(2, 100'000));
  make("file", text);
  EXPECT_EQ(done({"chunk", "-"}, {.in = text}), done({"chunk", "file"}));
  const auto chunks_of = [&](const std::string& file, const RunOptions& options) {
    json printed = json::parse(done(with_small_chunks({"chunk", file, "--json"}), options));
    EXPECT_EQ(printed["file"], file);
    return printed["chunks"];
  };
  EXPECT_EQ(chunks_of("-", {.in = text}), chunks_of("file", {}));
}

TEST_F(ChunkCommand, ForPeopleATable) {
  make("file", "text");
  EXPECT_THAT(done({"chunk", "file"}),
              MatchesRegex("OFFSET  LENGTH  HASH\n     0       4  982d9e3eb996f559[0-9a-f]{48}\n"));
  make("file", std::string(3000, 'x'));
  EXPECT_THAT(done({"chunk", "file", "--min", "1KiB", "--avg", "1KiB", "--max", "2KiB"}),
              MatchesRegex("OFFSET +LENGTH +HASH\n +0 +2048  [0-9a-f]+\n +2048 +952  [0-9a-f]+\n"));
}

TEST_F(ChunkCommand, SizesMustMakeSense) {
  make("file", "text");
  const auto run_with = [&](std::vector<std::string> args, const std::vector<std::string>& flags) {
    args.insert(args.end(), flags.begin(), flags.end());
    return cleave(args);
  };
  for (const char* name : {"chunk", "add"}) {
    for (const std::vector<std::string>& flags :
         std::vector<std::vector<std::string>>{{"--min", "1"},
                                               {"--min", "63"},
                                               {"--min", "2MiB"},
                                               {"--avg", "255"},
                                               {"--avg", "512KiB", "--min", "1MiB"},
                                               {"--max", "17MiB"},
                                               {"--max", "1TiB"},
                                               {"--max", "1MiB", "--avg", "4MiB"},
                                               {"--max", "99999999999999999999999"},
                                               {"--level", "4"}}) {
      SCOPED_TRACE(testing::PrintToString(flags));
      expect_failed(run_with({name, "file"}, flags), kUsage, "invalid_chunking_options",
                    {flags[0].substr(2)});
    }
    for (const std::vector<std::string>& flags :
         std::vector<std::vector<std::string>>{{"--level", "-1"},
                                               {"--min"},
                                               {"--min", "-5"},
                                               {"--min", "many"},
                                               {"--avg", "12QiB"},
                                               {"--max", "99999999999TiB"},
                                               {"--seed", "18446744073709551616"},
                                               {"--seed", "-1"},
                                               {"--seed", "x"},
                                               {"--hash", "md5"}}) {
      SCOPED_TRACE(testing::PrintToString(flags));
      const Outcome outcome = run_with({name, "file"}, flags);
      EXPECT_TRUE(exits_with(outcome, kUsage));
      EXPECT_EQ(outcome.out, "");
      EXPECT_THAT(outcome.err, testing::HasSubstr("--help"));
    }
  }
}

}  // namespace
}  // namespace cleave::test
