// The tables of FastCDC v2020.
#pragma once

#include <array>
#include <cstdint>

namespace cleave {

// One random number a byte value: the gear hash moves over the data as h = 2 h + kGear[byte].
extern const std::array<std::uint64_t, 256> kGear;

// kMasks[n] has n bits set: on random data (h & kMasks[n]) is 0 once in 2^n bytes. 0 … 4 are
// unused.
extern const std::array<std::uint64_t, 26> kMasks;

}  // namespace cleave
