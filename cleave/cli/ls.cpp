// cleave ls
#include <fmt/format.h>

#include "cleave/cli/context.h"
#include "cleave/cli/output.h"
#include "cleave/hash/digest.h"

namespace cleave::cli {

namespace {

void print_table(const std::vector<Artifact>& artifacts) {
  using enum Table::Align;
  Table table({{"SIZE", right}, {"CHUNKS", right}, {"KIND"}, {"ADDED"}, {"DIGEST"}, {"NAME"}});
  for (const Artifact& artifact : artifacts) {
    const bool folder = artifact.kind == ArtifactKind::folder;
    const bool nar = artifact.format == ArtifactFormat::nar;
    table.row({human_size(artifact.size), std::to_string(artifact.chunks),
               folder ? "folder" : (nar ? "nar" : "file"), human_time(artifact.added),
               to_hex(artifact.digest.span()).substr(0, 16), artifact.name});
  }
  table.print();
}

Result<ExitCode> run(Context& context, bool names_only) {
  const auto store = CLEAVE_TRY(context.open_store(StoreMode::read));
  const std::vector<Artifact> artifacts = CLEAVE_TRY(store->list());
  if (context.json) {
    Json list = Json::array();
    for (const Artifact& artifact : artifacts) list.push_back(to_json(artifact));
    print_json({{"artifacts", list}});
  } else if (names_only) {
    for (const Artifact& artifact : artifacts) fmt::print("{}\n", artifact.name);
  } else if (!artifacts.empty()) {
    print_table(artifacts);
  }
  return kDone;
}

}  // namespace

void register_ls(CLI::App& app, Context& context) {
  auto names_only = std::make_shared<bool>(false);
  CLI::App* command = add_command(app, "ls", "List the artifacts in the store");
  command->add_flag("-1,--names", *names_only, "Names only, one a line");
  command->callback([&context, names_only] {
    context.action = [&context, names_only] { return run(context, *names_only); };
  });
}

}  // namespace cleave::cli
