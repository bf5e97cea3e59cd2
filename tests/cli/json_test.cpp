// What programs read: every key that docs/cli.md promises.
#include <regex>
#include <set>

#include <nlohmann/json.hpp>

#include "tests/cli/cli_test.h"
#include "tests/support/nar.h"

namespace cleave::test {
namespace {

using nlohmann::json;

std::set<std::string> keys(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

bool is_hex(const json& text, std::size_t digits) {
  return text.is_string() && text.get<std::string>().size() == digits &&
         text.get<std::string>().find_first_not_of("0123456789abcdef") == std::string::npos;
}

const std::set<std::string> kArtifactKeys = {"name",   "kind",  "format", "size",
                                             "chunks", "added", "digest", "chunking"};

std::set<std::string> with(std::set<std::string> keys, const std::set<std::string>& more) {
  keys.insert(more.begin(), more.end());
  return keys;
}

void expect_artifact(const json& artifact) {
  EXPECT_TRUE(artifact.at("name").is_string());
  EXPECT_TRUE(artifact.at("size").is_number_unsigned());
  EXPECT_TRUE(artifact.at("chunks").is_number_unsigned());
  EXPECT_TRUE(is_hex(artifact.at("digest"), 64)) << artifact;
  const std::regex time(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z)");
  EXPECT_TRUE(std::regex_match(artifact.at("added").get<std::string>(), time)) << artifact;
  EXPECT_EQ(keys(artifact.at("chunking")),
            (std::set<std::string>{"min", "avg", "max", "level", "seed"}));
  for (const char* key : {"min", "avg", "max", "level"}) {
    EXPECT_TRUE(artifact.at("chunking").at(key).is_number_unsigned()) << key;
  }
  EXPECT_TRUE(artifact.at("chunking").at("seed").is_string());
}

class JsonOutput : public CliTest {
 protected:
  // One object, on one line.
  json object(std::vector<std::string> args) const {
    args.emplace_back("--json");
    return parse(done(args));
  }
  static json parse(const std::string& text) {
    EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
    json parsed = json::parse(text, nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << text;
    return parsed;
  }
};

TEST_F(JsonOutput, Add) {
  Rng rng(1);
  make("file", random_text(rng, 400'000));
  make("tree/x", "hi");
  json added = object({"add", "file", "tree", "--seed", "18446744073709551615"});
  EXPECT_EQ(keys(added), std::set<std::string>{"added"});
  ASSERT_EQ(added["added"].size(), 2U);
  for (const json& artifact : added["added"]) expect_artifact(artifact);

  const std::set<std::string> more = {"new_chunks", "new_bytes", "stored_bytes"};
  json& file = added["added"][0];
  EXPECT_EQ(keys(file), with(kArtifactKeys, more));
  EXPECT_EQ(file["name"], "file");
  EXPECT_EQ(file["kind"], "file");
  EXPECT_EQ(file["format"], "raw");
  EXPECT_EQ(file["size"], 400'000U);
  EXPECT_GT(file["chunks"], 0U);
  EXPECT_EQ(file["new_chunks"], file["chunks"]);
  EXPECT_EQ(file["new_bytes"], 400'000U);
  EXPECT_GE(file["stored_bytes"], 400'000U);  // it does not compress
  EXPECT_EQ(file["chunking"]["seed"], "18446744073709551615");

  json& tree = added["added"][1];
  EXPECT_EQ(keys(tree), with(with(kArtifactKeys, more), {"sha256", "nar_hash"}));
  EXPECT_EQ(tree["kind"], "folder");
  EXPECT_EQ(tree["format"], "nar");
  EXPECT_TRUE(is_hex(tree["sha256"], 64));
  EXPECT_EQ(tree["nar_hash"].get<std::string>().size(), std::string("sha256:").size() + 52);

  json again = object({"add", "file", "-n", "again", "--seed", "18446744073709551615"});
  EXPECT_EQ(again["added"][0]["new_chunks"], 0U);
  EXPECT_EQ(again["added"][0]["new_bytes"], 0U);
  EXPECT_EQ(again["added"][0]["stored_bytes"], 0U);
  EXPECT_EQ(again["added"][0]["digest"], file["digest"]);
}

TEST_F(JsonOutput, KnownHashes) {
  make("abc", "abc");
  EXPECT_EQ(object({"add", "abc", "--sha256"})["added"][0]["sha256"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // A file that is a NAR has its hash without being asked; nix-hash gave this one.
  const std::string nar = CLEAVE_TEST_DATA "/nar/file.nar";
  const json added = object({"add", nar})["added"][0];
  EXPECT_EQ(added["kind"], "file");
  EXPECT_EQ(added["format"], "nar");
  EXPECT_EQ(added["sha256"], "2ca0b8ce996f865db37619bfe91023559305aad8158042fc6ddb0ef1d43c5b67");
  EXPECT_EQ(added["nar_hash"], "sha256:0rsv7kag23nvdpy4500mv2m0b4sm4c8fkgqrfsrmv1kgk77bi81c");
}

TEST_F(JsonOutput, Get) {
  make("file", "contents");
  json added = object({"add", "file"})["added"][0];
  json got = object({"get", "file", "-o", "out"});
  expect_artifact(got);
  EXPECT_EQ(keys(got), with(kArtifactKeys, {"path"}));
  EXPECT_EQ(got["path"], "out");
  EXPECT_EQ(got["digest"], added["digest"]);
  EXPECT_EQ(got["added"], added["added"]);

  got = object({"get", "file", "-o", "od\xff"});
  EXPECT_EQ(keys(got), with(kArtifactKeys, {"path", "path_hex"}));
  EXPECT_EQ(got["path_hex"], "6f64ff");
  EXPECT_TRUE(std::filesystem::exists(at("od\xff")));
}

TEST_F(JsonOutput, Ls) {
  make("a", "1");
  make("b", "2");
  object({"add", "b", "a"});
  const json list = object({"ls"});
  EXPECT_EQ(keys(list), std::set<std::string>{"artifacts"});
  ASSERT_EQ(list["artifacts"].size(), 2U);
  EXPECT_EQ(list["artifacts"][0]["name"], "a");
  for (const json& artifact : list["artifacts"]) {
    expect_artifact(artifact);
    EXPECT_EQ(keys(artifact), kArtifactKeys);
  }
  EXPECT_EQ(object({"rm", "a", "b"}), json::parse(R"({"removed": ["a", "b"]})"));
  EXPECT_EQ(object({"ls"}), json::parse(R"({"artifacts": []})"));
}

TEST_F(JsonOutput, Gc) {
  Rng rng(2);
  make("keep", random_text(rng, 10'000));
  make("drop", random_text(rng, 300'000));
  object({"add", "keep", "drop"});
  object({"rm", "drop"});
  const std::set<std::string> expected = {"removed_chunks",  "freed_bytes",  "removed_packs",
                                          "rewritten_packs", "copied_bytes", "unused_bytes",
                                          "waiting_packs",   "problems"};
  json dry = object({"gc", "-n"});
  EXPECT_EQ(keys(dry), expected);
  json report = object({"gc"});
  EXPECT_EQ(keys(report), expected);
  for (const std::string& key : expected) {
    EXPECT_TRUE(key == "problems" || report[key].is_number_unsigned()) << key;
  }
  EXPECT_EQ(report["problems"], json::array());
  EXPECT_GT(report["removed_chunks"], 0U);
  EXPECT_GE(report["freed_bytes"], 290'000U);
  EXPECT_EQ(report["rewritten_packs"], 1U);
  EXPECT_GE(report["copied_bytes"], 10'000U);
  EXPECT_EQ(object({"gc"})["removed_chunks"], 0U);
}

TEST_F(JsonOutput, VerifyAndStats) {
  Rng rng(7);
  make("file", random_text(rng, 200'000));
  json added = object({"add", "file"})["added"][0];
  object({"add", "file", "-n", "twice"});
  json report = object({"verify"});
  EXPECT_EQ(keys(report), (std::set<std::string>{"artifacts", "chunks", "bytes",
                                                 "damaged_artifacts", "problems"}));
  EXPECT_EQ(report["artifacts"], 2U);
  EXPECT_EQ(report["chunks"], added["chunks"]);
  EXPECT_EQ(report["bytes"], 200'000U);
  EXPECT_EQ(report["damaged_artifacts"], json::array());
  EXPECT_EQ(report["problems"], json::array());

  json stats = object({"stats"});
  const std::set<std::string> expected = {
      "artifacts",     "artifact_bytes", "chunks", "chunk_bytes", "stored_bytes",
      "unused_chunks", "unused_bytes",   "packs",  "pack_bytes",  "index_bytes"};
  EXPECT_EQ(keys(stats), expected);
  for (const std::string& key : expected) EXPECT_TRUE(stats[key].is_number_unsigned()) << key;
  EXPECT_EQ(stats["artifacts"], 2U);
  EXPECT_EQ(stats["artifact_bytes"], 400'000U);
  EXPECT_EQ(stats["chunks"], added["chunks"]);
  EXPECT_EQ(stats["chunk_bytes"], 200'000U);
  EXPECT_EQ(stats["stored_bytes"], added["stored_bytes"]);
  EXPECT_EQ(stats["unused_chunks"], 0U);
  EXPECT_EQ(stats["packs"], 1U);
  EXPECT_EQ(stats["pack_bytes"], std::filesystem::file_size(first_pack()));
  EXPECT_GT(stats["index_bytes"], 0U);
  object({"rm", "file", "twice"});
  EXPECT_EQ(object({"stats"})["unused_chunks"], added["chunks"]);
}

// The vectors of the crate fastcdc for this picture.
TEST_F(JsonOutput, Chunk) {
  const std::string picture = CLEAVE_TEST_DATA "/fastcdc/SekienAkashita.jpg";
  const auto chunk = [&](const std::string& seed, std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"chunk", picture, "--min",   "4096", "--avg",  "16384",
                                     "--max", "65535", "--level", "1",    "--seed", seed};
    args.insert(args.end(), more.begin(), more.end());
    return object(args);
  };
  const auto lengths = [](const json& chunks) {
    std::vector<std::uint64_t> result;
    for (const json& part : chunks["chunks"]) result.push_back(part.at("length"));
    return result;
  };

  const json chunks = chunk("0");
  EXPECT_EQ(keys(chunks), (std::set<std::string>{"file", "size", "chunks"}));
  EXPECT_EQ(chunks["file"], picture);
  EXPECT_EQ(chunks["size"], 109'466U);
  EXPECT_EQ(lengths(chunks), (std::vector<std::uint64_t>{21325, 17140, 28084, 18217, 24700}));
  std::uint64_t offset = 0;
  for (const json& part : chunks["chunks"]) {
    EXPECT_EQ(keys(part), (std::set<std::string>{"offset", "length", "hash", "gear"}));
    EXPECT_EQ(part["offset"], offset);
    EXPECT_TRUE(is_hex(part["hash"], 64));
    offset += part["length"].get<std::uint64_t>();
  }
  EXPECT_EQ(chunks["chunks"][0]["gear"], "17968276318003433923");
  EXPECT_EQ(chunks["chunks"][0]["hash"],
            "695429afe5937d6c75099f6e587267065a64e9dd83596a3d7386df3ef5a792c2");
  EXPECT_EQ(chunk("0", {"--hash", "sha256"}), chunks);
  EXPECT_EQ(lengths(chunk("666")),
            (std::vector<std::uint64_t>{10605, 55745, 11346, 5883, 11586, 14301}));

  make("abc", "abc");
  EXPECT_EQ(object({"chunk", "abc", "--hash", "blake3"})["chunks"][0]["hash"],
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
  make("empty", "");
  EXPECT_EQ(object({"chunk", "empty"}),
            json::parse(R"({"file": "empty", "size": 0, "chunks": []})"));
}

TEST_F(JsonOutput, NarLs) {
  make("a.nar", nar::archive(nar::folder(nar::entry("a\xff", nar::symlink("t\xfe")) +
                                         nar::entry("b", nar::file("hi", nar::kExecutable)))));
  const json list = object({"nar", "ls", "a.nar"});
  const std::size_t offset = read_file(at("a.nar")).rfind("hi");
  EXPECT_EQ(list, json({{"entries",
                         {{{"path", ""}, {"type", "directory"}},
                          {{"path", "a\\xff"},
                           {"path_hex", "61ff"},
                           {"type", "symlink"},
                           {"target", "t\\xfe"},
                           {"target_hex", "74fe"}},
                          {{"path", "b"},
                           {"type", "regular"},
                           {"executable", true},
                           {"size", 2},
                           {"offset", offset}}}}}));
}

TEST_F(JsonOutput, Errors) {
  const auto error = [&](const std::vector<std::string>& args) {
    const Outcome outcome = cleave(args);
    EXPECT_TRUE(exits_with(outcome, kFailed));
    return parse(outcome.err);
  };
  json missing = error({"ls", "--json"});
  EXPECT_EQ(keys(missing), std::set<std::string>{"error"});
  EXPECT_EQ(keys(missing["error"]), (std::set<std::string>{"name", "message"}));
  EXPECT_EQ(missing["error"]["name"], "no_store");
  EXPECT_THAT(missing["error"]["message"].get<std::string>(), testing::StartsWith("no_store: "));

  missing = error({"--json", "add", "missing"});
  EXPECT_EQ(missing["error"]["name"], "io_error");
  EXPECT_EQ(missing["error"]["os_error"], ENOENT);
  // What could be done is on standard output all the same.
  make("a", "");
  const Outcome outcome = cleave({"--json", "add", "missing", "a"});
  EXPECT_TRUE(exits_with(outcome, kFailed));
  EXPECT_EQ(parse(outcome.out)["added"].size(), 1U);
  EXPECT_EQ(parse(outcome.err)["error"]["os_error"], ENOENT);
}

}  // namespace
}  // namespace cleave::test
