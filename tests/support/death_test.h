// Death tests whose child must not have run anything before.
#pragma once

#include <cstdlib>

#include <gtest/gtest.h>

namespace cleave::test {

// For a fixture's constructor: children are new processes, not forks. GTEST_DEATH_TEST_STYLE says
// otherwise where a program cannot start itself again, as under qemu-user; then each test has to
// run in a process of its own.
inline void die_in_new_processes() {
  if (std::getenv("GTEST_DEATH_TEST_STYLE") == nullptr) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
}

}  // namespace cleave::test
