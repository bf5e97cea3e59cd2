// Each bad input is a clear error that names the thing, with the right exit code; nothing
// half-written is left.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/command.h"
#include "tests/support/nar.h"
#include "tests/support/tree.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class CliBadInput : public CommandTest {
 protected:
  // It fails with `code`, says so in one line that starts with the error's name, and names
  // `subject`.
  void expect_error(const std::vector<std::string>& args, int code, const std::string& error,
                    const std::string& subject, const RunOptions& options = {}) {
    const Outcome outcome = cleave(args, options);
    EXPECT_TRUE(exits_with(outcome, code)) << testing::PrintToString(args);
    EXPECT_THAT(outcome.err, StartsWith("cleave: " + error)) << testing::PrintToString(args);
    EXPECT_THAT(outcome.err, HasSubstr(subject)) << testing::PrintToString(args);
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  }
};

TEST_F(CliBadInput, MissingPaths) {
  expect_error({"add", path("missing")}, kFailed, "io_error", path("missing"));
  expect_error({"chunk", path("missing")}, kFailed, "io_error", path("missing"));
  expect_error({"nar", "pack", path("missing")}, kFailed, "io_error", path("missing"));
  expect_error({"nar", "unpack", path("missing"), "-o", path("out")}, kFailed, "io_error",
               path("missing"));
  expect_error({"nar", "ls", path("missing")}, kFailed, "io_error", path("missing"));
  expect_error({"nar", "cat", path("missing"), "x"}, kFailed, "io_error", path("missing"));
  EXPECT_FALSE(fs::exists(dir / "out"));
}

TEST_F(CliBadInput, AnArtifactThatIsNotThere) {
  write_file(dir / "file", "text");
  output_of({"add", path("file")});
  for (const char* command : {"get", "cat", "rm", "verify"}) {
    expect_error({command, "nothing"}, kFailed, "no_such_artifact", "\"nothing\"");
  }
  const Outcome some = cleave({"rm", "nothing", "file"});
  EXPECT_TRUE(exits_with(some, kFailed));
  EXPECT_EQ(some.out, "removed  file\n");
}

void become_nobody() {
  if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(125);
}

TEST_F(CliBadInput, UnreadablePaths) {
  make_file(dir / "tree/secret", "secret");
  fs::create_directory(dir / "tree/closed");
  fs::permissions(dir / "tree/secret", fs::perms(0));
  fs::permissions(dir / "tree/closed", fs::perms(0));
  fs::permissions(dir.path(), fs::perms(0777));
  RunOptions options;
  if (::geteuid() == 0) options.in_child = become_nobody;
  if (cleave({"--version"}, options).exit_code != 0) GTEST_SKIP() << "the command is private";
  expect_error({"add", path("tree/secret")}, kFailed, "io_error", path("tree/secret"), options);
  expect_error({"add", path("tree")}, kFailed, "io_error", path("tree/closed"), options);
  fs::remove(dir / "tree/closed");
  expect_error({"add", path("tree")}, kFailed, "io_error", path("tree/secret"), options);
  expect_error({"nar", "pack", path("tree"), "-o", path("out")}, kFailed, "io_error",
               path("tree/secret"), options);
  EXPECT_FALSE(fs::exists(dir / "out"));
  EXPECT_EQ(output_of({"ls"}, options), "");
}

TEST_F(CliBadInput, ANameThatExists) {
  write_file(dir / "file", "one");
  output_of({"add", path("file")});
  write_file(dir / "file", "two");
  expect_error({"add", path("file")}, kFailed, "name_exists", "\"file\"");
  EXPECT_EQ(output_of({"cat", "file"}), "one");
}

TEST_F(CliBadInput, NamesThatAreNone) {
  write_file(dir / "file", "text");
  for (const std::string name : {".", "..", "a\nb", "\xff"}) {
    const Outcome outcome = cleave({"add", path("file"), "--name", name});
    EXPECT_TRUE(exits_with(outcome, kUsage));
    EXPECT_THAT(outcome.err, StartsWith("cleave: invalid_name"));
  }
  EXPECT_TRUE(exits_with(cleave({"add", path("file"), "--name", std::string(256, 'x')}), kUsage));
  EXPECT_TRUE(exits_with(cleave({"add", "-"}), kUsage));
  EXPECT_TRUE(exits_with(cleave({"add", "/"}), kUsage));
  EXPECT_TRUE(exits_with(cleave({"add", path("file"), path("file"), "--name", "x"}), kUsage));
  EXPECT_FALSE(fs::exists(store) && output_of({"ls"}) != "");
}

