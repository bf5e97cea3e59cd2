// What only a terminal gets to see: colours and progress.
#include <chrono>
#include <csignal>

#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

using namespace std::chrono_literals;
using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Clock = std::chrono::steady_clock;

constexpr auto kFirstProgress = 400ms;  // as in cleave/cli/progress_bar.cpp

class Terminal : public CliTest {
 protected:
  static RunOptions on_terminal(RunOptions options = {}) {
    options.out_terminal = true;
    options.err_terminal = true;
    return options;
  }
};

TEST_F(Terminal, Colours) {
  make("a", "contents");
  done({"add", "a"});
  EXPECT_THAT(cleave({"ls"}, on_terminal()).out, StartsWith("\x1b[1mSIZE"));
  EXPECT_THAT(cleave({"get", "missing"}, on_terminal()).err,
              StartsWith("\x1b[31mcleave:\x1b[0m no_such_artifact"));
  EXPECT_THAT(cleave({"ls", "--json"}, on_terminal()).out, StartsWith("{"));
}

TEST_F(Terminal, NoColours) {
  make("a", "contents");
  done({"add", "a"});
  const auto expect_plain = [&](const RunOptions& options) {
    for (const std::vector<std::string>& args :
         std::vector<std::vector<std::string>>{{"ls"}, {"stats"}, {"cat", "missing"}}) {
      const Outcome outcome = cleave(args, options);
      EXPECT_NE(outcome.out + outcome.err, "");
      EXPECT_THAT(outcome.out + outcome.err, Not(HasSubstr("\x1b"))) << args[0];
    }
  };
  expect_plain({});
  expect_plain(on_terminal({.env = {{"NO_COLOR", "1"}}}));
  expect_plain(on_terminal({.env = {{"TERM", "dumb"}}}));
  // Each stream for itself.
  EXPECT_THAT(cleave({"ls"}, {.err_terminal = true}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(cleave({"cat", "missing"}, {.out_terminal = true}).err, Not(HasSubstr("\x1b")));
}

TEST_F(Terminal, ProgressBar) {
  Process add = start({"add", "-", "--name", "a"}, on_terminal({.hold_input = true}));
  Rng rng(1);
  add.write_input(random_text(rng, 3 << 20));
  EXPECT_TRUE(add.wait_for("\radding  3.0 MiB  "));
  EXPECT_TRUE(add.wait_until([&] { return add.err().ends_with("B/s\x1b[K"); }));
  add.close_input();
  const Outcome outcome = add.wait();
  EXPECT_TRUE(exits_with(outcome, kDone));
  EXPECT_THAT(outcome.err, ContainsRegex("\radding  3.0 MiB  [0-9.]+ [KM]iB/s"));
  EXPECT_THAT(outcome.err, EndsWith("\r\x1b[K"));  // wiped off
  EXPECT_THAT(outcome.out, StartsWith("\x1b[1m      SIZE"));
  EXPECT_THAT(outcome.out, HasSubstr("3.0 MiB"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("adding")));
}

TEST_F(Terminal, ProgressBarWithShareAndTimeLeft) {
  Rng rng(1);
  make("a", random_text(rng, 16 << 20));
  Process add = start({"add", "a", "-j", "1", "--compression-level", "19"}, on_terminal());
  EXPECT_TRUE(add.wait_for(" left\x1b[K"));
  EXPECT_THAT(add.err(), ContainsRegex(R"(adding  [0-9.]+ [KM]iB of 16\.0 MiB  \[#*\.+\])"
                                       R"( +[0-9]+ %  [0-9.]+ [KM]iB/s  [0-9]+:[0-9]+ left)"));
  add.send(SIGINT);
  const Outcome outcome = add.wait();
  EXPECT_TRUE(exits_with(outcome, kFailed));
  EXPECT_THAT(outcome.err, HasSubstr("\r\x1b[K\x1b[31mcleave:\x1b[0m interrupted"));
}

TEST_F(Terminal, UnpackShowsProgressToo) {
  make("a", std::string(50'000, 'a'));
  Process unpack = start({"nar", "unpack", "-", "-o", "out"}, on_terminal({.hold_input = true}));
  unpack.write_input(done({"nar", "pack", "a"}).substr(0, 40'000));
  EXPECT_TRUE(unpack.wait_for("unpacking  39.1 KiB"));
}

TEST_F(Terminal, NoProgressBar) {
  const auto add = [&](const char* name, std::vector<std::string> flags, RunOptions options) {
    options.hold_input = true;
    flags.insert(flags.begin(), {"add", "-", "--name", name});
    return start(flags, options);
  };
  Process hidden[] = {add("quiet", {"-q"}, on_terminal()), add("json", {"--json"}, on_terminal()),
                      add("pipe", {}, {.out_terminal = true})};
  Rng rng(1);
  const std::string text = random_text(rng, 1 << 20);
  for (Process& process : hidden) process.write_input(text);
  // They have begun. When a later one shows its bar, they would have shown theirs.
  Process shown = add("shown", {}, on_terminal());
  EXPECT_TRUE(shown.wait_for("adding  "));
  for (Process& process : hidden) {
    process.close_input();
    const Outcome outcome = process.wait();
    EXPECT_TRUE(exits_with(outcome, kDone));
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(Terminal, QuickWorkHasNoProgressBar) {
  make("a", "contents");
  // A busy machine may need longer for it.
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto begin = Clock::now();
    const Outcome outcome = cleave({"add", "a", "--replace"}, on_terminal());
    if (Clock::now() - begin >= kFirstProgress) continue;
    EXPECT_TRUE(exits_with(outcome, kDone));
    EXPECT_THAT(outcome.err, Not(HasSubstr("adding")));
    return;
  }
  GTEST_SKIP() << "nothing is quick here";
}

TEST_F(Terminal, NarsAreNotPouredOutOnIt) {
  make("a", "contents");
  const Outcome outcome = cleave({"nar", "pack", "a"}, on_terminal());
  EXPECT_TRUE(exits_with(outcome, kFailed));
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("-o"));
}

}  // namespace
}  // namespace cleave::test
