// cleave gc
#include "cleave/store/gc.h"

#include <fmt/format.h>

#include "cleave/cli/context.h"
#include "cleave/cli/output.h"
#include "cleave/cli/progress_bar.h"

namespace cleave::cli {

namespace {

Json describe(const GcReport& report) {
  Json problems = Json::array();
  for (const Error& error : report.problems) {
    problems.push_back({{"name", error.name()}, {"message", error.message()}});
  }
  return {{"removed_chunks", report.removed_chunks}, {"freed_bytes", report.freed_bytes},
          {"removed_packs", report.removed_packs},   {"rewritten_packs", report.rewritten_packs},
          {"copied_bytes", report.copied_bytes},     {"unused_bytes", report.unused_bytes},
          {"waiting_packs", report.waiting_packs},   {"problems", problems}};
}

void print(const GcReport& report, bool dry_run) {
  for (const Error& error : report.problems) fmt::print("left as it is: {}\n", error.message());
  fmt::print("{} {} in {} chunks ({} packs removed, {} rewritten)\n",
             dry_run ? "would free" : "freed", human_size(report.freed_bytes),
             report.removed_chunks, report.removed_packs, report.rewritten_packs);
  if (report.unused_bytes > 0) {
    fmt::print("{} unused stay in packs that are mostly in use\n", human_size(report.unused_bytes));
  }
  if (report.waiting_packs > 0) {
    fmt::print("{} packs are still being read; the next gc removes them\n", report.waiting_packs);
  }
}

Result<ExitCode> run(Context& context, const GcOptions& options) {
  const auto store = CLEAVE_TRY(context.open_store(StoreMode::write));
  GcReport report;
  {
    const ProgressBar bar(context, "collecting");
    report = CLEAVE_TRY(collect_garbage(*store, context.progress, options));
  }
  if (context.json) {
    print_json(describe(report));
  } else if (!context.quiet) {
    print(report, options.dry_run);
  }
  return report.problems.empty() ? kDone : kProblemsFound;
}

}  // namespace

void register_gc(CLI::App& app, Context& context) {
  auto options = std::make_shared<GcOptions>();
  CLI::App* command = add_command(app, "gc", "Free the room of chunks that no artifact needs");
  command->add_flag("-n,--dry-run", options->dry_run, "Only say what would be done");
  command
      ->add_option("--max-unused", options->max_unused_percent,
                   "Rewrite packs of which more than so many percent are unused")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  command->callback([&context, options] {
    context.action = [&context, options] { return run(context, *options); };
  });
}

}  // namespace cleave::cli
