// cleave stats
#include "cleave/store/stats.h"

#include <fmt/format.h>

#include "cleave/cli/context.h"
#include "cleave/cli/output.h"

namespace cleave::cli {

namespace {

void print_table(const StoreStats& stats) {
  using enum Table::Align;
  const auto total = static_cast<double>(stats.artifact_bytes);
  Table table({{"WHAT"}, {"COUNT", right}, {"SIZE", right}, {"OF ALL", right}});
  const auto row = [&](const char* what, std::uint64_t count, std::uint64_t bytes) {
    table.row({what, std::to_string(count), human_size(bytes),
               percent(static_cast<double>(bytes), total)});
  };
  row("artifacts", stats.artifacts, stats.artifact_bytes);
  row("distinct chunks", stats.chunks, stats.chunk_bytes);
  row("stored compressed", stats.chunks, stats.stored_bytes);
  row("unused, for gc", stats.unused_chunks, stats.unused_bytes);
  row("packs", stats.packs, stats.pack_bytes);
  row("index", 1, stats.index_bytes);
  table.print();
}

Json describe(const StoreStats& stats) {
  return {{"artifacts", stats.artifacts},
          {"artifact_bytes", stats.artifact_bytes},
          {"chunks", stats.chunks},
          {"chunk_bytes", stats.chunk_bytes},
          {"stored_bytes", stats.stored_bytes},
          {"unused_chunks", stats.unused_chunks},
          {"unused_bytes", stats.unused_bytes},
          {"packs", stats.packs},
          {"pack_bytes", stats.pack_bytes},
          {"index_bytes", stats.index_bytes}};
}

Result<ExitCode> run(Context& context) {
  const auto store = CLEAVE_TRY(context.open_store(StoreMode::read));
  const StoreStats stats = CLEAVE_TRY(store_stats(*store));
  if (context.json) {
    print_json(describe(stats));
  } else {
    print_table(stats);
  }
  return kDone;
}

}  // namespace

void register_stats(CLI::App& app, Context& context) {
  CLI::App* command = add_command(app, "stats", "What the store holds, and what it saves");
  command->callback([&context] { context.action = [&context] { return run(context); }; });
}

}  // namespace cleave::cli
