// Counts what this thread allocates with new; needs allocations.cpp among the sources of the test.
#pragma once

#include <cstddef>

namespace cleave::test {

std::size_t allocations();
std::size_t allocated_bytes();

}  // namespace cleave::test
