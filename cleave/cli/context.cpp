#include "cleave/cli/context.h"

#include <utility>

#include <fmt/format.h>

#include "cleave/cli/output.h"
#include "cleave/cli/progress_bar.h"

namespace cleave::cli {

ExitCode exit_code(const Error& error) {
  switch (error.error_class()) {
    case ErrorClass::usage: return kUsage;
    case ErrorClass::malformed: return kMalformedInput;
    case ErrorClass::io:
    case ErrorClass::store: break;
  }
  return kStoreOrIo;
}

Result<std::shared_ptr<Store>> Context::open_store(StoreMode mode) {
  const std::filesystem::path path =
      store_path.empty() ? default_store_path() : std::filesystem::path(store_path);
  auto store = CLEAVE_TRY(Store::open(path, mode));
  store->set_on_wait([this, told = false]() mutable -> Result<> {
    if (!std::exchange(told, true)) tell_that_it_waits();
    return progress.check();
  });
  return store;
}

void Context::tell_that_it_waits() const {
  if (quiet || json) return;
  clear_progress_line();
  fmt::print(stderr,
             "cleave: waiting for another process, which adds to the store or collects its "
             "garbage\n");
}

Executor& Context::executor() {
  if (!executor_) executor_ = make_executor(threads);
  return *executor_;
}

void print_error(const Context& context, const Error& error) {
  if (context.json) {
    Json json = {{"error", {{"name", error.name()}, {"message", error.message()}}}};
    if (error.os_error() != 0) json["error"]["os_error"] = error.os_error();
    fmt::print(stderr, "{}\n", to_text(json));
    return;
  }
  const Style style(stderr);
  fmt::print(stderr, "{}cleave:{} {}\n", style.red(), style.reset(), error.message());
}

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description) {
  CLI::App* command = app.add_subcommand(name, description);
  command->fallthrough();  // global options may stand behind the subcommand too
  return command;
}

}  // namespace cleave::cli
