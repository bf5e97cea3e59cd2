// Waiting for other processes, output that cannot be written, full disks under the index, and the
// completion of zsh and fish in these shells.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/file.h>
#include <sys/mount.h>

#include "cleave/base/file.h"
#include "tests/cli/cli_test.h"
#include "tests/support/bytes.h"
#include "tests/support/oracle.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using testing::UnorderedElementsAre;

// ---- waiting ----

class Waiting : public CliTest {
 protected:
  void SetUp() override {
    make("file", "text");
    done({"add", "file", "-q"});
  }
  // As another process holds it that collects garbage.
  FileDescriptor lock_writers() const {
    FileDescriptor lock = open_file(store() / "writers.lock", O_RDONLY).value();
    EXPECT_EQ(::flock(lock.get(), LOCK_EX), 0);
    return lock;
  }
};

TEST_F(Waiting, IsSaidOnceAndEndsWithTheLock) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"gc"}, {"add", "file", "--replace"}}) {
    FileDescriptor lock = lock_writers();
    RunningCommand running(command(args));
    ASSERT_TRUE(running.wait_until([&] { return running.err().ends_with('\n'); }));
    EXPECT_TRUE(running.wait_for(100ms));
    lock.close();
    const Outcome outcome = running.wait();
    EXPECT_EQ(outcome.code, kDone) << outcome;
    EXPECT_THAT(outcome.err, StartsWith("cleave: waiting for another process"));
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome;
  }
}

TEST_F(Waiting, IsNotSaidWhereNobodyReadsIt) {
  for (const char* flag : {"-q", "--json"}) {
    FileDescriptor lock = lock_writers();
    RunningCommand running(command({"gc", flag}));
    EXPECT_TRUE(running.wait_for(700ms));
    lock.close();
    const Outcome outcome = running.wait();
    EXPECT_EQ(outcome.code, kDone) << outcome;
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(Waiting, EndsWithASignal) {
  const FileDescriptor lock = lock_writers();
  RunningCommand running(command({"gc"}));
  ASSERT_TRUE(running.wait_until([&] { return running.err().ends_with('\n'); }));
  running.send(SIGINT);
  const Outcome outcome = running.wait();
  EXPECT_EQ(outcome.code, kFailed) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("\ncleave: interrupted"));
}

// ---- output that cannot be written ----

using Help = CliTest;

TEST_F(Help, ThatCannotBePrintedIsAnError) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--help"}, {"--version"}, {"add", "--help"}, {"nar", "pack", "-h"}}) {
    EXPECT_THAT(done(args), Not(IsEmpty()));
    Command full = command(args);
    full.out_to = "/dev/full";
    const Outcome outcome = run(full);
    expect_failed(outcome, kFailed, {"io_error", "standard output", std::strerror(ENOSPC)});
  }
}

// ---- full disks ----

class FullDisk : public CliTest {
 protected:
  void SetUp() override {
    fs::create_directory(store());
    if (!mount(0, "8m")) GTEST_SKIP() << "no mount: " << std::strerror(errno);
    mounted_ = true;
  }
  ~FullDisk() override {
    if (mounted_) ::umount2(store().c_str(), MNT_DETACH);
  }
  bool mount(unsigned long flags, const std::string& size) const {
    return ::mount("tmpfs", store().c_str(), "tmpfs", flags, ("size=" + size).c_str()) == 0;
  }
  // Leaves room for so many bytes.
  void leave(std::uintmax_t room) const {
    const fs::space_info space = fs::space(store());
    ASSERT_TRUE(mount(MS_REMOUNT, std::to_string(space.capacity - space.free + room)));
  }

 private:
  bool mounted_ = false;
};

