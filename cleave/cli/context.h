// What all subcommands share: global options, the store, progress, output, and how errors end.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "cleave/base/error.h"
#include "cleave/base/executor.h"
#include "cleave/observe/progress.h"
#include "cleave/store/store.h"

namespace cleave::cli {

// Exit codes, as documented in docs/cli.md.
enum ExitCode : int {
  kDone = 0,
  kProblemsFound = 1,
  kUsage = 2,
  kMalformedInput = 3,
  kStoreOrIo = 4,
};
ExitCode exit_code(const Error& error);

struct Context {
  // Global options.
  std::string store_path;
  std::size_t threads = 0;
  bool json = false;
  bool quiet = false;

  Progress progress;
  // Signals end the command at once: it leaves nothing behind.
  bool ends_at_once = false;

  // What a subcommand does once all is parsed. Returns an exit code.
  std::function<Result<ExitCode>()> action;

  // The store must not be used for longer than this object.
  Result<std::shared_ptr<Store>> open_store(StoreMode mode);
  Executor& executor();

 private:
  void tell_that_it_waits() const;

  std::unique_ptr<Executor> executor_;
};

// On standard error, `cleave: <message>`, or a JSON object with --json.
void print_error(const Context& context, const Error& error);

// Adds the subcommand `name` with an `action` that runs when it was given.
CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description);

// Each subcommand has a file of its own.
void register_add(CLI::App& app, Context& context);
void register_cat(CLI::App& app, Context& context);
void register_chunk(CLI::App& app, Context& context);
void register_completion(CLI::App& app, Context& context);
void register_cpu(CLI::App& app, Context& context);
void register_gc(CLI::App& app, Context& context);
void register_get(CLI::App& app, Context& context);
void register_ls(CLI::App& app, Context& context);
void register_nar(CLI::App& app, Context& context);
void register_rm(CLI::App& app, Context& context);
void register_stats(CLI::App& app, Context& context);
void register_verify(CLI::App& app, Context& context);

}  // namespace cleave::cli
