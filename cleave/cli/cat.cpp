// cleave cat NAME…
#include <unistd.h>
#include <vector>

#include "cleave/base/file.h"
#include "cleave/cli/context.h"
#include "cleave/store/get.h"

namespace cleave::cli {

namespace {

Result<ExitCode> run(Context& context, const std::vector<std::string>& names) {
  const auto store = CLEAVE_TRY(context.open_store(StoreMode::read));
  FileSink sink(STDOUT_FILENO, "standard output");
  for (const std::string& name : names) {
    const Artifact artifact = CLEAVE_TRY(store->find(name));
    CLEAVE_TRY(write_artifact(*store, context.executor(), artifact, sink, context.progress));
  }
  return kDone;
}

}  // namespace

void register_cat(CLI::App& app, Context& context) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* command = add_command(
      app, "cat", "Write the bytes of artifacts to standard output; of folders, the NAR");
  command->add_option("name", *names, "Artifacts")->required()->type_name("NAME");
  command->callback(
      [&context, names] { context.action = [&context, names] { return run(context, *names); }; });
}

}  // namespace cleave::cli
