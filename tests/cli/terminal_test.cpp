// What only a terminal gets to see, and signals.
#include <csignal>

#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using Input = RunningCommand::Input;

constexpr auto kLongerThanAMoment = 600ms;  // when a progress bar would have appeared

class Terminal : public CliTest {
 protected:
  Command on_terminal(const std::vector<std::string>& args) const {
    Command command = this->command(args);
    command.out_terminal = true;
    command.err_terminal = true;
    return command;
  }
};

TEST_F(Terminal, ProgressBar) {
  RunningCommand add(on_terminal({"add", "-", "--name", "a"}), Input::open);
  Rng rng(1);
  add.write(random_text(rng, 3 << 20));
  EXPECT_TRUE(add.wait_until([&] { return add.err().find("adding  ") != std::string::npos; }));
  EXPECT_TRUE(add.wait_until([&] { return add.err().find(" MiB/s") != std::string::npos; }));
  add.close_input();
  const Outcome outcome = add.wait();
  EXPECT_TRUE(outcome.ok()) << outcome;
  EXPECT_THAT(outcome.err, testing::EndsWith("\r\x1b[K"));  // wiped off
  EXPECT_THAT(outcome.out, StartsWith("\x1b[1m      SIZE"));
  EXPECT_THAT(outcome.out, HasSubstr("3.0 MiB"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("adding")));
}

TEST_F(Terminal, ProgressBarWithShareAndTimeLeft) {
  Rng rng(1);
  make("a", random_text(rng, 16 << 20));
  RunningCommand add(on_terminal({"add", "a", "-j", "1", "--compression-level", "19"}));
  EXPECT_TRUE(add.wait_until([&] { return add.err().find(" left\x1b[K") != std::string::npos; }));
  EXPECT_THAT(add.err(), ContainsRegex(R"(adding  [0-9.]+ [KM]iB of 16\.0 MiB  \[#*\.+\])"
                                       R"( +[0-9]+ %  [0-9.]+ [KM]iB/s  [0-9]+:[0-9]+ left)"));
  add.send(SIGINT);
  const Outcome outcome = add.wait();
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("\r\x1b[K\x1b[31mcleave:\x1b[0m interrupted"));
}

