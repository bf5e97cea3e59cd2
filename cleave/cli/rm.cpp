// cleave rm NAME…
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "cleave/cli/context.h"
#include "cleave/cli/output.h"

namespace cleave::cli {

namespace {

Result<ExitCode> run(Context& context, const std::vector<std::string>& names) {
  const auto store = CLEAVE_TRY(context.open_store(StoreMode::write));
  ExitCode code = kDone;
  Json removed = Json::array();
  for (const std::string& name : names) {
    if (const auto done = store->remove(name); !done) {
      print_error(context, done.error());
      code = std::max(code, exit_code(done.error()));
      continue;
    }
    removed.push_back(name);
    if (!context.json && !context.quiet) fmt::print("removed  {}\n", name);
  }
  if (context.json) print_json({{"removed", removed}});
  return code;
}

}  // namespace

void register_rm(CLI::App& app, Context& context) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* command =
      add_command(app, "rm", "Forget artifacts; `gc` frees the room that only they took");
  command->add_option("name", *names, "Artifacts")->required()->type_name("NAME");
  command->callback(
      [&context, names] { context.action = [&context, names] { return run(context, *names); }; });
}

}  // namespace cleave::cli
