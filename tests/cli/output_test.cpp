// What goes to standard output and error: help, quiet, profiles, full disks, pipes.
#include <cerrno>
#include <cstring>

#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class Output : public CliTest {
 protected:
  Outcome shell(const std::string& line) const {
    return run({"bash", "-c", "cleave() { " CLEAVE_COMMAND " \"$@\"; }; " + line}, with_store());
  }
};

TEST_F(Output, HelpAndVersion) {
  EXPECT_THAT(done({"--version"}), MatchesRegex("cleave [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(done({"-V"}), done({"--version"}));
  const std::string help = done({"--help"});
  for (const char* name :
       {"add", "get", "cat", "ls", "rm", "gc", "verify", "stats", "chunk", "nar", "completion"}) {
    EXPECT_THAT(help, HasSubstr(std::string("\n  ") + name + " "));
    EXPECT_THAT(done({name, "--help"}), HasSubstr("--help"));
  }
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(Output, HelpThatCannotBePrintedIsAnError) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--help"}, {"--version"}, {"add", "--help"}, {"nar", "pack", "-h"}}) {
    SCOPED_TRACE(testing::PrintToString(args));
    EXPECT_THAT(done(args), Not(IsEmpty()));
    expect_failed(cleave(args, {.out_to = "/dev/full"}), kFailed, "io_error",
                  {"standard output", std::strerror(ENOSPC)});
  }
}

TEST_F(Output, ARowForEachArtifact) {
  std::vector<std::string> args = {"add"};
  for (int i = 0; i < 20; ++i) {
    make("file" + std::to_string(i), std::to_string(i));
    args.push_back("file" + std::to_string(i));
  }
  const std::string out = done(args);
  EXPECT_EQ(std::ranges::count(out, '\n'), 21);
  for (std::size_t i = 1; i < args.size(); ++i) EXPECT_THAT(out, HasSubstr("  " + args[i] + "\n"));
}

TEST_F(Output, QuietPrintsErrorsOnly) {
  make("file", text_of(random_bytes(1, 100'000)));
  make("tree/file", "text");
  for (const char* flag : {"-q", "--quiet"}) {
    for (const std::vector<std::string>& args :
         std::vector<std::vector<std::string>>{{"add", "file", "tree", "--replace"},
                                               {"get", "file", "-f", "-o", "out"},
                                               {"verify"},
                                               {"rm", "tree"},
                                               {"gc"}}) {
      std::vector<std::string> quiet = args;
      quiet.emplace_back(flag);
      EXPECT_EQ(done(quiet), "") << args[0];
    }
  }
  expect_failed(cleave({"-q", "cat", "missing"}), kFailed, "no_such_artifact");
}

TEST_F(Output, QuietVerifyStillNamesTheDamage) {
  make("file", text_of(random_bytes(1, 100'000)));
  done({"add", "file"});
  write_file(first_pack(), read_file(first_pack()).substr(0, 1000));
  const Outcome outcome = cleave({"verify", "-q"});
  EXPECT_TRUE(exits_with(outcome, kProblems));
  EXPECT_THAT(outcome.out, HasSubstr("damages file"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("artifacts,")));
}

TEST_F(Output, Profile) {
  make("a", "contents");
  const Outcome outcome = cleave({"add", "a"}, {.env = {{"CLEAVE_PROFILE", "1"}}});
  EXPECT_TRUE(exits_with(outcome, kDone));
  EXPECT_THAT(outcome.err, HasSubstr("add.hash"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("add.hash")));
}

TEST_F(Output, AFullDiskIsAnError) {
  make("file", text_of(random_bytes(1, 100'000)));
  make_tree("tree");
  done({"add", "file", "tree"});
  done({"nar", "pack", "tree", "-o", "tree.nar"});
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"cat", "file"},
                                             {"get", "file", "-o", "-"},
                                             {"get", "tree", "-o", "-"},
                                             {"get", "file", "-f", "-o", "out"},
                                             {"ls"},
                                             {"ls", "--json"},
                                             {"ls", "-1"},
                                             {"stats"},
                                             {"stats", "--json"},
                                             {"verify"},
                                             {"verify", "--json"},
                                             {"gc"},
                                             {"chunk", "file"},
                                             {"chunk", "file", "--json"},
                                             {"nar", "pack", "tree"},
                                             {"nar", "ls", "tree.nar"},
                                             {"nar", "cat", "tree.nar", "run"},
                                             {"completion", "bash"}}) {
    SCOPED_TRACE(testing::PrintToString(args));
    const Outcome outcome = cleave(args, {.out_to = "/dev/full"});
    EXPECT_TRUE(exits_with(outcome, kFailed));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1);
    for (const char* text : {"io_error", "standard output", "No space left"}) {
      EXPECT_THAT(outcome.err, HasSubstr(text));
    }
  }
}

TEST_F(Output, Pipes) {
  make("large", text_of(random_bytes(2, 20'000'000)));
  make_tree("tree");
  done({"add", "large", "tree"});
  EXPECT_TRUE(exits_with(shell("cleave cat large | cleave add - --name again"), 0));
  EXPECT_TRUE(exits_with(shell("cleave cat again | cmp - large"), 0));
  EXPECT_TRUE(exits_with(shell("cleave nar pack tree | cleave nar unpack - -o copy"), 0));
  EXPECT_TRUE(trees_equal(at("tree"), at("copy")));
  EXPECT_THAT(shell("cleave get tree -o - | cleave nar ls -").out, HasSubstr("  empty\n"));
}

TEST_F(Output, TheReaderOfAPipeMayGoAway) {
  make("large", text_of(random_bytes(2, 20'000'000)));
  done({"add", "large"});
  const Outcome outcome = shell("cleave cat large | head -c 10");
  EXPECT_TRUE(exits_with(outcome, 0));
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out, read_file(at("large")).substr(0, 10));
}

}  // namespace
}  // namespace cleave::test
