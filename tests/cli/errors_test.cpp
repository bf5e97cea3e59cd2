// Bad input and bad stores: what is said, the exit code, and that nothing half-written stays.
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/cli/cli_test.h"
#include "tests/support/nar.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class Errors : public CliTest {
 protected:
  // Flips a bit in the middle of the only pack.
  void damage_pack() const {
    std::fstream pack(store() / "packs/0000000001.pack", std::ios::in | std::ios::out);
    const auto middle =
        static_cast<std::streamoff>(fs::file_size(store() / "packs/0000000001.pack") / 2);
    pack.seekg(middle);
    const auto byte = static_cast<char>(pack.get() ^ 0x10);
    pack.seekp(middle);
    pack.put(byte);
  }
};

TEST_F(Errors, SettingsThatMakeNoSenseAreNamedAndIgnored) {
  for (const bool quiet : {false, true}) {
    Command listing =
        command(quiet ? std::vector<std::string>{"-q", "ls"} : std::vector<std::string>{"ls"});
    listing.env["CLEAVE_READAHEAD_BYTES"] = "much";
    const Outcome outcome = run(listing);
    const Outcome usual = run(command({"ls"}));
    EXPECT_EQ(outcome.code, usual.code);
    EXPECT_EQ(outcome.out, usual.out);
    const std::string warning =
        "cleave: CLEAVE_READAHEAD_BYTES is not a number it can be: ignored\n";
    EXPECT_EQ(outcome.err, (quiet ? "" : warning) + usual.err);
  }
}

TEST_F(Errors, CommandLine) {
  make("a", "");
  const std::vector<std::vector<std::string>> bad = {
      {},
      {"nonsense"},
      {"--nonsense", "ls"},
      {"ls", "--nonsense"},
      {"ls", "extra"},
      {"add"},
      {"get"},
      {"get", "a", "b"},
      {"rm"},
      {"cat"},
      {"-j", "0", "ls"},
      {"-j", "many", "ls"},
      {"-j", "-1", "ls"},
      {"--store"},
      {"add", "a", "--min", "x"},
      {"add", "a", "--min", "-5"},
      {"add", "a", "--avg", "12QiB"},
      {"add", "a", "--compression-level", "99"},
      {"add", "a", "--seed", "18446744073709551616"},
      {"add", "a", "--seed", "-1"},
      {"chunk", "a", "--hash", "md5"},
      {"gc", "--max-unused", "101"},
      {"nar"},
      {"nar", "unpack", "a"},
      {"completion"},
      {"completion", "tcsh"},
  };
  for (const auto& args : bad) {
    const Outcome outcome = cleave(args);
    EXPECT_EQ(outcome.code, kUsage) << testing::PrintToString(args) << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("--help"));
  }
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(Errors, ChunkSizes) {
  make("a", "contents");
  for (const char* command : {"add", "chunk"}) {
    expect_failed(cleave({command, "a", "--min", "1"}), kUsage, {"min"});
    expect_failed(cleave({command, "a", "--min", "64KiB", "--avg", "32KiB"}), kUsage, {"avg"});
    expect_failed(cleave({command, "a", "--avg", "1MiB", "--max", "64KiB"}), kUsage, {"max"});
    expect_failed(cleave({command, "a", "--max", "1TiB"}), kUsage, {"max"});
    expect_failed(cleave({command, "a", "--max", "99999999999999999999999"}), kUsage, {"max"});
    expect_failed(cleave({command, "a", "--level", "4"}), kUsage, {"level"});
  }
}

TEST_F(Errors, Names) {
  make("a", "one");
  const std::string kept = "kept";
  done({"add", "a", "-n", kept});
  for (const std::string& name : {std::string("."), std::string(".."), std::string("new\nline"),
                                  std::string("not utf8 \xff"), std::string(256, 'x')}) {
    expect_failed(cleave({"add", "a", "-n", name}), kUsage, {"invalid_name"});
    expect_failed(cleave({"get", name}), kUsage, {"invalid_name"});
  }
  expect_failed(cleave({"add", "-"}, "x"), kUsage, {"--name"});
  expect_failed(cleave({"add", ""}), kUsage, {"empty path"});
  expect_failed(cleave({"add", "a", "a", "-n", "b"}), kUsage, {"--name"});
  expect_failed(cleave({"add", "a", "-n", kept}), kFailed, {"name_exists", "\"kept\""});
  for (const char* command : {"get", "cat", "rm", "verify"}) {
    expect_failed(cleave({command, "missing"}), kFailed, {"no_such_artifact", "\"missing\""});
  }
  EXPECT_EQ(done({"ls", "-1"}), "kept\n");
  EXPECT_THAT(names(), ElementsAre("a"));
}

