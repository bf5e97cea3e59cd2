// Completion scripts, in the shells they are for.
#include <algorithm>
#include <sstream>

#include "tests/cli/cli_test.h"
#include "tests/support/oracle.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::UnorderedElementsAre;

class Completion : public CliTest {
 protected:
  void SetUp() override {
    // The script calls `cleave`.
    fs::create_directory(dir() / "bin");
    fs::create_symlink(CLEAVE_COMMAND, dir() / "bin/cleave");
  }

  Outcome shell(const std::string& program, const std::vector<std::string>& args) const {
    std::vector<std::string> all = {program};
    all.insert(all.end(), args.begin(), args.end());
    const char* path = std::getenv("PATH");
    return run(all, with_store({.env = {{"PATH", (dir() / "bin").native() + ":" +
                                                     (path != nullptr ? path : "/usr/bin")}}}));
  }

  void check_syntax(const std::string& program) const {
    make("script", done({"completion", program}));
    const Outcome outcome = shell(program, {"-n", "script"});
    EXPECT_TRUE(exits_with(outcome, 0));
    EXPECT_EQ(outcome.err, "");
  }

  // What bash offers for the last of `words`.
  std::vector<std::string> bash(const std::vector<std::string>& words) const {
    make("script", done({"completion", "bash"}));
    std::vector<std::string> args = {
        "--norc", "-c",
        "source ./script; COMP_WORDS=(cleave \"$@\"); COMP_CWORD=$#; _cleave; "
        "[ ${#COMPREPLY[@]} = 0 ] || printf '%s\\n' \"${COMPREPLY[@]}\"",
        "bash"};
    args.insert(args.end(), words.begin(), words.end());
    const Outcome outcome = shell("bash", args);
    EXPECT_TRUE(exits_with(outcome, 0));
    EXPECT_EQ(outcome.err, "");
    std::istringstream lines(outcome.out);
    std::vector<std::string> offered;
    for (std::string line; std::getline(lines, line);) offered.push_back(line);
    return offered;
  }
};

TEST_F(Completion, BashWords) {
  CLEAVE_NEED_PROGRAM("bash");
  check_syntax("bash");
  EXPECT_THAT(bash({""}), AllOf(Contains("add"), Contains("completion"), Contains("--store")));
  EXPECT_THAT(bash({"ve"}), ElementsAre("verify"));
  EXPECT_THAT(bash({"-q", "--store", "get", "st"}), ElementsAre("stats"));
  EXPECT_THAT(bash({"-j", "2", "st"}), ElementsAre("stats"));
  EXPECT_THAT(bash({"add", "--m"}), UnorderedElementsAre("--min", "--max"));
  EXPECT_THAT(bash({"get", "--"}),
              AllOf(Contains("--nar"), Contains("--json"), Not(Contains("--replace"))));
  EXPECT_THAT(bash({"nar", "un"}), ElementsAre("unpack"));
  EXPECT_THAT(bash({"nar", "pack", "--f"}), ElementsAre("--force"));
  EXPECT_THAT(bash({"completion", ""}), AllOf(Contains("bash"), Contains("zsh"), Contains("fish")));
}

TEST_F(Completion, BashFilesAndArtifacts) {
  CLEAVE_NEED_PROGRAM("bash");
  make("some file", "");
  EXPECT_THAT(bash({"add", "so"}), ElementsAre("some file"));
  EXPECT_THAT(bash({"get", "so"}), ElementsAre());  // there is no store
  done({"add", "some file", "-q"});
  for (const char* name : {"song", "two", "$(touch hacked)", "`touch hacked`"}) {
    done({"add", "some file", "-q", "-n", name});
  }
  for (const char* command : {"get", "cat", "rm", "verify"}) {
    EXPECT_THAT(bash({command, "so"}), UnorderedElementsAre("some file", "song"));
  }
  EXPECT_THAT(bash({"cat", "two", "so"}), UnorderedElementsAre("some file", "song"));
  // Names are text, whatever a shell would make of them.
  EXPECT_THAT(bash({"get", "$"}), ElementsAre("$(touch hacked)"));
  EXPECT_EQ(bash({"get", ""}).size(), 5U);
  EXPECT_FALSE(fs::exists(at("hacked")));
}

TEST_F(Completion, Zsh) {
  if (!have_program("zsh")) GTEST_SKIP() << "no program zsh";
  check_syntax("zsh");
}

TEST_F(Completion, Fish) {
  if (!have_program("fish")) GTEST_SKIP() << "no program fish";
  check_syntax("fish");
}

TEST_F(Completion, EachScriptKnowsAllCommands) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = done({"completion", shell});
    for (const char* word : {"add", "get", "cat", "ls", "rm", "gc", "verify", "stats", "chunk",
                             "unpack", "completion", "max-unused", "replace"}) {
      EXPECT_THAT(script, testing::HasSubstr(word)) << shell;
    }
  }
}

}  // namespace
}  // namespace cleave::test