// LMDB itself calls a write that does not fit an I/O error.
TEST_F(FullDisk, IsCalledSoUnderTheIndex) {
  int failed_index = 0;
  make("first", "text");
  done({"add", "first", "-q"});
  make("file", text_of(random_bytes(1, 50'000)));
  for (std::uintmax_t pages = 0; pages < 60; ++pages) {
    leave(pages * 4096);
    const Outcome outcome =
        cleave({"add", "-q", "file", "--min", "64", "--avg", "256", "--max", "1024"});
    ASSERT_TRUE(mount(MS_REMOUNT, "8m"));
    if (outcome.code == kDone) break;
    expect_failed(outcome, kFailed, {"io_error", store().native(), std::strerror(ENOSPC)});
    if (outcome.err.find("disk is full") != std::string::npos) ++failed_index;
  }
  EXPECT_EQ(done({"ls", "-1"}), "file\nfirst\n");
  EXPECT_GT(failed_index, 0);
}

// ---- completion ----

class ShellCompletion : public CliTest {
 protected:
  void SetUp() override {
    // The scripts call `cleave`.
    fs::create_directory(dir() / "bin");
    fs::create_symlink(CLEAVE_COMMAND, dir() / "bin/cleave");
    make("some file", "");
    for (const char* name : {"song", "two words", "$(touch hacked)"}) {
      done({"add", "some file", "-q", "-n", name});
    }
  }

  Outcome shell(const std::string& program, const std::vector<std::string>& args) const {
    Command command = this->command(args);
    command.program = program;
    const char* path = std::getenv("PATH");
    command.env["PATH"] = (dir() / "bin").native() + ":" + (path != nullptr ? path : "/usr/bin");
    return run(command);
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class Fish : public ShellCompletion {
 protected:
  // What fish offers at the end of `line`, without descriptions.
  std::vector<std::string> offered(const std::string& line) const {
    make("cleave.fish", done({"completion", "fish"}));
    const Outcome outcome =
        shell("fish", {"--no-config", "-c", "source cleave.fish; complete -C$argv[1]", line});
    EXPECT_TRUE(outcome.ok() && outcome.err.empty()) << outcome;
    std::vector<std::string> words = lines_of(outcome.out);
    for (std::string& word : words) word.resize(std::min(word.size(), word.find('\t')));
    return words;
  }
};

TEST_F(Fish, Words) {
  CLEAVE_NEED_PROGRAM("fish");
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

TEST_F(Fish, FilesAndArtifacts) {
  CLEAVE_NEED_PROGRAM("fish");
  EXPECT_THAT(offered("cleave add so"), ElementsAre("some file"));
  for (const std::string command : {"get", "cat", "rm", "verify"}) {
    EXPECT_THAT(offered("cleave " + command + " so"), ElementsAre("song")) << command;
    EXPECT_EQ(offered("cleave " + command + " ").size(), 3U) << command;
  }
  EXPECT_THAT(offered("cleave cat song tw"), ElementsAre("two words"));
  // What is called as a command is not one.
  EXPECT_THAT(offered("cleave get ls"), IsEmpty());
  EXPECT_THAT(offered("cleave nar ls so"), ElementsAre("some file"));
  EXPECT_FALSE(fs::exists(at("hacked")));
}

class Zsh : public ShellCompletion {
 protected:
  // What zsh offers at the end of `line`: completed in a real interactive shell, whose completion
  // is made to print its matches.
  std::vector<std::string> offered(const std::string& line) const {
    fs::create_directories(at("functions"));
    make("functions/_cleave", done({"completion", "zsh"}));
    make("complete.zsh", kDriver);
    const Outcome outcome = shell("zsh", {"-f", "complete.zsh", line});
    EXPECT_TRUE(outcome.ok() && outcome.err.empty()) << outcome;
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
  EXPECT_THAT(offered("cleave "), AllOf(Contains("add"), Contains("completion"),
                                        Not(Contains("pack")), Not(Contains("some file"))));
  EXPECT_THAT(offered("cleave ve"), ElementsAre("verify"));
  EXPECT_THAT(offered("cleave -q --store get st"), ElementsAre("stats"));
  EXPECT_THAT(offered("cleave -j 2 st"), ElementsAre("stats"));
  EXPECT_THAT(offered("cleave add --m"), UnorderedElementsAre("--min", "--max"));
  EXPECT_THAT(offered("cleave get --"),
              AllOf(Contains("--nar"), Contains("--json"), Not(Contains("--replace"))));
  EXPECT_THAT(offered("cleave nar "), UnorderedElementsAre("pack", "unpack", "ls", "cat"));
  EXPECT_THAT(offered("cleave nar pack --f"), ElementsAre("--force"));
  EXPECT_THAT(offered("cleave completion "), UnorderedElementsAre("bash", "zsh", "fish"));
}

TEST_F(Zsh, FilesAndArtifacts) {
  CLEAVE_NEED_PROGRAM("zsh");
  EXPECT_THAT(offered("cleave add so"), ElementsAre("some file"));
  for (const std::string command : {"get", "cat", "rm", "verify"}) {
    EXPECT_THAT(offered("cleave " + command + " so"), ElementsAre("song")) << command;
    EXPECT_EQ(offered("cleave " + command + " ").size(), 3U) << command;
  }
  EXPECT_THAT(offered("cleave cat song tw"), ElementsAre("two words"));
  EXPECT_FALSE(fs::exists(at("hacked")));
}

}  // namespace
}  // namespace cleave::test