// A name does not choose where it is written to.
TEST_F(Errors, NameThatIsAPath) {
  make("a", "contents");
  done({"add", "a", "-n", "/etc/../tmp/.."});
  expect_failed(cleave({"get", "/etc/../tmp/.."}), kUsage, {"invalid_name", "-o"});
  done({"get", "/etc/../tmp/..", "-o", "b"});
  done({"add", "a", "-n", "../escaped"});
  done({"get", "../escaped"});
  EXPECT_THAT(names(), UnorderedElementsAre("a", "b", "escaped"));
}

TEST_F(Errors, MissingPaths) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"add", "missing"},
                                             {"chunk", "missing"},
                                             {"nar", "pack", "missing"},
                                             {"nar", "ls", "missing"},
                                             {"nar", "cat", "missing", "x"},
                                             {"nar", "unpack", "missing", "-o", "out"}}) {
    expect_failed(cleave(args), kFailed, {"No such file", "path \""});
  }
  make("a", "contents");
  done({"add", "a"});
  expect_failed(cleave({"get", "a", "-o", "no/such/folder"}), kFailed, {"no/such", "No such file"});
  expect_failed(cleave({"nar", "pack", "a", "-o", "no/folder"}), kFailed, {"No such file"});
  expect_failed(cleave({"nar", "unpack", CLEAVE_TEST_DATA "/nar/folder.nar", "-o", "no/folder"}),
                kFailed, {"No such file"});
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(Errors, WhatMayNotBeRead) {
  make("file", "secret");
  make("tree/file", "secret");
  make("closed/file", "secret");
  fs::permissions(at("file"), fs::perms::none);
  fs::permissions(at("tree/file"), fs::perms::none);
  fs::permissions(at("closed"), fs::perms::none);
  fs::permissions(dir().path(), fs::perms(0777));
  const auto expect_refused = [&](const std::string& path) {
    Command add = command({"add", path});
    add.unprivileged = true;
    expect_failed(run(add), kFailed, {"Permission denied", path});
  };
  Command version = command({"--version"});
  version.unprivileged = true;
  if (!run(version).ok()) GTEST_SKIP() << "the command lies where only root may go";
  expect_refused("file");
  expect_refused("tree");
  expect_refused("closed");
  fs::permissions(at("closed"), fs::perms(0755));
  EXPECT_EQ(done({"ls"}), "");

  // Nor written.
  make("a", "contents");
  done({"add", "a"});
  fs::create_directory(at("sealed"));
  fs::permissions(at("sealed"), fs::perms(0555));
  fs::permissions(store(), fs::perms(0755));
  Command get = command({"get", "a", "-o", "sealed/out"});
  get.unprivileged = true;
  expect_failed(run(get), kFailed, {});
  EXPECT_TRUE(fs::is_empty(at("sealed")));
}

TEST_F(Errors, FifosAndDevices) {
  make("tree/file", "contents");
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((at("tree") / "fifo").c_str(), 0600), 0);
  for (const char* path : {"fifo", "tree", "/dev/null"}) {
    expect_failed(cleave({"add", path}), kMalformed, {"unsupported_file_type"});
    expect_failed(cleave({"nar", "pack", path, "-o", "out"}), kMalformed,
                  {"unsupported_file_type"});
  }
  expect_failed(cleave({"add", "fifo"}), kMalformed, {"fifo where", "\"fifo\""});
  expect_failed(cleave({"add", "tree"}), kMalformed, {"fifo", "tree/fifo\""});
  expect_failed(cleave({"add", "/dev/null"}), kMalformed, {"character device", "\"/dev/null\""});
  expect_failed(cleave({"nar", "unpack", "fifo", "-o", "out"}), kMalformed, {"\"fifo\""});
  expect_failed(cleave({"nar", "cat", "fifo", "x"}), kMalformed, {"\"fifo\""});

  fs::remove(at("tree/fifo"));
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  (at("tree") / "socket").native().copy(address.sun_path, sizeof address.sun_path - 1);
  // NOLINTNEXTLINE: what bind() wants
  ASSERT_EQ(::bind(socket, reinterpret_cast<struct sockaddr*>(&address), sizeof address), 0);
  ::close(socket);
  expect_failed(cleave({"add", "tree"}), kMalformed, {"socket", "tree/socket\""});
  fs::remove(at("tree/socket"));
  if (::mknod((at("tree") / "device").c_str(), S_IFBLK | 0600, makedev(7, 200)) == 0) {
    expect_failed(cleave({"add", "tree"}), kMalformed, {"block device", "tree/device\""});
    fs::remove(at("tree/device"));
  }
  done({"add", "tree"});
  EXPECT_EQ(done({"ls", "-1"}), "tree\n");
  EXPECT_THAT(names(), UnorderedElementsAre("fifo", "tree"));
}

