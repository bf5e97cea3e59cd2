// What goes to standard output and error: quiet, colours, progress, full disks, pipes.
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bytes.h"
#include "tests/support/command.h"
#include "tests/support/tree.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class CliOutput : public CommandTest {
 protected:
  void SetUp() override {
    write_file(dir / "file", text_of(random_bytes(1, 100'000)));
    make_file(dir / "tree/file", "text");
  }
  RunOptions on_terminal(RunOptions options = {}) const {
    options.terminal = true;
    options.env.emplace_back("TERM", "xterm");
    options.env.emplace_back("NO_COLOR", "");
    return options;
  }
  // Output of an addition that takes a second, since its input comes slowly.
  Outcome add_slowly(std::vector<std::string> flags, RunOptions options) {
    flags.insert(flags.begin(), {"add", "-", "--name", "slow"});
    options.hold_input = true;
    Process add(command(flags), with_store(std::move(options)));
    add.write_input("some text");
    add.wait_for("adding", 1s);
    return add.wait();
  }
};

TEST_F(CliOutput, QuietPrintsErrorsOnly) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"add", path("file"), path("tree")},
                                             {"get", "file", "-o", path("out")},
                                             {"verify"},
                                             {"rm", "tree"},
                                             {"gc"}}) {
    for (const char* flag : {"-q", "--quiet"}) {
      std::vector<std::string> quiet = args;
      quiet.emplace_back(flag);
      if (args[0] == "add") quiet.emplace_back("--replace");
      if (args[0] == "get") quiet.emplace_back("-f");
      if (args[0] == "rm") output_of({"add", path("tree"), "--replace"});
      const Outcome outcome = cleave(quiet);
      EXPECT_TRUE(exits_with(outcome, kDone));
      EXPECT_EQ(outcome.out + outcome.err, "") << args[0];
    }
  }
  const Outcome outcome = cleave({"-q", "cat", "missing"});
  EXPECT_THAT(outcome.err, HasSubstr("no_such_artifact"));
}

TEST_F(CliOutput, QuietVerifyStillNamesTheDamage) {
  output_of({"add", path("file")});
  const fs::path pack = store / "packs/0000000001.pack";
  write_file(pack, read_file(pack).substr(0, 1000));
  const Outcome outcome = cleave({"verify", "-q"});
  EXPECT_TRUE(exits_with(outcome, kProblems));
  EXPECT_THAT(outcome.out, HasSubstr("damages file"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("artifacts,")));
}

TEST_F(CliOutput, ColoursOnlyOnATerminal) {
  const std::vector<std::string> failing = {"cat", "missing"};
  output_of({"add", path("file")});
  EXPECT_THAT(cleave(failing).err, Not(HasSubstr("\x1b")));
  EXPECT_THAT(cleave(failing, on_terminal()).out, HasSubstr("\x1b[31mcleave:\x1b[0m"));
  EXPECT_THAT(cleave({"ls"}, on_terminal()).out, HasSubstr("\x1b[1m"));
  EXPECT_THAT(cleave({"ls"}).out, Not(HasSubstr("\x1b")));
  for (const auto& variable :
       {std::pair<std::string, std::string>{"NO_COLOR", "1"}, {"TERM", "dumb"}}) {
    RunOptions plain = on_terminal();
    std::erase_if(plain.env, [&](const auto& set) { return set.first == variable.first; });
    plain.env.push_back(variable);
    EXPECT_THAT(cleave(failing, plain).out, Not(HasSubstr("\x1b"))) << variable.first;
    EXPECT_THAT(cleave({"ls"}, plain).out, Not(HasSubstr("\x1b"))) << variable.first;
  }
}

TEST_F(CliOutput, ProgressOnlyOnATerminal) {
  const Outcome shown = add_slowly({}, on_terminal());
  EXPECT_TRUE(exits_with(shown, kDone));
  EXPECT_THAT(shown.out, ContainsRegex("\radding  .*B/s"));
  EXPECT_THAT(shown.out, HasSubstr("\r\x1b[K"));  // wiped in the end
  EXPECT_EQ(add_slowly({"--replace"}, {}).err, "");
  for (const char* flag : {"--quiet", "--json"}) {
    const Outcome hidden = add_slowly({"--replace", flag}, on_terminal());
    EXPECT_TRUE(exits_with(hidden, kDone));
    EXPECT_THAT(hidden.out, Not(HasSubstr("adding"))) << flag;
  }
}

TEST_F(CliOutput, ShortWorkShowsNoProgress) {
  const Outcome outcome = cleave({"add", path("file"), "-q"}, on_terminal());
  EXPECT_EQ(outcome.out, "");
}

TEST_F(CliOutput, AFullDiskIsAnError) {
  output_of({"add", path("file"), path("tree")});
  output_of({"nar", "pack", path("tree"), "-o", path("tree.nar")});
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"cat", "file"},
                                             {"get", "file", "-o", "-"},
                                             {"get", "tree", "-o", "-"},
                                             {"get", "file", "-f", "-o", path("out")},
                                             {"ls"},
                                             {"ls", "--json"},
                                             {"ls", "-1"},
                                             {"stats"},
                                             {"stats", "--json"},
                                             {"verify"},
                                             {"verify", "--json"},
                                             {"gc"},
                                             {"chunk", path("file")},
                                             {"chunk", path("file"), "--json"},
                                             {"nar", "pack", path("tree")},
                                             {"nar", "ls", path("tree.nar")},
                                             {"nar", "cat", path("tree.nar"), "file"},
                                             {"completion", "bash"}}) {
    const Outcome outcome = cleave(args, {.output_to = "/dev/full"});
    EXPECT_TRUE(exits_with(outcome, kFailed)) << testing::PrintToString(args);
    EXPECT_THAT(outcome.err, HasSubstr("io_error")) << testing::PrintToString(args);
    EXPECT_THAT(outcome.err, HasSubstr("standard output")) << testing::PrintToString(args);
  }
}

TEST_F(CliOutput, Pipes) {
  const std::string text = text_of(random_bytes(2, 20'000'000));
  write_file(dir / "large", text);
  output_of({"add", path("large"), path("tree")});
  const auto shell = [&](const std::string& line) {
    return run(
        {"bash", "-c", "cleave() { " CLEAVE_COMMAND " \"$@\"; }; cd " + path("") + "; " + line},
        with_store());
  };
  const Outcome head = shell("cleave cat large | head -c 10");
  EXPECT_EQ(head.out, text.substr(0, 10));
  EXPECT_TRUE(exits_with(shell("cleave cat large | cleave add - --name again"), 0));
  EXPECT_TRUE(exits_with(shell("cleave cat again | cmp - large"), 0));
  EXPECT_TRUE(exits_with(shell("cleave nar pack tree | cleave nar unpack - -o copy"), 0));
  EXPECT_TRUE(trees_equal(dir / "tree", dir / "copy"));
  EXPECT_TRUE(exits_with(shell("cleave get tree -o - | cleave nar ls -"), 0));
}

TEST_F(CliOutput, RowsComeWhenTheyAreDurable) {
  for (int i = 0; i < 20; ++i) write_file(dir / std::to_string(i), std::to_string(i));
  std::vector<std::string> args = {"add"};
  for (int i = 0; i < 20; ++i) args.push_back(path(std::to_string(i)));
  const std::string out = output_of(args);
  EXPECT_EQ(std::ranges::count(out, '\n'), 21);
}

}  // namespace
}  // namespace cleave::test
