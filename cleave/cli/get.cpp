// cleave get NAME [-o OUT]
#include "cleave/store/get.h"

#include <filesystem>
#include <unistd.h>

#include <fmt/format.h>

#include "cleave/base/file.h"
#include "cleave/base/internal/fail.h"
#include "cleave/cli/context.h"
#include "cleave/cli/output.h"
#include "cleave/cli/progress_bar.h"

namespace cleave::cli {

namespace {

struct Flags {
  std::string name;
  std::string out;
  bool nar = false;
  bool force = false;
};

// By default the last part of the name, in the working folder: a name must not choose where it
// goes.
Result<std::filesystem::path> output_path(const Flags& flags, const Artifact& artifact,
                                          bool as_nar) {
  if (!flags.out.empty()) return flags.out;
  std::filesystem::path last = std::filesystem::path(artifact.name).filename();
  if (last.empty() || last == "." || last == "..") {
    return fail(error(StoreError::invalid_name, "its last part is no file name; say where with -o")
                    .with_subject("name", artifact.name));
  }
  if (as_nar && last.extension() != ".nar") last += ".nar";
  return last;
}

Result<ExitCode> run(Context& context, const Flags& flags) {
  const auto store = CLEAVE_TRY(context.open_store(StoreMode::read));
  const Artifact artifact = CLEAVE_TRY(store->find(flags.name));
  context.progress.total = artifact.size;
  Executor& executor = context.executor();
  if (flags.out == "-") {
    FileSink sink(STDOUT_FILENO, "standard output");
    CLEAVE_TRY(write_artifact(*store, executor, artifact, sink, context.progress));
    return kDone;
  }
  const bool as_folder = artifact.kind == ArtifactKind::folder && !flags.nar;
  const bool as_nar = artifact.kind == ArtifactKind::folder && flags.nar;
  const std::filesystem::path out = CLEAVE_TRY(output_path(flags, artifact, as_nar));
  {
    const ProgressBar bar(context, "getting");
    if (as_folder) {
      CLEAVE_TRY(restore_folder(*store, executor, artifact, out, context.progress));
    } else {
      const Overwrite overwrite = flags.force ? Overwrite::yes : Overwrite::no;
      CLEAVE_TRY(restore_file(*store, executor, artifact, out, overwrite, context.progress));
    }
  }
  if (context.json) {
    Json json = to_json(artifact);
    put_text(json, "path", out.native());
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("{}  {}\n", human_size(artifact.size), out.native());
  }
  return kDone;
}

}  // namespace

void register_get(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      add_command(app, "get", "Give an artifact back, every byte verified: a file or a folder");
  command->add_option("name", flags->name, "Artifact")->required()->type_name("NAME");
  command->add_option("-o,--output", flags->out,
                      "Where to (default: the name's last part, here); - for standard output");
  command->add_flag("--nar", flags->nar, "A folder as its NAR, in one file");
  command->add_flag("-f,--force", flags->force, "Replace a file that is there");
  command->callback(
      [&context, flags] { context.action = [&context, flags] { return run(context, *flags); }; });
}

}  // namespace cleave::cli
