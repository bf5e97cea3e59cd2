#include "cleave/nar/nar_reader.h"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/nar.h"
#include "tests/support/tree.h"

namespace cleave {
namespace {

using namespace test::nar;
using test::Rng;

// A NAR with one of each thing, and the events it must give.
std::string sample() {
  return archive(folder(entry("bin", folder(entry("run", file("#!/bin/sh\n", kExecutable)))) +
                        entry("empty", file("")) + entry("link", symlink("bin/run")) +
                        entry("none", folder(""))));
}
constexpr std::string_view kSampleEvents =
    "folder \n"
    "folder bin\n"
    "executable bin/run at 400, 10 bytes: #!/bin/sh\n\n"
    "end of folder\n"
    "file empty at 632, 0 bytes: \n"
    "symlink link at 816 to bin/run\n"
    "folder none\n"
    "end of folder\n"
    "end of folder\n";

Result<std::string> events(std::string_view nar) {
  Recorder recorder;
  CLEAVE_TRY(read_nar(as_byte_span(nar), recorder));
  return recorder.log;
}

Error error_of(std::string_view nar) {
  const auto result = events(nar);
  if (result) {
    ADD_FAILURE() << "accepted: " << *result;
    return Error(IoError::interrupted);
  }
  return result.error();
}

testing::AssertionResult refused(std::string_view nar, NarError code, std::uint64_t offset) {
  const Error error = error_of(nar);
  if (error.is(code) && error.offset() == offset) return testing::AssertionSuccess();
  return testing::AssertionFailure() << error.message();
}

TEST(NarReader, GivesEventsInOrder) { EXPECT_EQ(events(sample()).value(), kSampleEvents); }

TEST(NarReader, RootMayBeAFileOrSymlink) {
  EXPECT_EQ(events(archive(file("x"))).value(), "file  at 96, 1 bytes: x\n");
  EXPECT_EQ(events(archive(symlink("/x"))).value(), "symlink  at 96 to /x\n");
}

TEST(NarReader, NamesAreTheLastPartOfPaths) {
  struct Names final : NarVisitor {
    Result<> directory_begin(const NarDirectory& d) override { return add(d.path, d.name); }
    Result<> file_begin(const NarFile& f) override { return add(f.path, f.name); }
    Result<> symlink(const NarSymlink& s) override { return add(s.path, s.name); }
    Result<> add(std::string_view path, std::string_view name) {
      all += std::string(path) + "|" + std::string(name) + " ";
      return {};
    }
    std::string all;
  } names;
  ASSERT_TRUE(read_nar(as_byte_span(sample()), names));
  EXPECT_EQ(names.all, "| bin|bin bin/run|run empty|empty link|link none|none ");
}

TEST(NarReader, AnyByteMayBeInANameButSlashAndNul) {
  std::string entries;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/' || byte == '.') continue;
    entries += entry(std::string(1, static_cast<char>(byte)), file(""));
  }
  EXPECT_TRUE(events(archive(folder(entries))));
  EXPECT_TRUE(events(archive(folder(entry("...", file(""))))));
  EXPECT_TRUE(events(archive(folder(entry(std::string(255, 'n'), file(""))))));
  EXPECT_TRUE(events(archive(symlink(std::string(4095, 't')))));
}

TEST(NarReader, RefusesWhatIsNoNar) {
  EXPECT_TRUE(
      refused("\x7f"
              "ELF",
              NarError::bad_magic, 0));
  EXPECT_TRUE(refused(str("nix-archive-2"), NarError::bad_magic, 20));
  EXPECT_TRUE(refused("", NarError::truncated, 0));
}

TEST(NarReader, RefusesBadNames) {
  const auto with_name = [](std::string_view name) {
    return archive(folder(entry(name, file(""))));
  };
  using namespace std::string_view_literals;
  for (const std::string_view name : {""sv, "."sv, ".."sv, "/"sv, "a/b"sv, "../x"sv, "a\0b"sv}) {
    EXPECT_TRUE(refused(with_name(name), NarError::invalid_name, 128)) << name;
  }
  EXPECT_TRUE(refused(with_name(std::string(256, 'n')), NarError::invalid_name, 128));
}

TEST(NarReader, RefusesNamesOutOfOrder) {
  const auto with_names = [](std::string_view first, std::string_view second) {
    return archive(folder(entry(first, file("")) + entry(second, file(""))));
  };
  EXPECT_EQ(error_of(with_names("b", "a")).message(),
            "nar_unsorted_names: name \"a\", folder \"\", offset 312");
  EXPECT_TRUE(refused(with_names("a", "a"), NarError::duplicate_name, 312));
  EXPECT_TRUE(refused(with_names("ab", "a"), NarError::unsorted_names, 312));
  // Order is that of unsigned bytes.
  EXPECT_TRUE(events(with_names("z", "\xc3\xa9")));
  EXPECT_TRUE(refused(with_names("\x80", "z"), NarError::unsorted_names, 312));
  // A folder counts with its name, not with what is in it.
  const auto after_folder = [](std::string_view name) {
    return archive(folder(entry("m", folder(entry("z", file("")))) + entry(name, file(""))));
  };
  EXPECT_TRUE(events(after_folder("n")));
  EXPECT_EQ(error_of(after_folder("m")).name(), "nar_duplicate_name");
  EXPECT_EQ(error_of(after_folder("a")).name(), "nar_unsorted_names");
}

TEST(NarReader, RefusesBadTargets) {
  EXPECT_TRUE(refused(archive(symlink("")), NarError::invalid_target, 88));
  EXPECT_TRUE(refused(archive(symlink(std::string_view("a\0b", 3))), NarError::invalid_target, 88));
  EXPECT_TRUE(refused(archive(symlink(std::string(4096, 't'))), NarError::invalid_target, 88));
}

TEST(NarReader, RefusesNonzeroPadding) {
  std::string nar = archive(file("x"));
  for (const std::size_t at : {21u, 39u, 55u, 71u, 97u, 103u, 113u}) {
    std::string bad = nar;
    bad[at] = 1;
    if (at == 21) {
      EXPECT_TRUE(refused(bad, NarError::bad_magic, at));
    } else {
      EXPECT_TRUE(refused(bad, NarError::nonzero_padding, at));
    }
  }
}

TEST(NarReader, RefusesWordsInTheWrongPlace) {
  EXPECT_TRUE(refused(archive(strs({"(", "type", "fifo"})), NarError::unexpected_token, 56));
  EXPECT_TRUE(refused(archive(strs({"(", "kind"})), NarError::unexpected_token, 48));
  EXPECT_TRUE(
      refused(archive(strs({"(", "type", "regular", ")"})), NarError::unexpected_token, 72));
  EXPECT_TRUE(refused(archive(strs({"(", "type", "regular", "executable", "yes"})),
                      NarError::unexpected_token, 96));
  EXPECT_TRUE(
      refused(archive(strs({"(", "type", "directory", "name"})), NarError::unexpected_token, 80));
  EXPECT_TRUE(refused(archive(strs({"(", "type", ""})), NarError::unexpected_token, 56));
  // An executable mark twice, a type twice.
  EXPECT_TRUE(refused(archive(strs({"(", "type", "regular", "executable", "", "executable", ""})),
                      NarError::unexpected_token, 104));
  EXPECT_TRUE(refused(archive(strs({"(", "type", "regular", "contents", "", "type", "regular"})),
                      NarError::unexpected_token, 96));
}

TEST(NarReader, SaysWhere) {
  const std::string pipe = strs({"(", "type", "pipe"});
  const std::string nar = archive(folder(entry("a", folder(entry("b\n", pipe)))));
  EXPECT_EQ(error_of(nar).message(),
            "nar_unexpected_token: needs \"regular\", \"symlink\" or \"directory\", entry "
            "\"a/b\\x0a\", offset 328");
}

TEST(NarReader, RefusesTrailingBytes) {
  const std::string nar = sample();
  EXPECT_TRUE(refused(nar + '\0', NarError::trailing_bytes, nar.size()));
  MemorySource source(as_byte_span(nar));
  Recorder recorder;
  NarReader reader(recorder);
  EXPECT_TRUE(reader.feed(as_byte_span(nar)));
  EXPECT_FALSE(reader.feed(as_byte_span("x")));
}

TEST(NarReader, RefusesLengthsThatCannotBe) {
  const auto with_length = [](std::uint64_t claimed) {
    return archive(strs({"(", "type", "regular", "contents"}) + length(claimed)) + "some bytes";
  };
  const std::uint64_t most = (std::uint64_t{1} << 63) - 1;
  for (const std::uint64_t claimed : {most, most + 1, ~std::uint64_t{0}, most - 95}) {
    Recorder recorder;
    NarReader reader(recorder);  // does not know the size
    const Result<> result = reader.feed(as_byte_span(with_length(claimed)));
    ASSERT_FALSE(result) << claimed;
    EXPECT_TRUE(result.error().is(NarError::length_out_of_range));
    EXPECT_EQ(result.error().offset(), 88u);
  }
  {
    Recorder recorder;
    NarReader reader(recorder);
    EXPECT_TRUE(reader.feed(as_byte_span(with_length(most - 96))));
    EXPECT_EQ(reader.finish().error().name(), "nar_truncated");
  }
  EXPECT_TRUE(refused(with_length(11), NarError::length_out_of_range, 88));
  EXPECT_TRUE(refused(with_length(10), NarError::truncated, 106));
  // Lengths of words, names and targets.
  for (const std::uint64_t claimed : {std::uint64_t{4096}, most, most + 1, ~std::uint64_t{0}}) {
    EXPECT_TRUE(refused(length(claimed), NarError::bad_magic, 0));
    EXPECT_TRUE(
        refused(archive(strs({"(", "type"}) + length(claimed)), NarError::unexpected_token, 56));
    EXPECT_TRUE(refused(archive(strs({"(", "type", "symlink", "target"}) + length(claimed)),
                        NarError::invalid_target, 88));
    EXPECT_TRUE(
        refused(archive(strs({"(", "type", "directory", "entry", "(", "name"}) + length(claimed)),
                NarError::invalid_name, 128));
  }
}

TEST(NarReader, LimitsDepth) {
  EXPECT_TRUE(events(nested(kMaxNarDepth - 1, file("x"))));
  EXPECT_TRUE(events(nested(kMaxNarDepth - 1, folder(""))));
  EXPECT_EQ(error_of(nested(kMaxNarDepth, file("x"))).name(), "nar_too_deep");
  EXPECT_EQ(error_of(nested(100'000, file("x"))).name(), "nar_too_deep");
  // All of the longest path.
  std::string longest = file("x");
  for (std::size_t i = 1; i < kMaxNarDepth; ++i) {
    longest = folder(entry(std::string(255, 'n'), longest));
  }
  EXPECT_TRUE(events(archive(longest)));
}

TEST(NarReader, EveryTruncationIsAnError) {
  const std::string nar = sample();
  for (std::size_t size = 0; size < nar.size(); ++size) {
    const std::string_view part = std::string_view(nar).substr(0, size);
    Recorder recorder;
    NarReader reader(recorder);
    EXPECT_TRUE(reader.feed(as_byte_span(part))) << size;
    const Result<> result = reader.finish();
    ASSERT_FALSE(result) << size;
    EXPECT_TRUE(result.error().is(NarError::truncated));
    EXPECT_EQ(result.error().offset(), size);
    EXPECT_TRUE(kSampleEvents.starts_with(recorder.log)) << recorder.log;
  }
}

TEST(NarReader, EveryChangedByteIsAnErrorOrAnotherTree) {
  const std::string nar = sample();
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < nar.size(); ++at) {
    for (int change = 1; change < 256; ++change) {
      std::string changed = nar;
      changed[at] = static_cast<char>(changed[at] ^ change);
      const auto result = events(changed);
      if (result) {
        EXPECT_NE(*result, kSampleEvents) << "byte " << at;
        Rewriter rewriter;
        EXPECT_TRUE(read_nar(as_byte_span(changed), rewriter));
        EXPECT_TRUE(rewriter.nar == changed) << "byte " << at;
        ++accepted;
      } else {
        EXPECT_EQ(result.error().domain(), "nar");
        EXPECT_EQ(result.error().error_class(), ErrorClass::malformed);
        EXPECT_LE(result.error().offset(), nar.size());
      }
    }
  }
  EXPECT_GT(accepted, 2000u);  // contents, names and targets may be others
}

TEST(NarReader, StaysFailed) {
  Recorder recorder;
  NarReader reader(recorder);
  const std::string nar = sample();
  ASSERT_FALSE(reader.feed(as_byte_span("nonsense")));
  const std::string log = recorder.log;
  const Result<> again = reader.feed(as_byte_span(nar));
  ASSERT_FALSE(again);
  EXPECT_TRUE(again.error().is(NarError::bad_magic));
  EXPECT_TRUE(reader.finish().error().is(NarError::bad_magic));
  EXPECT_EQ(recorder.log, log);
}

// Fails, or has enough, at the n-th event.
struct Stopper final : Recorder {
  enum Way { kFails, kHasEnough };
  Stopper(int n, Way w) : events(n), way(w) {}
  Result<> count(Result<> result) {
    if (--events == 0 && way == kFails) return std::unexpected(Error(IoError::interrupted));
    return result;
  }
  Result<> directory_begin(const NarDirectory& d) override {
    return count(Recorder::directory_begin(d));
  }
  Result<> directory_end() override { return count(Recorder::directory_end()); }
  Result<> file_begin(const NarFile& f) override { return count(Recorder::file_begin(f)); }
  Result<> file_contents(ByteSpan c) override { return count(Recorder::file_contents(c)); }
  Result<> file_end() override { return count(Recorder::file_end()); }
  Result<> symlink(const NarSymlink& s) override { return count(Recorder::symlink(s)); }
  bool has_enough() const override { return way == kHasEnough && events <= 0; }

  int events;
  Way way;
};

TEST(NarReader, ErrorsOfTheVisitorStopIt) {
  const std::string nar = sample();
  int event = 0;
  for (;;) {
    Stopper visitor(++event, Stopper::kFails);
    NarReader reader(visitor);
    const Result<> result = reader.feed(as_byte_span(nar));
    if (result) break;
    EXPECT_TRUE(result.error().is(IoError::interrupted));
    EXPECT_EQ(visitor.events, 0);
    EXPECT_TRUE(reader.finish().error().is(IoError::interrupted));
    EXPECT_TRUE(reader.feed({}).error().is(IoError::interrupted));
  }
  EXPECT_EQ(event, 13);  // one more than there are
}

TEST(NarReader, VisitorMayHaveEnough) {
  const std::string nar = sample() + "and more";
  for (int event = 1; event <= 12; ++event) {
    Stopper visitor(event, Stopper::kHasEnough);
    NarReader reader(visitor);
    EXPECT_TRUE(reader.feed(as_byte_span(nar)));
    EXPECT_TRUE(reader.stopped());
    EXPECT_EQ(visitor.events, 0);
    EXPECT_TRUE(reader.feed(as_byte_span("more")));
    EXPECT_TRUE(reader.finish());
  }
}

TEST(NarReader, ContentsAreNotCopied) {
  const std::string contents(100'000, 'c');
  const std::string nar = archive(file(contents));
  struct Check final : NarVisitor {
    Result<> file_contents(ByteSpan span) override {
      EXPECT_EQ(as_text(span).data(), expected);
      expected += span.size();
      return {};
    }
    const char* expected = nullptr;
  } check;
  check.expected = nar.data() + 96;
  NarReader reader(check);
  for (std::size_t at = 0; at < nar.size(); at += 1000) {
    ASSERT_TRUE(reader.feed(as_byte_span(std::string_view(nar).substr(at, 1000))));
  }
  EXPECT_TRUE(reader.finish());
  EXPECT_EQ(check.expected, nar.data() + 96 + contents.size());
}

TEST(NarReader, ReadsSources) {
  const std::string nar = sample();
  MemorySource source(as_byte_span(nar));
  Recorder recorder;
  ASSERT_TRUE(read_nar(source, recorder));
  EXPECT_EQ(recorder.log, kSampleEvents);

  const std::string longer = nar + "x";
  MemorySource more(as_byte_span(longer));
  EXPECT_EQ(read_nar(more, recorder).error().name(), "nar_trailing_bytes");
}

// Feeds `nar` in the slices that `next_size` gives.
std::string events_in_slices(std::string_view nar, const std::function<std::size_t()>& next_size) {
  Recorder recorder;
  NarReader reader(recorder);
  Result<> result;
  while (result && !nar.empty()) {
    const std::size_t n = std::min(nar.size(), next_size());
    // A copy of its own, so that a sanitizer sees any use after the call.
    const std::string slice(nar.substr(0, n));
    nar.remove_prefix(n);
    result = reader.feed(as_byte_span(slice));
  }
  if (result) result = reader.finish();
  return result ? recorder.log : recorder.log + std::string(result.error().message());
}

std::string random_object(Rng& rng, std::size_t depth) {
  switch (test::below(rng, depth < 4 ? 5 : 3)) {
    case 0: return file(test::random_text(rng, test::below(rng, 40)), kExecutable);
    case 1: return file(test::random_text(rng, test::below(rng, 2000)));
    case 2: return symlink(std::string(1 + test::below(rng, 4095), 't'));
    default: {
      std::string entries;
      for (char name = 'a'; name < 'e'; ++name) {
        const std::string whole(1 + test::below(rng, 255), name);
        if (test::below(rng, 2) == 0) entries += entry(whole, random_object(rng, depth + 1));
      }
      return folder(entries);
    }
  }
}

RC_GTEST_PROP(NarReader, SlicesDoNotMatter, (std::uint64_t seed)) {
  Rng rng(seed);
  std::string nar = archive(random_object(rng, 0));
  // Some are damaged: errors must be the same as well.
  if (test::below(rng, 3) == 0) nar[test::below(rng, nar.size())] ^= 1;
  const std::string whole = events_in_slices(nar, [&] { return nar.size(); });
  const std::size_t most = 1 + test::below(rng, test::below(rng, 2) == 0 ? 20 : 5000);
  RC_ASSERT(events_in_slices(nar, [&] { return test::below(rng, most + 1); }) == whole);
}

TEST(NarReader, SingleBytes) {
  EXPECT_EQ(events_in_slices(sample(), [] { return std::size_t{1}; }), kSampleEvents);
}

}  // namespace
}  // namespace cleave
