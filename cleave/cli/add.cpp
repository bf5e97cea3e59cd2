// cleave add PATH… [--name N]
#include "cleave/store/add.h"

#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cleave/base/internal/fail.h"
#include "cleave/cli/chunking_flags.h"
#include "cleave/cli/context.h"
#include "cleave/cli/input.h"
#include "cleave/cli/output.h"
#include "cleave/cli/progress_bar.h"

namespace cleave::cli {

namespace {

struct Flags {
  std::vector<std::string> paths;
  std::string name;
  AddOptions options;
};

// Results as they come in. A row is printed when its artifact is durable, not before.
class Reporter {
 public:
  explicit Reporter(const Context& context) : context_(context) {}

  void operator()(const std::string& /*name*/, const Result<AddReport>& result) {
    const std::lock_guard lock(mutex_);
    if (!result) {
      fail_with(result.error());
    } else if (context_.json) {
      added_.push_back(*result);
    } else if (!context_.quiet) {
      print(*result);
    }
  }

  void failed(const Error& error) {
    const std::lock_guard lock(mutex_);
    fail_with(error);
  }

  ExitCode finish() {
    const std::lock_guard lock(mutex_);
    if (context_.json) {
      Json artifacts = Json::array();
      for (const AddReport& report : added_) artifacts.push_back(describe(report));
      print_json({{"added", artifacts}});
    }
    return exit_code_;
  }

 private:
  void fail_with(const Error& error) {
    clear_progress_line();
    print_error(context_, error);
    exit_code_ = std::max(exit_code_, exit_code(error));
  }

  static Json describe(const AddReport& report) {
    Json json = to_json(report.artifact);
    json["new_chunks"] = report.new_chunks;
    json["new_bytes"] = report.new_bytes;
    json["stored_bytes"] = report.stored_bytes;
    return json;
  }

  void print(const AddReport& report) {
    clear_progress_line();
    const Style style(stdout);
    if (!std::exchange(header_printed_, true)) {
      fmt::print("{}{:>10}  {:>10}  {:>10}  {}{}\n", style.bold(), "SIZE", "NEW", "STORED", "NAME",
                 style.reset());
    }
    fmt::print("{:>10}  {:>10}  {:>10}  {}\n", human_size(report.artifact.size),
               human_size(report.new_bytes), human_size(report.stored_bytes), report.artifact.name);
    std::fflush(stdout);
  }

  const Context& context_;
  std::mutex mutex_;
  std::vector<AddReport> added_;
  bool header_printed_ = false;
  ExitCode exit_code_ = kDone;
};

Result<> add_one(Adder& adder, Progress& progress, const std::string& path,
                 const std::string& name) {
  if (path.empty()) return fail(StoreError::invalid_name, "an empty path names nothing");
  if (path != "-") {
    return adder.add_path(path, name.empty() ? default_artifact_name(path) : name);
  }
  if (name.empty()) {
    return fail(StoreError::invalid_name, "standard input has no name; give one with --name");
  }
  Input input = CLEAVE_TRY(Input::open(path, progress, Input::Counts::no));  // the adder counts
  return adder.add_stream(input, name);
}

Result<ExitCode> run(Context& context, const Flags& flags) {
  if (!flags.name.empty() && flags.paths.size() > 1) {
    return fail(StoreError::invalid_name, "--name goes with one path, not {}", flags.paths.size());
  }
  CLEAVE_TRY(flags.options.chunking.validate());  // before there is a store
  auto store = CLEAVE_TRY(context.open_store(StoreMode::create));
  Reporter report(context);
  {
    ProgressBar bar(context, "adding");
    bar.estimate(flags.paths);
    const auto adder = CLEAVE_TRY(Adder::start(std::move(store), context.executor(),
                                               context.progress, flags.options, std::ref(report)));
    for (const std::string& path : flags.paths) {
      const auto added = add_one(*adder, context.progress, path, flags.name);
      if (!added) report.failed(added.error());
      if (!added && added.error().is(IoError::interrupted)) break;
    }
    // Its error has been reported with the artifacts it struck.
    static_cast<void>(adder->finish());
  }
  return report.finish();
}

}  // namespace

void register_add(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      add_command(app, "add", "Add files and folders to the store, each under a name");
  command->add_option("path", flags->paths, "Files, folders, or - for standard input")
      ->required()
      ->type_name("PATH");
  command->add_option("-n,--name", flags->name,
                      "Name of the artifact (default: the path's last part)");
  command->add_flag("--replace", flags->options.replace, "Replace an artifact of the same name");
  command->add_flag("--sha256", flags->options.sha256,
                    "Compute the SHA-256 of files too (NARs and folders always have it)");
  command->add_option("--compression-level", flags->options.zstd_level, "zstd level of new chunks")
      ->check(CLI::Range(kMinZstdLevel, kMaxZstdLevel))
      ->capture_default_str();
  add_chunking_flags(*command, flags->options.chunking);
  command->callback(
      [&context, flags] { context.action = [&context, flags] { return run(context, *flags); }; });
}

}  // namespace cleave::cli
