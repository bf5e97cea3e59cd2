#include "cleave/chunk/options.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/support/result.h"

namespace cleave {
namespace {

using test::fails_with;
using test::message_of;
using test::ok;

constexpr std::uint64_t kOver32Bits = std::uint64_t{1} << 32;

TEST(ChunkingOptions, DefaultsAreLegal) {
  const ChunkingOptions options;
  EXPECT_EQ(options.min_size, 262'144U);
  EXPECT_EQ(options.avg_size, 1'048'576U);
  EXPECT_EQ(options.max_size, 4'194'304U);
  EXPECT_EQ(options.level, 1U);
  EXPECT_EQ(options.seed, 0U);
  EXPECT_TRUE(ok(options.validate()));
}

TEST(ChunkingOptions, LimitsThemselvesAreLegal) {
  EXPECT_TRUE(ok(ChunkingOptions{64, 256, 1024, 0, 0}.validate()));
  EXPECT_TRUE(ok(ChunkingOptions{1048576, 4194304, 16777216, 3, ~std::uint64_t{0}}.validate()));
  EXPECT_TRUE(ok(ChunkingOptions{1024, 1024, 1024, 1, 0}.validate()));
}

TEST(ChunkingOptions, SayWhatIsWrong) {
  const std::pair<ChunkingOptions, std::string> cases[] = {
      {{63, 256, 1024}, "min_size must be in 64..=1048576, got 63"},
      {{0, 256, 1024}, "min_size must be in 64..=1048576, got 0"},
      {{1048577, 4194304, 16777216}, "min_size must be in 64..=1048576, got 1048577"},
      {{64, 255, 1024}, "avg_size must be in 256..=4194304, got 255"},
      {{64, 4194305, 16777216}, "avg_size must be in 256..=4194304, got 4194305"},
      {{64, 256, 1023}, "max_size must be in 1024..=16777216, got 1023"},
      {{64, 256, 16777217}, "max_size must be in 1024..=16777216, got 16777217"},
      {{257, 256, 1024}, "min_size must be <= avg_size"},
      {{64, 1025, 1024}, "avg_size must be <= max_size"},
      {{64, 256, 1024, 4}, "level must be in 0..=3, got 4"},
      // Not cut off at 32 bits.
      {{kOver32Bits + 64, 256, 1024}, "min_size must be in 64..=1048576, got 4294967360"},
      {{64, kOver32Bits + 256, 1024}, "avg_size must be in 256..=4194304, got 4294967552"},
      {{64, 256, kOver32Bits + 1024}, "max_size must be in 1024..=16777216, got 4294968320"},
      {{64, 256, ~std::uint64_t{0}},
       "max_size must be in 1024..=16777216, got 18446744073709551615"},
  };
  for (const auto& [options, message] : cases) {
    const Result<> result = options.validate();
    EXPECT_TRUE(fails_with(result, ChunkingError::invalid_chunking_options));
    EXPECT_EQ(message_of(result), "invalid_chunking_options: " + message);
    EXPECT_EQ(result.error().error_class(), ErrorClass::usage);
  }
}

}  // namespace
}  // namespace cleave