TEST_F(Terminal, UnpackShowsProgressToo) {
  make("a", std::string(50'000, 'a'));
  RunningCommand unpack(on_terminal({"nar", "unpack", "-", "-o", "out"}), Input::open);
  unpack.write(done({"nar", "pack", "a"}).substr(0, 40'000));
  EXPECT_TRUE(unpack.wait_until(
      [&] { return unpack.err().find("unpacking  39.1 KiB") != std::string::npos; }));
}

TEST_F(Terminal, NoProgressBar) {
  make("a", "");
  done({"add", "a"});
  Command quiet = on_terminal({"add", "-", "--name", "quiet", "-q"});
  Command json = on_terminal({"add", "-", "--name", "json", "--json"});
  Command pipe = on_terminal({"add", "-", "--name", "pipe"});
  pipe.err_terminal = false;
  // At once, to wait only once.
  RunningCommand runs[] = {RunningCommand(quiet, Input::open), RunningCommand(json, Input::open),
                           RunningCommand(pipe, Input::open)};
  for (RunningCommand& add : runs) {
    add.write("contents");
    add.wait_for(kLongerThanAMoment);
  }
  for (RunningCommand& add : runs) {
    add.close_input();
    const Outcome outcome = add.wait();
    EXPECT_TRUE(outcome.ok()) << outcome;
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(Terminal, QuickWorkHasNoProgressBar) {
  make("a", "contents");
  const Outcome outcome = run(on_terminal({"add", "a"}));
  EXPECT_TRUE(outcome.ok());
  EXPECT_THAT(outcome.err, Not(HasSubstr("adding")));
}

TEST_F(Terminal, Colours) {
  make("a", "contents");
  done({"add", "a"});
  EXPECT_THAT(done({"ls"}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(run(on_terminal({"ls"})).out, StartsWith("\x1b[1mSIZE"));
  EXPECT_THAT(run(on_terminal({"get", "missing"})).err, StartsWith("\x1b[31mcleave:\x1b[0m "));
  EXPECT_THAT(run(on_terminal({"ls", "--json"})).out, StartsWith("{"));
  for (const char* variable : {"NO_COLOR", "TERM"}) {
    for (const char* command : {"ls", "stats"}) {
      Command plain = on_terminal({command});
      plain.env[variable] = variable == std::string("TERM") ? "dumb" : "1";
      EXPECT_THAT(run(plain).out, Not(HasSubstr("\x1b"))) << variable;
    }
  }
  // Each stream for itself.
  Command piped = on_terminal({"ls"});
  piped.out_terminal = false;
  EXPECT_THAT(run(piped).out, Not(HasSubstr("\x1b")));
}

TEST_F(Terminal, NarsAreNotPouredOutOnIt) {
  make("a", "contents");
  Command pack = on_terminal({"nar", "pack", "a"});
  const Outcome outcome = run(pack);
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("-o"));
}

class Signals : public Terminal {};

TEST_F(Signals, AddIsStopped) {
  for (const int signal : {SIGINT, SIGTERM}) {
    RunningCommand add(command({"add", "-", "--name", "a"}), Input::open);
    Rng rng(1);
    add.write(random_text(rng, 40 << 20));
    // Its first chunks are in the store, and it waits for more.
    EXPECT_TRUE(add.wait_until([&] {
      std::error_code missing;
      const auto size = fs::file_size(store() / "packs/0000000001.pack", missing);
      return !missing && size > (8 << 20);
    }));
    add.send(signal);
    expect_failed(add.wait(), kFailed, {"interrupted"});
    EXPECT_EQ(done({"ls"}), "");
    EXPECT_THAT(done({"verify", "--all"}), HasSubstr("all as they were added"));
  }
  EXPECT_THAT(names(), IsEmpty());
  make("b", "contents");
  done({"add", "b"});
  done({"gc"});
  EXPECT_EQ(done({"cat", "b"}), "contents");
}

TEST_F(Signals, GetIsStopped) {
  for (int i = 0; i < 6000; ++i) {
    make("tree/" + std::to_string(i / 100) + "/" + std::to_string(i), std::string(4000, 'x'));
  }
  done({"add", "tree"});
  bool stopped = false;
  for (int attempt = 0; attempt < 10 && !stopped; ++attempt) {
    RunningCommand get(command({"get", "tree", "-o", "out", "-j", "1"}));
    get.wait_until([&] { return names().size() > 1; });  // ".out.cleave-…"
    get.send(SIGINT);
    const Outcome outcome = get.wait();
    stopped = outcome.code != kDone;  // or it was faster
    if (stopped) expect_failed(outcome, kFailed, {"interrupted"});
    EXPECT_EQ(fs::exists(at("out")), !stopped);
    fs::remove_all(at("out"));
    EXPECT_THAT(names(), ElementsAre("tree"));
  }
  EXPECT_TRUE(stopped);
  done({"verify"});
}

TEST_F(Signals, UnpackIsStopped) {
  make("tree/file", std::string(100'000, 'x'));
  const std::string nar = done({"nar", "pack", "tree"});
  RunningCommand unpack(command({"nar", "unpack", "-", "-o", "out"}), Input::open);
  unpack.write(nar.substr(0, 50'000));
  EXPECT_TRUE(unpack.wait_until([&] { return names().size() > 1; }));
  unpack.send(SIGINT);
  expect_failed(unpack.wait(), kFailed, {"interrupted"});
  EXPECT_THAT(names(), ElementsAre("tree"));
}

TEST_F(Signals, WhatLeavesNothingBehindEndsAtOnce) {
  RunningCommand chunk(command({"chunk", "-"}), Input::open);
  chunk.wait_for(200ms);
  chunk.send(SIGINT);
  EXPECT_EQ(chunk.wait().signal, SIGINT);
}

// The reader of a pipe may go away.
TEST_F(Signals, ClosedPipe) {
  Rng rng(1);
  make("a", random_text(rng, 1'000'000));
  done({"add", "a"});
  Command command = this->command({"-c", CLEAVE_COMMAND " cat a | head -c 10 > out"});
  command.program = "sh";
  const Outcome outcome = run(command);
  EXPECT_TRUE(outcome.ok()) << outcome;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(read_file(at("out")), read_file(at("a")).substr(0, 10));
}

}  // namespace
}  // namespace cleave::test
