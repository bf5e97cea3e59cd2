// Which instructions the CPU has, in the steps that kernels are written for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace cleave {

// Each level includes those before it, on its own architecture. `avx2`: with BMI1 and BMI2.
// `avx512`: F, BW, DQ, VL. `avx512vbmi`: and VBMI.
enum class CpuLevel : std::uint8_t { scalar, neon, avx2, avx512, avx512vbmi };

std::string_view cpu_level_name(CpuLevel level);
std::optional<CpuLevel> cpu_level_of_name(std::string_view name);

// The levels that this machine has, lowest first.
std::span<const CpuLevel> cpu_levels();

// The level that kernels are chosen for: the highest, or CLEAVE_CPU where the machine has that.
// Results never depend on it.
CpuLevel cpu_level();

}  // namespace cleave
