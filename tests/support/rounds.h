// How often a test repeats what is random in it.
#pragma once

#include <algorithm>
#include <cstdlib>

namespace cleave::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

// `count` times CLEAVE_TEST_ROUNDS, a factor for long runs; a tenth of it where a sanitizer makes
// all slow.
inline int rounds(int count) {
  const char* factor = std::getenv("CLEAVE_TEST_ROUNDS");
  const double times = factor != nullptr ? std::atof(factor) : (kSanitized ? 0.1 : 1.0);
  return std::max(1, static_cast<int>(count * times));
}

}  // namespace cleave::test
