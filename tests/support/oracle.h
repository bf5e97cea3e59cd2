// Programs that tests compare with. A missing one skips the test, or fails it when
// CLEAVE_REQUIRE_ORACLES=1.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace cleave::test {

inline bool have_program(const std::string& name) {
  return std::system(("command -v " + name + " > /dev/null 2>&1").c_str()) == 0;
}

inline bool oracles_are_required() {
  const char* value = std::getenv("CLEAVE_REQUIRE_ORACLES");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace cleave::test

#define CLEAVE_NEED_PROGRAM(name)                                           \
  if (!cleave::test::have_program(name)) {                                  \
    if (cleave::test::oracles_are_required()) FAIL() << "no program " name; \
    GTEST_SKIP() << "no program " name;                                     \
  }                                                                         \
  static_assert(true)
