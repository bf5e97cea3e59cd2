// cleave cpu
#include "cleave/base/cpu.h"

#include <fmt/format.h>

#include "cleave/base/executor.h"
#include "cleave/chunk/fastcdc.h"
#include "cleave/cli/context.h"
#include "cleave/cli/output.h"

namespace cleave::cli {

namespace {

Result<ExitCode> run(const Context& context) {
  const auto kernels = FastCdc::kernels();
  const std::string_view used = FastCdc::default_kernel().name;
  if (context.json) {
    Json levels = Json::array();
    for (const CpuLevel level : cpu_levels()) levels.push_back(cpu_level_name(level));
    Json json = {{"level", cpu_level_name(cpu_level())},
                 {"levels", levels},
                 {"cores", available_cores()},
                 {"threads", default_threads(context.threads)}};
    for (const auto& kernel : kernels) {
      json["kernels"]["fastcdc"].push_back({{"name", kernel.name},
                                            {"needs", cpu_level_name(kernel.needs)},
                                            {"used", kernel.name == used}});
    }
    print_json(json);
    return kDone;
  }
  fmt::print("{} threads, {} cores; level {}\n\n", default_threads(context.threads),
             available_cores(), cpu_level_name(cpu_level()));
  Table table({{"WORK"}, {"KERNEL"}, {"NEEDS"}, {"USED"}});
  for (const auto& kernel : kernels) {
    table.row({"fastcdc", std::string(kernel.name), std::string(cpu_level_name(kernel.needs)),
               kernel.name == used ? "yes" : ""});
  }
  table.print();
  return kDone;
}

}  // namespace

void register_cpu(CLI::App& app, Context& context) {
  CLI::App* command =
      add_command(app, "cpu", "What the CPU can do, and which code is used for it (CLEAVE_CPU)");
  command->callback([&context] { context.action = [&context] { return run(context); }; });
}

}  // namespace cleave::cli