TEST_F(Errors, NoStore) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"ls"}, {"get", "x"}, {"cat", "x"}, {"rm", "x"}, {"gc"}, {"verify"}, {"stats"}}) {
    expect_failed(cleave(args), kFailed, {"no_store", store().native(), "cleave add"});
  }
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(Errors, NotAStore) {
  make("folder/file", "mine");
  make("a", "");
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"ls"}, {"add", "a"}, {"rm", "x"}, {"gc"}, {"verify"}}) {
    for (const char* path : {"folder", "folder/file"}) {
      Command command = this->command(args);
      command.env["CLEAVE_STORE"] = path;
      expect_failed(run(command), kFailed, {"not_a_store", path});
    }
  }
  EXPECT_EQ(read_file(at("folder/file")), "mine");
  EXPECT_EQ(std::distance(fs::directory_iterator(at("folder")), {}), 1);

  done({"add", "a"});
  write_file(store() / "format", "something else\n");
  expect_failed(cleave({"ls"}), kFailed, {"not_a_store"});
}

TEST_F(Errors, StoreOfAnotherVersion) {
  make("a", "contents");
  done({"add", "a"});
  write_file(store() / "format", "cleave-store 2\n");
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"ls"}, {"add", "a", "--replace"}, {"get", "a"}, {"gc"}, {"verify"}}) {
    expect_failed(cleave(args), kFailed,
                  {"store_version_unsupported", "version 2", store().native()});
  }
  write_file(store() / "format", "cleave-store 1\n");
  EXPECT_EQ(done({"cat", "a"}), "contents");
}

TEST_F(Errors, DamagedPack) {
  Rng rng(1);
  make("file", random_text(rng, 30'000));
  make("tree/file", random_text(rng, 5'000'000));
  make("good", "good");
  done({"add", "file", "tree", "good"});
  damage_pack();

  expect_failed(cleave({"get", "tree", "-o", "out"}), kFailed, {"pack_damaged", "0000000001.pack"});
  expect_failed(cleave({"get", "tree", "--nar", "-o", "out"}), kFailed, {"pack_damaged"});
  make("old", "old");
  expect_failed(cleave({"get", "tree", "--nar", "-f", "-o", "old"}), kFailed, {"pack_damaged"});
  EXPECT_EQ(read_file(at("old")), "old");
  EXPECT_EQ(cleave({"cat", "tree"}).code, kFailed);
  EXPECT_THAT(names(), UnorderedElementsAre("file", "tree", "good", "old"));
  EXPECT_TRUE(done({"cat", "file", "good"}) == read_file(at("file")) + "good");

  const Outcome outcome = cleave({"verify"});
  EXPECT_EQ(outcome.code, kProblems);
  EXPECT_THAT(outcome.out, HasSubstr("damages tree\n"));
  EXPECT_THAT(outcome.out, HasSubstr("1 problems, 1 artifacts damaged\n"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("damages file")));
  EXPECT_EQ(cleave({"verify", "tree"}).code, kProblems);
  EXPECT_EQ(cleave({"verify", "file"}).code, kDone);

  const Outcome json = cleave({"verify", "--all", "--json"});
  EXPECT_EQ(json.code, kProblems);
  const auto report = nlohmann::json::parse(json.out);
  EXPECT_EQ(report["damaged_artifacts"], nlohmann::json::array({"tree"}));
  ASSERT_EQ(report["problems"].size(), 1U);
  EXPECT_EQ(report["problems"][0]["name"], "pack_damaged");
  EXPECT_THAT(report["problems"][0]["message"].get<std::string>(), HasSubstr("0000000001.pack"));
  EXPECT_EQ(report["problems"][0]["artifacts"], nlohmann::json::array({"tree"}));

  // Garbage collection does not carry damage on, and says so.
  done({"rm", "file", "-q"});
  const Outcome gc = cleave({"gc", "--max-unused", "0", "--json"});
  EXPECT_EQ(gc.code, kProblems);
  EXPECT_THAT(nlohmann::json::parse(gc.out)["problems"][0]["message"].get<std::string>(),
              HasSubstr("0000000001.pack"));
  EXPECT_EQ(done({"cat", "good"}), "good");
}

TEST_F(Errors, LostPack) {
  make("a", "contents");
  done({"add", "a"});
  fs::remove(store() / "packs/0000000001.pack");
  expect_failed(cleave({"get", "a", "-o", "out"}), kFailed, {"0000000001.pack"});
  EXPECT_EQ(cleave({"verify"}).code, kProblems);
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(Errors, DamagedIndex) {
  make("a", "contents");
  done({"add", "a"});
  const fs::path index = store() / "index/data.mdb";
  const std::string whole = read_file(index);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{100}, std::size_t{4096}, std::size_t{8192}, whole.size() / 2}) {
    SCOPED_TRACE(size);
    write_file(index, whole.substr(0, size));
    for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
             {"ls"}, {"get", "a", "-o", "out"}, {"add", "a", "--replace"}, {"gc"}}) {
      expect_failed(cleave(args), kFailed, {"index"});
    }
    EXPECT_THAT(names(), ElementsAre("a"));
  }
  write_file(index, whole);
  EXPECT_EQ(done({"cat", "a"}), "contents");
}

