// The cleave command: parses the command line, runs one subcommand, and turns how it ended into an
// exit code.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <fmt/format.h>

#include "cleave/base/file.h"
#include "cleave/base/internal/fail.h"
#include "cleave/base/settings.h"
#include "cleave/base/version.h"
#include "cleave/cli/context.h"
#include "cleave/cli/output.h"
#include "cleave/observe/metrics.h"

namespace cleave::cli {

namespace {

// The job a signal stops.
std::atomic<Progress*> current_job = nullptr;

void on_stop_signal(int number) {
  if (Progress* job = current_job.load()) job->stop.store(true);
  std::signal(number, SIG_DFL);  // a second one does not wait
}

void stop_on_signals(Progress& job) {
  current_job.store(&job);
  std::signal(SIGINT, on_stop_signal);
  std::signal(SIGTERM, on_stop_signal);
}

// CLEAVE_PROFILE=1: where the time went, on standard error.
void print_profile() {
  if (!spans_enabled()) return;
  fmt::print(stderr, "{:<18}{:>10}{:>12}{:>14}{:>12}\n", "span", "count", "ms", "bytes", "GB/s");
  for (const SpanValue& span : span_values()) {
    if (span.count == 0) continue;
    const double ns = static_cast<double>(span.nanoseconds);
    fmt::print(stderr, "{:<18}{:>10}{:>12.1f}{:>14}{:>12.2f}\n", span.name, span.count, ns / 1e6,
               span.bytes, static_cast<double>(span.bytes) / ns);
  }
}

void add_global_options(CLI::App& app, Context& context) {
  app.add_option("--store", context.store_path,
                 "Folder of the store (default: CLEAVE_STORE, else ~/.local/share/cleave)")
      ->type_name("FOLDER");
  app.add_flag("--json", context.json, "Print JSON, for programs (keys: docs/cli.md)");
  app.add_flag("-q,--quiet", context.quiet, "Print errors only");
  app.add_option("-j,--threads", context.threads,
                 "Threads (default: CLEAVE_NUM_THREADS, else all cores)")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  app.set_version_flag("-V,--version", fmt::format("cleave {}", kVersion));
}

void register_commands(CLI::App& app, Context& context) {
  register_add(app, context);
  register_get(app, context);
  register_cat(app, context);
  register_ls(app, context);
  register_rm(app, context);
  register_gc(app, context);
  register_verify(app, context);
  register_stats(app, context);
  register_chunk(app, context);
  register_nar(app, context);
  register_cpu(app, context);
  register_completion(app, context);
}

void warn_of_ignored_settings(const Context& context) {
  if (context.quiet || context.json) return;
  for (const std::string& variable : settings().ignored) {
    fmt::print(stderr, "cleave: {} has a value it cannot have: ignored\n", variable);
  }
}

// Output that did not reach its end is an error, whatever was computed.
Result<> flush_output() {
  const bool flushed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!flushed) {
    return fail(error(IoError::io_error, "write to standard output").with_os_error(errno));
  }
  const bool is_open = ::fcntl(STDOUT_FILENO, F_GETFD) >= 0;
  return is_open ? check_written(STDOUT_FILENO, "standard output") : Result<>();
}

Result<ExitCode> run_action(const Context& context) {
  try {
    const ExitCode code = CLEAVE_TRY(context.action());
    CLEAVE_TRY(flush_output());
    return code;
  } catch (const std::bad_alloc&) {
    return fail(IoError::out_of_memory);
  } catch (const std::exception& problem) {
    return fail(IoError::io_error, "{}", problem.what());
  }
}

// Prints help, the version, or what is wrong with the command line.
ExitCode end_without_action(const CLI::App& app, const Context& context,
                            const CLI::ParseError& problem) {
  if (app.exit(problem) != 0) return kUsage;
  const Result<> printed = flush_output();
  if (printed) return kDone;
  print_error(context, printed.error());
  return exit_code(printed.error());
}

int run(int argc, char** argv) {
  CLI::App app(
      "Cleave takes big files and trees apart into chunks, keeps each chunk once, and puts "
      "every byte back.",
      "cleave");
  Context context;
  add_global_options(app, context);
  register_commands(app, context);
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return end_without_action(app, context, problem);
  }
  warn_of_ignored_settings(context);
  if (!context.ends_at_once) stop_on_signals(context.progress);
  const Result<ExitCode> result = run_action(context);
  current_job.store(nullptr);
  print_profile();
  if (result) return *result;
  print_error(context, result.error());
  return exit_code(result.error());
}

}  // namespace

}  // namespace cleave::cli

int main(int argc, char** argv) { return cleave::cli::run(argc, argv); }