TEST_F(CliBadInput, CommandLinesThatMakeNoSense) {
  write_file(dir / "file", "text");
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{},
                                             {"frobnicate"},
                                             {"--frobnicate"},
                                             {"add"},
                                             {"add", path("file"), "--frobnicate"},
                                             {"add", path("file"), "--compression-level", "0"},
                                             {"add", path("file"), "--compression-level", "20"},
                                             {"get"},
                                             {"get", "a", "b"},
                                             {"ls", "a"},
                                             {"gc", "--max-unused", "101"},
                                             {"gc", "--max-unused", "-1"},
                                             {"verify", "--all", "a"},
                                             {"-j", "0", "ls"},
                                             {"-j", "2000", "ls"},
                                             {"nar"},
                                             {"nar", "frobnicate"},
                                             {"nar", "unpack", "x"},
                                             {"nar", "cat", "x"},
                                             {"completion", "tcsh"},
                                             {"chunk"}}) {
    const Outcome outcome = cleave(args);
    EXPECT_TRUE(exits_with(outcome, kUsage)) << testing::PrintToString(args);
    EXPECT_NE(outcome.err, "");
    EXPECT_EQ(outcome.out, "") << testing::PrintToString(args);
  }
  EXPECT_FALSE(fs::exists(store));
}

// Every command that needs a store.
std::vector<std::vector<std::string>> store_commands(const std::string& file) {
  return {{"ls"},    {"cat", "a"}, {"get", "a"},        {"rm", "a"},  {"gc"},
          {"stats"}, {"verify"},   {"verify", "--all"}, {"add", file}};
}

TEST_F(CliBadInput, AStoreThatIsNone) {
  write_file(dir / "file", "text");
  const std::vector<std::string> adding = {"add", path("file")};
  for (const auto& args : store_commands(path("file"))) {
    if (args != adding) expect_error(args, kFailed, "no_store", store.native());
  }
  EXPECT_FALSE(fs::exists(store));
  make_file(store / "thesis.txt", "precious");
  for (const auto& args : store_commands(path("file"))) {
    expect_error(args, kFailed, "not_a_store", store.native());
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(store), {}), 1);
  fs::remove_all(store);
  write_file(store, "a file");
  for (const auto& args : store_commands(path("file"))) {
    expect_error(args, kFailed, "not_a_store", store.native());
  }
}

TEST_F(CliBadInput, AStoreOfAnotherVersion) {
  write_file(dir / "file", "text");
  output_of({"add", path("file")});
  write_file(store / "format", "cleave-store 7\n");
  for (const auto& args : store_commands(path("file"))) {
    expect_error(args, kFailed, "store_version_unsupported", "version 7");
  }
}

