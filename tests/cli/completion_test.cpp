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
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

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
    return lines_of(outcome.out);
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

TEST_F(Completion, EachScriptKnowsAllCommands) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = done({"completion", shell});
    for (const char* word : {"add", "get", "cat", "ls", "rm", "gc", "verify", "stats", "chunk",
                             "unpack", "completion", "max-unused", "replace"}) {
      EXPECT_THAT(script, testing::HasSubstr(word)) << shell;
    }
  }
}

// Shells that are asked as their users ask them: with a line.
class LineCompletion : public Completion {
 protected:
  void SetUp() override {
    Completion::SetUp();
    make("some file", "");
    for (const char* name : {"song", "two words", "$(touch hacked)"}) {
      done({"add", "some file", "-q", "-n", name});
    }
  }

  // What is offered at the end of `line`, without descriptions.
  virtual std::vector<std::string> offered(const std::string& line) const = 0;

  void expect_words() const {
    EXPECT_THAT(offered("cleave "), AllOf(Contains("add"), Contains("completion"),
                                          Not(Contains("pack")), Not(Contains("some file"))));
    EXPECT_THAT(offered("cleave ve"), ElementsAre("verify"));
    EXPECT_THAT(offered("cleave -q --store get st"), ElementsAre("stats"));
    EXPECT_THAT(offered("cleave -j 2 st"), ElementsAre("stats"));
    EXPECT_THAT(offered("cleave add --m"), UnorderedElementsAre("--min", "--max"));
    EXPECT_THAT(offered("cleave get --"),
                AllOf(Contains("--nar"), Contains("--json"), Not(Contains("--replace"))));
    EXPECT_THAT(offered("cleave nar un"), ElementsAre("unpack"));
    EXPECT_THAT(offered("cleave nar "), UnorderedElementsAre("pack", "unpack", "ls", "cat"));
    EXPECT_THAT(offered("cleave nar pack --f"), ElementsAre("--force"));
    EXPECT_THAT(offered("cleave completion "), UnorderedElementsAre("bash", "zsh", "fish"));
  }
  void expect_files_and_artifacts() const {
    EXPECT_THAT(offered("cleave add so"), ElementsAre("some file"));
    for (const std::string command : {"get", "cat", "rm", "verify"}) {
      EXPECT_THAT(offered("cleave " + command + " so"), ElementsAre("song")) << command;
      EXPECT_EQ(offered("cleave " + command + " ").size(), 3U) << command;
    }
    EXPECT_THAT(offered("cleave cat song tw"), ElementsAre("two words"));
    EXPECT_FALSE(fs::exists(at("hacked")));
  }
};

class Fish : public LineCompletion {
 protected:
  std::vector<std::string> offered(const std::string& line) const override {
    make("cleave.fish", done({"completion", "fish"}));
    const Outcome outcome =
        shell("fish", {"--no-config", "-c", "source cleave.fish; complete -C$argv[1]", line});
    EXPECT_TRUE(exits_with(outcome, 0));
    EXPECT_EQ(outcome.err, "");
    std::vector<std::string> words = lines_of(outcome.out);
    for (std::string& word : words) word.resize(std::min(word.size(), word.find('\t')));
    return words;
  }
};

TEST_F(Fish, Words) {
  CLEAVE_NEED_PROGRAM("fish");
  check_syntax("fish");
  expect_words();
}

TEST_F(Fish, FilesAndArtifacts) {
  CLEAVE_NEED_PROGRAM("fish");
  expect_files_and_artifacts();
  // What is called as a command is not one.
  EXPECT_THAT(offered("cleave get ls"), IsEmpty());
  EXPECT_THAT(offered("cleave nar ls so"), ElementsAre("some file"));
}

class Zsh : public LineCompletion {
 protected:
  // Completed in a real interactive shell, whose completion is made to print its matches.
  std::vector<std::string> offered(const std::string& line) const override {
    fs::create_directories(at("functions"));
    make("functions/_cleave", done({"completion", "zsh"}));
    make("complete.zsh", kDriver);
    const Outcome outcome = shell("zsh", {"-f", "complete.zsh", line});
    EXPECT_TRUE(exits_with(outcome, 0));
    EXPECT_EQ(outcome.err, "");
    return lines_of(outcome.out);
  }

  static constexpr const char* kDriver = R"zsh(
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -d $PWD/.zcompdump'
zpty -w shell 'compadd() {
  if [[ $* != *-[AOD]\ * ]]; then
    builtin compadd -A found "$@"
    (( $#found )) && print -rl -- ${(Q)found} >> $PWD/matches
  fi
  builtin compadd "$@"
}'
zpty -w shell 'unsetopt beep; zstyle ":completion:*" list-prompt ""; LISTMAX=10000; bindkey "^I" complete-word'
zpty -w shell 'print READ""Y > $PWD/ready'
integer i
for ((i = 0; i < 3000; i++)); do [[ -e ready ]] && break; sleep 0.01; done
rm -f matches ready
zpty -n -w shell $1$'\t'
zpty -n -w shell $'\C-U'
zpty -w shell 'print READY > $PWD/ready'
for ((i = 0; i < 3000; i++)); do [[ -e ready ]] && break; sleep 0.01; done
zpty -d shell
[[ -e matches ]] && sort -u matches
rm -f matches ready
true
)zsh";
};

TEST_F(Zsh, Words) {
  CLEAVE_NEED_PROGRAM("zsh");
  check_syntax("zsh");
  expect_words();
}

TEST_F(Zsh, FilesAndArtifacts) {
  CLEAVE_NEED_PROGRAM("zsh");
  expect_files_and_artifacts();
}

}  // namespace
}  // namespace cleave::test
