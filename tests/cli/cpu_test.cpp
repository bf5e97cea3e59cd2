// cleave cpu: the levels and kernels of this machine, and how CLEAVE_CPU chooses among them.
#include <nlohmann/json.hpp>

#include "tests/cli/cli_test.h"

namespace cleave::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Cpu : public CliTest {};

TEST_F(Cpu, EveryLevelIsUsedWhenAskedFor) {
  const json machine = json::parse(done({"cpu", "--json"}));
  ASSERT_EQ(machine["levels"][0], "scalar");
  EXPECT_GE(machine["cores"], 1);
  for (const std::string level : machine["levels"]) {
    const json forced = json::parse(done({"cpu", "--json"}, {.env = {{"CLEAVE_CPU", level}}}));
    EXPECT_EQ(forced["level"], level);
    int used = 0;
    for (const json& kernel : forced["kernels"]["fastcdc"]) used += kernel["used"] ? 1 : 0;
    EXPECT_EQ(used, 1) << level;
    const bool first_is_used = forced["kernels"]["fastcdc"][0]["used"];
    EXPECT_EQ(first_is_used, level == "scalar");
  }
}

TEST_F(Cpu, ForPeopleATable) {
  const std::string table = done({"cpu", "-j", "1"});
  EXPECT_THAT(table, HasSubstr("1 threads, "));
  EXPECT_THAT(table, HasSubstr("fastcdc  scalar"));
}

}  // namespace
}  // namespace cleave::test
