// What the command does, on a store with small packs, so that a test of some seconds fills many:
//   store_driver STORE PACK_SIZE { add NAME PATH | rm NAME | gc MAX_UNUSED_PERCENT }…
// Prints "added NAME" or "removed NAME" when that is durable.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <unistd.h>

#include "cleave/store/add.h"
#include "cleave/store/gc.h"
#include "cleave/store/store.h"

namespace cleave {
namespace {

void say(const std::string& line) {
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::_Exit(4);
}

class Driver {
 public:
  explicit Driver(std::shared_ptr<Store> store) : store_(std::move(store)) {}

  Result<> run(std::deque<std::string> words) {
    const auto next = [&] {
      std::string word = words.front();
      words.pop_front();
      return word;
    };
    while (!words.empty()) {
      const std::string job = next();
      if (job == "add") {
        const std::string name = next();
        CLEAVE_TRY(add(name, next()));
        continue;
      }
      CLEAVE_TRY(finish_adding());
      if (job == "rm") {
        const std::string name = next();
        CLEAVE_TRY(store_->remove(name));
        say("removed " + name + "\n");
      } else if (job == "gc") {
        const GcOptions options{.max_unused_percent = static_cast<unsigned>(std::stoul(next()))};
        const GcReport report = CLEAVE_TRY(collect_garbage(*store_, progress_, options));
        if (!report.problems.empty()) return std::unexpected(report.problems.front());
      }
    }
    return finish_adding();
  }

 private:
  // Additions that follow one another are one session.
  Result<> add(const std::string& name, const std::string& path) {
    if (!adder_) {
      AddOptions options;
      options.chunking.min_size = 1024;
      options.chunking.avg_size = 4096;
      options.chunking.max_size = 16384;
      adder_ =
          CLEAVE_TRY(Adder::start(store_, *executor_, progress_, options,
                                  [](const std::string& added, const Result<AddReport>& result) {
                                    say((result ? "added " : "failed ") + added + "\n");
                                  }));
    }
    return adder_->add_path(path, name);
  }
  Result<> finish_adding() {
    const auto adder = std::move(adder_);
    return adder ? adder->finish() : Result<>();
  }

  std::shared_ptr<Store> store_;
  std::unique_ptr<Executor> executor_ = make_thread_executor(2);
  Progress progress_;
  std::unique_ptr<Adder> adder_;
};

int run(int argc, char** argv) {
  if (argc < 3) return 2;
  const auto store = Store::open(argv[1], StoreMode::create, {.pack_size = std::stoull(argv[2])});
  const Result<> done =
      store ? Driver(*store).run({argv + 3, argv + argc}) : std::unexpected(store.error());
  if (done) return 0;
  say("error " + std::string(done.error().message()) + "\n");
  return 4;
}

}  // namespace
}  // namespace cleave

int main(int argc, char** argv) { return cleave::run(argc, argv); }