TEST_F(Errors, MalformedNars) {
  using namespace nar;
  const std::string good = archive(folder(entry("a", file("1")) + entry("b", file("22"))));
  std::string huge = archive(strs({"(", "type", "regular", "contents"}));
  const std::map<std::string, std::string> bad = {
      {"nar_bad_magic", str("nix-archive-2") + file("")},
      {"nar_truncated", good.substr(0, good.size() - 20)},
      {"nar_trailing_bytes", good + "x"},
      {"nar_unsorted_names", archive(folder(entry("b", file("1")) + entry("a", file("2"))))},
      {"nar_duplicate_name", archive(folder(entry("a", file("1")) + entry("a", file("2"))))},
      {"nar_invalid_name", archive(folder(entry("a", file("1")) + entry("..", file("2"))))},
      {"nar_length_out_of_range", huge + length(std::uint64_t{1} << 63)},
      {"nar_too_deep", nested(5000, folder(""))},
  };
  for (const auto& [name, bytes] : bad) {
    SCOPED_TRACE(name);
    make("bad.nar", bytes);
    for (const char* input : {"bad.nar", "-"}) {
      expect_failed(cleave({"nar", "unpack", input, "-o", "out"}, bytes), kMalformed, {name});
      EXPECT_EQ(cleave({"nar", "ls", input}, bytes).code, kMalformed);
    }
    EXPECT_THAT(names(), ElementsAre("bad.nar"));
  }
  // Any bytes may be stored.
  done({"add", "bad.nar"});

  make("good.nar", good);
  expect_failed(cleave({"nar", "cat", "good.nar", "c"}), kFailed, {"nar_entry_not_found", "\"c\""});
  expect_failed(cleave({"nar", "cat", "good.nar", ""}), kUsage, {"nar_not_a_file"});
}

TEST_F(Errors, ExistingOutputs) {
  make("out", "old");
  make("folder/keep", "kept");
  for (const char* nar : {"file.nar", "folder.nar"}) {
    for (const char* out : {"out", "folder"}) {
      expect_failed(
          cleave({"nar", "unpack", std::string(CLEAVE_TEST_DATA "/nar/") + nar, "-o", out}),
          kFailed, {"output_exists", out});
    }
  }
  expect_failed(cleave({"nar", "pack", "folder", "-o", "out"}), kFailed, {"output_exists"});
  done({"add", "folder", "out"});
  expect_failed(cleave({"get", "folder", "-o", "out"}), kFailed, {"output_exists"});
  expect_failed(cleave({"get", "out", "-o", "folder"}), kFailed, {"output_exists"});
  expect_failed(cleave({"get", "out", "-f", "-o", "folder"}), kFailed, {"folder"});
  EXPECT_EQ(read_file(at("out")), "old");
  EXPECT_EQ(read_file(at("folder/keep")), "kept");
  EXPECT_THAT(names(), UnorderedElementsAre("folder", "out"));
}

TEST_F(Errors, StandardOutputIsFull) {
  make("a", "contents");
  make_tree("tree");
  done({"add", "a", "tree"});
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"ls"},
                                             {"ls", "-1"},

                                             {"stats"},
                                             {"cat", "a"},
                                             {"get", "tree", "-o", "-"},
                                             {"verify"},
                                             {"chunk", "a"},
                                             {"nar", "pack", "tree"},
                                             {"completion", "bash"},
                                             {"nar", "ls", CLEAVE_TEST_DATA "/nar/folder.nar"}}) {
    SCOPED_TRACE(testing::PrintToString(args));
    Command command = this->command(args);
    command.out_to = "/dev/full";
    expect_failed(run(command), kFailed, {"standard output", "No space left"});
  }
}

}  // namespace
}  // namespace cleave::test