TEST_F(CliBadInput, DamagedPacks) {
  write_file(dir / "a", text_of(random_bytes(1, 5'000)));
  output_of({"add", path("a")});
  const fs::path pack = store / "packs/0000000001.pack";
  const std::string whole = read_file(pack);
  std::string flipped = whole;
  flipped[1000] = static_cast<char>(flipped[1000] ^ 1);
  for (const std::string& bytes : {flipped, whole.substr(0, 1000), std::string()}) {
    write_file(pack, bytes);
    expect_error({"get", "a", "-o", path("out")}, kFailed, "pack_damaged", pack.native());
    expect_error({"cat", "a"}, kFailed, "pack_damaged", pack.native());
    EXPECT_TRUE(exits_with(cleave({"verify"}), kProblems));
    EXPECT_TRUE(exits_with(cleave({"ls"}), kDone));
  }
  fs::remove(pack);
  expect_error({"get", "a", "-o", path("out")}, kFailed, "pack_damaged", pack.native());
  EXPECT_TRUE(exits_with(cleave({"verify"}), kProblems));
  EXPECT_EQ(dir.count(), 2u);  // a, store
}

TEST_F(CliBadInput, ALostIndex) {
  write_file(dir / "a", "text");
  output_of({"add", path("a")});
  const fs::path data = store / "index/data.mdb";
  const std::string whole = read_file(data);
  for (const std::string& bytes :
       {std::string(), std::string("x"), whole.substr(0, 100), whole.substr(0, 5000),
        std::string(whole.size(), '\0'), std::string(whole.size(), '\xff')}) {
    write_file(data, bytes);
    for (const auto& args : store_commands(path("a"))) {
      expect_error(args, kFailed, "index_damaged", store.native());
    }
    EXPECT_TRUE(read_file(data) == bytes);
  }
  fs::remove(data);
  for (const auto& args : store_commands(path("a"))) {
    expect_error(args, kFailed, "index_damaged", store.native());
  }
}

TEST_F(CliBadInput, FifosSocketsAndDevices) {
  fs::create_directory(dir / "tree");
  const std::string fifo = path("tree/fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& thing : {fifo, std::string("/dev/null"), std::string("/dev/zero")}) {
    expect_error({"add", thing}, kMalformed, "unsupported_file_type", thing);
    expect_error({"nar", "pack", thing, "-o", path("out")}, kMalformed, "unsupported_file_type",
                 thing);
  }
  expect_error({"add", path("tree")}, kMalformed, "unsupported_file_type", fifo);
  expect_error({"nar", "pack", path("tree"), "-o", path("out")}, kMalformed,
               "unsupported_file_type", fifo);
  fs::remove(fifo);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string socket = path("tree/s");
  ASSERT_LT(socket.size(), sizeof address.sun_path);
  socket.copy(address.sun_path, socket.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  // NOLINTNEXTLINE: that is how the interface is
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expect_error({"add", path("tree")}, kMalformed, "unsupported_file_type", socket);
  ::close(fd);
  EXPECT_FALSE(fs::exists(dir / "out"));
  EXPECT_EQ(output_of({"ls"}), "");
}

std::string one_file(std::string_view name) {
  return nar::archive(nar::folder(nar::entry(name, nar::file("evil"))));
}

TEST_F(CliBadInput, MalformedNars) {
  const std::string good = nar::archive(
      nar::folder(nar::entry("a", nar::file("aaa")) + nar::entry("b", nar::symlink("somewhere"))));
  const std::string huge = nar::strs({"nix-archive-1", "(", "type", "regular", "contents"});
  std::vector<std::pair<std::string, std::string>> nars = {
      {"empty", ""},
      {"text", "this is not an archive, and long enough to be one"},
      {"parent", one_file("..")},
      {"self", one_file(".")},
      {"slash", one_file("a/../../b")},
      {"nameless", one_file("")},
      {"nul", one_file(std::string_view("a\0b", 3))},
      {"unsorted",
       nar::archive(nar::folder(nar::entry("b", nar::file("")) + nar::entry("a", nar::file(""))))},
      {"twice",
       nar::archive(nar::folder(nar::entry("a", nar::file("")) + nar::entry("a", nar::file(""))))},
      {"2^63", huge + nar::length(std::uint64_t{1} << 63)},
      {"2^64-1", huge + nar::length(UINT64_MAX)},
      {"long name", nar::archive(nar::folder(nar::strs({"entry", "(", "name"}) +
                                             nar::length(std::uint64_t{1} << 63)))},
      {"trailing", good + "x"},
      {"device", nar::archive(nar::strs({"(", "type", "device", ")"}))},
  };
  for (std::size_t size = 8; size < good.size(); size += 8) {
    nars.emplace_back("cut at " + std::to_string(size), good.substr(0, size));
  }
  for (const auto& [what, bytes] : nars) {
    write_file(dir / "x.nar", bytes);
    for (const bool piped : {false, true}) {
      const std::string file = piped ? "-" : path("x.nar");
      const RunOptions options = {.input = piped ? bytes : ""};
      const Outcome unpack = cleave({"nar", "unpack", file, "-o", path("out")}, options);
      EXPECT_TRUE(exits_with(unpack, kMalformed)) << what;
      EXPECT_THAT(unpack.err,
                  testing::AnyOf(StartsWith("cleave: nar_"), StartsWith("cleave: unexpected_end")))
          << what;
      EXPECT_TRUE(exits_with(cleave({"nar", "ls", file}, options), kMalformed)) << what;
      // What it looks for may stand before what is wrong.
      EXPECT_TRUE(exits_with_any(cleave({"nar", "cat", file, "a"}, options), {kMalformed, kDone}))
          << what;
    }
    ASSERT_EQ(dir.count(), 1u) << what;
  }
  write_file(dir / "x.nar", good);
  output_of({"nar", "unpack", path("x.nar"), "-o", path("out")});
  EXPECT_FALSE(fs::exists(dir / "evil"));
  EXPECT_FALSE(fs::exists(dir.path().parent_path() / "evil"));
}

// A malformed NAR is a file like any other to a store.
TEST_F(CliBadInput, MalformedNarsAreFilesToo) {
  const std::string cut = one_file("file").substr(0, 100);
  write_file(dir / "cut.nar", cut);
  output_of({"add", path("cut.nar")});
  EXPECT_TRUE(output_of({"cat", "cut.nar"}) == cut);
}

TEST_F(CliBadInput, OutputsThatCannotBe) {
  write_file(dir / "file", "text");
  make_file(dir / "tree/file", "text");
  output_of({"add", path("file"), path("tree")});
  expect_error({"get", "file", "-o", path("file")}, kFailed, "output_exists", path("file"));
  expect_error({"get", "tree", "-o", path("tree")}, kFailed, "output_exists", path("tree"));
  expect_error({"get", "tree", "-f", "-o", path("tree")}, kFailed, "output_exists", path("tree"));
  expect_error({"get", "file", "-o", path("no/such/folder")}, kFailed, "io_error", path("no/such"));
  expect_error({"get", "tree", "-o", path("no/such/folder")}, kFailed, "io_error", path("no/such"));
  expect_error({"get", "file", "-o", "/proc/nothing"}, kFailed, "io_error", "/proc/");
  EXPECT_EQ(read_file(dir / "file"), "text");
  EXPECT_EQ(dir.count(), 3u);
}

}  // namespace
}  // namespace cleave::test
