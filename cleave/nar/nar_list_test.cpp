#include "cleave/nar/nar_list.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "cleave/nar/nar_error.h"
#include "tests/support/nar.h"

namespace cleave {
namespace {

using namespace test::nar;

const std::string kBig(3'000'000, 'b');
const std::string kSample = archive(folder(
    entry("bin", folder(entry("run", file("#!/bin/sh\n", kExecutable)))) +
    entry("big", file(kBig)) + entry("empty", file("")) + entry("link", symlink("bin/run"))));
const std::string kSorted =
    archive(folder(entry("big", file(kBig)) +
                   entry("bin", folder(entry("run", file("#!/bin/sh\n", kExecutable)))) +
                   entry("empty", file("")) + entry("link", symlink("bin/run"))));

TEST(NarList, ListsAll) {
  MemorySource source(as_byte_span(kSorted));
  const auto entries = list_nar(source).value();
  ASSERT_EQ(entries.size(), 6u);
  EXPECT_EQ(entries[0].path, "");
  EXPECT_EQ(entries[0].type, FileType::directory);
  EXPECT_EQ(entries[1].path, "big");
  EXPECT_EQ(entries[1].type, FileType::regular);
  EXPECT_EQ(entries[1].size, kBig.size());
  EXPECT_EQ(kSorted.substr(entries[1].offset, kBig.size()), kBig);
  EXPECT_EQ(entries[2].path, "bin");
  EXPECT_EQ(entries[2].type, FileType::directory);
  EXPECT_EQ(entries[3].path, "bin/run");
  EXPECT_TRUE(entries[3].executable);
  EXPECT_EQ(kSorted.substr(entries[3].offset, entries[3].size), "#!/bin/sh\n");
  EXPECT_EQ(entries[4].path, "empty");
  EXPECT_EQ(entries[4].size, 0u);
  EXPECT_EQ(entries[5].type, FileType::symlink);
  EXPECT_EQ(entries[5].target, "bin/run");
  EXPECT_EQ(kSorted.substr(entries[5].offset, entries[5].size), "bin/run");

  const auto in_memory = list_nar(as_byte_span(kSorted)).value();
  EXPECT_TRUE(std::ranges::equal(entries, in_memory, {}, &NarEntry::offset, &NarEntry::offset));
}

TEST(NarList, RefusesWhatIsMalformed) {
  EXPECT_EQ(list_nar(as_byte_span(kSample)).error().name(), "nar_unsorted_names");
  EXPECT_EQ(list_nar(as_byte_span(kSorted).first(1000)).error().name(), "nar_length_out_of_range");
  MemorySource source(as_byte_span(kSorted).first(1000));
  EXPECT_EQ(list_nar(source).error().name(), "nar_truncated");
}

std::string cat(std::string_view nar, std::string_view path) {
  BufferSink in_pieces;
  MemorySource source(as_byte_span(nar));
  const auto result = cat_nar(source, path, in_pieces);
  BufferSink at_once;
  const auto same = cat_nar(as_byte_span(nar), path, at_once);
  EXPECT_EQ(result.has_value(), same.has_value());
  EXPECT_EQ(as_text(in_pieces.buffer.span()), as_text(at_once.buffer.span()));
  return std::string(result ? as_text(in_pieces.buffer.span()) : result.error().message());
}

TEST(NarCat, WritesContents) {
  EXPECT_EQ(cat(kSorted, "bin/run"), "#!/bin/sh\n");
  EXPECT_EQ(cat(kSorted, "/bin/run"), "#!/bin/sh\n");
  EXPECT_EQ(cat(kSorted, "empty"), "");
  EXPECT_TRUE(cat(kSorted, "big") == kBig);
  EXPECT_EQ(cat(archive(file("root")), ""), "root");
  EXPECT_EQ(cat(archive(file("root")), "/"), "root");
}

TEST(NarCat, SaysWhatItCannotWrite) {
  EXPECT_EQ(cat(kSorted, "bin/ru"), "nar_entry_not_found: entry \"bin/ru\"");
  EXPECT_EQ(cat(kSorted, "run"), "nar_entry_not_found: entry \"run\"");
  EXPECT_EQ(cat(kSorted, "bin"), "nar_not_a_file: a folder, entry \"bin\"");
  EXPECT_EQ(cat(kSorted, ""), "nar_not_a_file: a folder, entry \"\"");
  EXPECT_EQ(cat(kSorted, "link"), "nar_not_a_file: a symlink, entry \"link\"");
}

TEST(NarCat, StopsReadingWhenItHasIt) {
  const std::string begin =
      archive(strs({"(", "type", "directory"}) + entry("a", file("first")) + "garbage");
  EXPECT_EQ(cat(begin, "a"), "first");

  MemorySource source(as_byte_span(kSorted));
  BufferSink sink;
  const std::string two = archive(folder(entry("a", file("first")) + entry("b", file(kBig))));
  MemorySource counted(as_byte_span(two));
  ASSERT_TRUE(cat_nar(counted, "a", sink));
  EXPECT_GT(*counted.remaining(), 1'000'000u);
}

TEST(NarCat, GivesErrorsOfTheSink) {
  struct Full final : ByteSink {
    Result<> write(ByteSpan) override { return std::unexpected(Error(IoError::out_of_memory)); }
  } full;
  EXPECT_TRUE(cat_nar(as_byte_span(kSorted), "bin/run", full).error().is(IoError::out_of_memory));
}

}  // namespace
}  // namespace cleave
