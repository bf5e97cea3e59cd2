#include "tests/crash/store_check.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "cleave/nar/nar_source.h"
#include "cleave/store/store_error.h"
#include "tests/support/bytes.h"
#include "tests/support/store.h"

namespace cleave::test {

namespace fs = std::filesystem;

namespace {

// A check that takes longer hangs.
constexpr unsigned kMaxSeconds = 60;

std::string text(const Error& error) { return std::string(error.message()); }

std::string find_damage(const Store& store) {
  const auto report = verify(store, Everything::yes);
  if (!report) return "verify: " + text(report.error());
  for (const Problem& problem : report->problems) return "verify found " + text(problem.error);
  return {};
}

std::string read_contents(const Store& store, Contents& contents) {
  const auto artifacts = store.list();
  if (!artifacts) return "list: " + text(artifacts.error());
  for (const Artifact& artifact : *artifacts) {
    auto bytes = get_text(store, artifact.name);
    if (!bytes) return "get " + artifact.name + ": " + text(bytes.error());
    contents[artifact.name] = *std::move(bytes);
  }
  return {};
}

std::string describe(const Contents& contents) {
  std::string all = "{";
  for (const auto& [name, bytes] : contents) {
    all += " " + name + ": " + std::to_string(bytes.size()) + " bytes";
  }
  return all + " }";
}

std::string find_problem_here(const fs::path& path, const std::vector<Contents>& allowed,
                              MayBeUnmade may_be_unmade) {
  auto store = Store::open(path, StoreMode::write);
  if (!store && may_be_unmade == MayBeUnmade::yes && store.error().is(StoreError::no_store)) {
    store = Store::open(path, StoreMode::create);
  }
  if (!store) return "open: " + text(store.error());
  if (std::string damage = find_damage(**store); !damage.empty()) return damage;
  Contents contents;
  if (std::string problem = read_contents(**store, contents); !problem.empty()) return problem;
  if (std::ranges::find(allowed, contents) == allowed.end()) {
    return "neither the old nor the new state: " + describe(contents);
  }

  // Most of it is there already.
  std::string more = text_of(random_bytes(99, 5000));
  if (!contents.empty()) more += contents.begin()->second.substr(0, 20'000);
  if (const auto added = add_text(*store, "later", more, medium_chunks()); !added) {
    return "later add: " + text(added.error());
  }
  contents["later"] = more;
  const auto collected = collect(**store, {.max_unused_percent = 0});
  if (!collected) return "later gc: " + text(collected.error());
  if (!collected->problems.empty()) return "later gc: " + text(collected->problems.front());
  if (std::string damage = find_damage(**store); !damage.empty()) return "later " + damage;
  Contents again;
  if (std::string problem = read_contents(**store, again); !problem.empty()) {
    return "later " + problem;
  }
  if (again != contents) return "later it holds " + describe(again);
  return {};
}

}  // namespace

AddOptions medium_chunks() {
  AddOptions options;
  options.chunking.min_size = 512;
  options.chunking.avg_size = 2048;
  options.chunking.max_size = 4096;
  return options;
}

std::string nar_of(const fs::path& folder) {
  NarSource nar = NarSource::open(folder).value();
  std::string all;
  std::vector<std::byte> block(65536);
  while (const std::size_t n = nar.read(block).value()) {
    all += as_text(ByteSpan(block).first(n));
  }
  return all;
}

fs::path memory_folder() {
  const fs::path memory = "/dev/shm";
  return fs::canonical(::access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path());
}

std::string in_child(const std::function<std::string()>& check) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category());
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category());
  if (child == 0) {
    ::alarm(kMaxSeconds);
    std::string problem;
    try {
      problem = check();
    } catch (const std::exception& exception) {
      problem = exception.what();
    }
    const bool told =
        ::write(ends[1], problem.data(), problem.size()) == static_cast<ssize_t>(problem.size());
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  std::string problem;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    problem.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return "exit code " + std::to_string(WEXITSTATUS(status));
  return problem;
}

std::string find_problem(const fs::path& store, const std::vector<Contents>& allowed,
                         MayBeUnmade may_be_unmade) {
  return in_child([&] { return find_problem_here(store, allowed, may_be_unmade); });
}

}  // namespace cleave::test
