// cleave verify [NAME…] [--all]
#include "cleave/store/verify.h"

#include <fmt/format.h>

#include "cleave/cli/context.h"
#include "cleave/cli/output.h"
#include "cleave/cli/progress_bar.h"

namespace cleave::cli {

namespace {

struct Flags {
  std::vector<std::string> names;
  bool all = false;
};

Json describe(const VerifyReport& report) {
  Json problems = Json::array();
  for (const Problem& problem : report.problems) {
    problems.push_back({{"name", problem.error.name()},
                        {"message", problem.error.message()},
                        {"artifacts", problem.artifacts}});
  }
  return {{"artifacts", report.artifacts},
          {"chunks", report.chunks},
          {"bytes", report.bytes},
          {"damaged_artifacts", report.damaged_artifacts},
          {"problems", problems}};
}

void print(const VerifyReport& report, bool quiet) {
  const Style style(stdout);
  for (const Problem& problem : report.problems) {
    fmt::print("{}{}{}\n", style.red(), problem.error.message(), style.reset());
    for (const std::string& name : problem.artifacts) fmt::print("    damages {}\n", name);
  }
  if (quiet) return;
  fmt::print("{} artifacts, {} chunks, {}: ", report.artifacts, report.chunks,
             human_size(report.bytes));
  if (report.problems.empty()) {
    fmt::print("all as they were added\n");
  } else {
    fmt::print("{} problems, {} artifacts damaged\n", report.problems.size(),
               report.damaged_artifacts.size());
  }
}

Result<ExitCode> run(Context& context, const Flags& flags) {
  const auto store = CLEAVE_TRY(context.open_store(StoreMode::read));
  VerifyReport report;
  {
    const ProgressBar bar(context, "verifying");
    report = CLEAVE_TRY(verify_store(*store, context.executor(), context.progress,
                                     {.names = flags.names, .everything = flags.all}));
  }
  if (context.json) {
    print_json(describe(report));
  } else {
    print(report, context.quiet);
  }
  return report.problems.empty() ? kDone : kProblemsFound;
}

}  // namespace

void register_verify(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = add_command(
      app, "verify", "Read artifacts again and find every byte that is not as it was added");
  CLI::Option* names = command->add_option("name", flags->names, "Artifacts (default: all)");
  names->type_name("NAME");
  command->add_flag("--all", flags->all, "Also chunks and records that no artifact needs")
      ->excludes(names);
  command->callback(
      [&context, flags] { context.action = [&context, flags] { return run(context, *flags); }; });
}

}  // namespace cleave::cli
