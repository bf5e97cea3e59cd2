// Bad input: what is said, the exit code, and that nothing half-written stays.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class Errors : public CliTest {
 protected:
  // As a user without rights; false when such a one may not even start the command.
  bool nobody_may_run_it() const {
    fs::permissions(dir().path(), fs::perms(0777));
    return cleave({"--version"}, {.unprivileged = true}).exit_code == kDone;
  }
};

TEST_F(Errors, SettingsThatMakeNoSenseAreNamedAndIgnored) {
  const RunOptions bad = {.env = {{"CLEAVE_READAHEAD_BYTES", "much"}, {"CLEAVE_CPU", "fast"}}};
  make("a", "contents");
  done({"add", "a"});
  const Outcome outcome = cleave({"ls", "-1"}, bad);
  EXPECT_TRUE(exits_with(outcome, kDone));
  EXPECT_EQ(outcome.out, "a\n");
  EXPECT_EQ(outcome.err,
            "cleave: CLEAVE_READAHEAD_BYTES has a value it cannot have: ignored\n"
            "cleave: CLEAVE_CPU has a value it cannot have: ignored\n");
  for (const char* flag : {"-q", "--json"}) done({"ls", flag}, bad);
}

TEST_F(Errors, CommandLine) {
  make("a", "");
  const std::vector<std::vector<std::string>> bad = {
      {},
      {"nonsense"},
      {"--nonsense"},
      {"--nonsense", "ls"},
      {"ls", "--nonsense"},
      {"ls", "extra"},
      {"add"},
      {"add", "a", "--nonsense"},
      {"get"},
      {"get", "a", "b"},
      {"rm"},
      {"cat"},
      {"-j", "0", "ls"},
      {"-j", "2000", "ls"},
      {"-j", "many", "ls"},
      {"-j", "-1", "ls"},
      {"--store"},
      {"add", "a", "--compression-level", "0"},
      {"add", "a", "--compression-level", "20"},
      {"gc", "--max-unused", "101"},
      {"gc", "--max-unused", "-1"},
      {"verify", "--all", "a"},
      {"chunk"},
      {"nar"},
      {"nar", "nonsense"},
      {"nar", "unpack", "a"},
      {"nar", "cat", "a"},
      {"completion"},
      {"completion", "tcsh"},
  };
  for (const auto& args : bad) {
    SCOPED_TRACE(testing::PrintToString(args));
    const Outcome outcome = cleave(args);
    EXPECT_TRUE(exits_with(outcome, kUsage));
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("--help"));
  }
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(Errors, ChunkSizes) {
  make("a", "");
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
           {"--min", "1"}, {"--avg", "1"}, {"--max", "1"}, {"--min", "2MiB"}, {"--level", "4"}}) {
    SCOPED_TRACE(testing::PrintToString(flags));
    for (const char* command : {"add", "chunk"}) {
      std::vector<std::string> args = {command, "a"};
      args.insert(args.end(), flags.begin(), flags.end());
      expect_failed(cleave(args), kUsage, "invalid_chunking_options");
    }
  }
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(Errors, Names) {
  make("a", "one");
  done({"add", "a", "-n", "kept"});
  for (const std::string& name : {std::string("."), std::string(".."), std::string("new\nline"),
                                  std::string("not utf8 \xff"), std::string(256, 'x')}) {
    expect_failed(cleave({"add", "a", "-n", name}), kUsage, "invalid_name");
    expect_failed(cleave({"get", name}), kUsage, "invalid_name");
  }
  expect_failed(cleave({"add", "-"}, {.in = "x"}), kUsage, "invalid_name", {"--name"});
  expect_failed(cleave({"add", ""}), kUsage, "invalid_name", {"empty path"});
  expect_failed(cleave({"add", "/"}), kUsage, "invalid_name");
  expect_failed(cleave({"add", "a", "a", "-n", "b"}), kUsage, "invalid_name", {"--name"});
  for (const char* command : {"get", "cat", "rm", "verify"}) {
    expect_failed(cleave({command, "missing"}), kFailed, "no_such_artifact", {"\"missing\""});
  }
  EXPECT_EQ(done({"ls", "-1"}), "kept\n");
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(Errors, MissingPaths) {
  for (const std::string path : {"missing", "missing/too"}) {
    for (const std::vector<std::string>& args :
         std::vector<std::vector<std::string>>{{"add", path},
                                               {"chunk", path},
                                               {"nar", "pack", path},
                                               {"nar", "ls", path},
                                               {"nar", "cat", path, "x"},
                                               {"nar", "unpack", path, "-o", "out"}}) {
      SCOPED_TRACE(testing::PrintToString(args));
      expect_failed(cleave(args), kFailed, "io_error", {"No such file", "path \"" + path + "\""});
    }
  }
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(Errors, WhatMayNotBeRead) {
  make("file", "secret");
  make("tree/file", "secret");
  make("closed/file", "secret");
  make("outer/closed/file", "secret");
  for (const char* path : {"file", "tree/file", "closed", "outer/closed"}) {
    fs::permissions(at(path), fs::perms::none);
  }
  if (!nobody_may_run_it()) GTEST_SKIP() << "the command lies where only root may go";
  fs::permissions(work(), fs::perms(0777));
  for (const auto& [path, subject] : {std::pair<std::string, std::string>{"file", "\"file\""},
                                      {"tree", "tree/file\""},
                                      {"tree/file", "\"tree/file\""},
                                      {"closed", "\"closed"},
                                      {"outer", "outer/closed"}}) {
    for (const std::vector<std::string>& args :
         std::vector<std::vector<std::string>>{{"add", path}, {"nar", "pack", path, "-o", "out"}}) {
      SCOPED_TRACE(testing::PrintToString(args));
      expect_failed(cleave(args, {.unprivileged = true}), kFailed, "io_error",
                    {"Permission denied", subject});
    }
  }
  EXPECT_EQ(done({"ls"}, {.unprivileged = true}), "");
  EXPECT_THAT(names(), UnorderedElementsAre("file", "tree", "closed", "outer"));
}

TEST_F(Errors, WhereNothingMayBeWritten) {
  make("a", "contents");
  done({"add", "a"});
  fs::create_directory(at("sealed"));
  fs::permissions(at("sealed"), fs::perms(0555));
  fs::permissions(store(), fs::perms(0755));
  if (!nobody_may_run_it()) GTEST_SKIP() << "the command lies where only root may go";
  expect_failed(cleave({"get", "a", "-o", "sealed/out"}, {.unprivileged = true}), kFailed, "");
  expect_failed(cleave({"nar", "pack", "a", "-o", "sealed/out"}, {.unprivileged = true}), kFailed,
                "io_error", {"Permission denied"});
  EXPECT_TRUE(fs::is_empty(at("sealed")));
}

TEST_F(Errors, FifosSocketsAndDevices) {
  const auto expect_refused = [&](const std::string& path, const std::string& kind,
                                  const std::string& subject) {
    for (const std::vector<std::string>& args :
         std::vector<std::vector<std::string>>{{"add", path}, {"nar", "pack", path, "-o", "out"}}) {
      SCOPED_TRACE(testing::PrintToString(args));
      expect_failed(cleave(args), kMalformed, "unsupported_file_type", {kind, subject + "\""});
    }
  };
  make("tree/file", "contents");
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo(at("tree/fifo").c_str(), 0600), 0);
  expect_refused("fifo", "fifo", "\"fifo");
  expect_refused("tree", "fifo", "tree/fifo");
  expect_refused("/dev/null", "character device", "\"/dev/null");
  expect_refused("/dev/zero", "character device", "\"/dev/zero");
  expect_failed(cleave({"add", "fifo"}), kMalformed, "unsupported_file_type", {"fifo where"});
  expect_failed(cleave({"nar", "unpack", "fifo", "-o", "out"}), kMalformed, "", {"\"fifo\""});
  expect_failed(cleave({"nar", "cat", "fifo", "x"}), kMalformed, "", {"\"fifo\""});
  fs::remove(at("tree/fifo"));

  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = at("tree/socket");
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  // NOLINTNEXTLINE: what bind() wants
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(socket);
  expect_refused("tree", "socket", "tree/socket");
  fs::remove(path);

  if (::mknod(at("tree/device").c_str(), S_IFBLK | 0600, makedev(7, 200)) == 0) {
    expect_refused("tree", "block device", "tree/device");
    fs::remove(at("tree/device"));
  }
  done({"add", "tree"});
  EXPECT_EQ(done({"ls", "-1"}), "tree\n");
  EXPECT_THAT(names(), UnorderedElementsAre("fifo", "tree"));
}

TEST_F(Errors, OutputsThatExist) {
  make("out", "old");
  make("folder/keep", "kept");
  done({"add", "folder", "out"});
  const std::string nars = CLEAVE_TEST_DATA "/nar/";
  for (const std::string out : {"out", "folder"}) {
    for (const std::vector<std::string>& args :
         std::vector<std::vector<std::string>>{{"nar", "unpack", nars + "file.nar", "-o", out},
                                               {"nar", "unpack", nars + "folder.nar", "-o", out},
                                               {"nar", "pack", "folder", "-o", out},
                                               {"get", out},
                                               {"get", "out", "-o", out},
                                               {"get", "folder", "-o", out}}) {
      SCOPED_TRACE(testing::PrintToString(args));
      expect_failed(cleave(args), kFailed, "output_exists", {"\"" + out + "\""});
    }
  }
  // A folder is not replaced, nor by one.
  expect_failed(cleave({"get", "out", "-f", "-o", "folder"}), kFailed, "", {"\"folder\""});
  expect_failed(cleave({"get", "folder", "-f", "-o", "folder"}), kFailed, "output_exists",
                {"\"folder\""});
  EXPECT_EQ(read_file(at("out")), "old");
  EXPECT_EQ(read_file(at("folder/keep")), "kept");
  EXPECT_THAT(names(), UnorderedElementsAre("folder", "out"));
}

TEST_F(Errors, OutputsThatCannotBe) {
  make("a", "contents");
  make("tree/file", "contents");
  done({"add", "a", "tree"});
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"get", "a"},
           {"get", "tree"},
           {"nar", "pack", "a"},
           {"nar", "unpack", CLEAVE_TEST_DATA "/nar/folder.nar"}}) {
    SCOPED_TRACE(testing::PrintToString(args));
    for (const auto& [out, folder] :
         {std::pair("no/such/folder", "\"no/such"), std::pair("/proc/nothing", "\"/proc")}) {
      std::vector<std::string> all = args;
      all.insert(all.end(), {"-o", out});
      expect_failed(cleave(all), kFailed, "io_error", {folder, "No such file"});
    }
  }
  EXPECT_THAT(names(), UnorderedElementsAre("a", "tree"));
}

}  // namespace
}  // namespace cleave::test
