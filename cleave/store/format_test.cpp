#include "cleave/store/format.h"

#include <functional>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cleave/base/endian.h"
#include "cleave/store/store_error.h"
#include "tests/support/bytes.h"
#include "tests/support/result.h"

namespace cleave {
namespace {

using test::ok;
using test::text_of;

Digest any_digest() {
  Digest digest;
  for (std::byte& byte : digest.bytes) byte = static_cast<std::byte>(*rc::gen::arbitrary<char>());
  return digest;
}

template <class T>
T any() {
  return *rc::gen::arbitrary<T>();
}

ChunkPlace any_place() {
  ChunkPlace place;
  place.pack = any<std::uint32_t>();
  place.offset = any<std::uint64_t>() >> 1;
  place.size = *rc::gen::inRange<std::uint32_t>(0, kMaxChunkSize + 1);
  place.stored_size = *rc::gen::inRange<std::uint32_t>(0, place.size + 1);
  place.stored_as = any<bool>() ? StoredAs::zstd : StoredAs::raw;
  return place;
}

Artifact any_artifact(const std::string& name) {
  Artifact artifact;
  artifact.name = name;
  artifact.kind = any<bool>() ? ArtifactKind::folder : ArtifactKind::file;
  artifact.format = any<bool>() ? ArtifactFormat::nar : ArtifactFormat::raw;
  artifact.size = any<std::uint64_t>();
  artifact.chunks = any<std::uint64_t>();
  artifact.added = any<std::int64_t>();
  artifact.digest = any_digest();
  if (any<bool>()) artifact.sha256 = any_digest();
  artifact.chunking = {any<std::uint64_t>(), any<std::uint64_t>(), any<std::uint64_t>(),
                       any<std::uint32_t>(), any<std::uint64_t>()};
  artifact.serial = any<std::uint64_t>();
  return artifact;
}

auto fields(const ChunkPlace& p) {
  return std::tuple(p.pack, p.offset, p.stored_size, p.size, p.stored_as);
}
auto fields(const PackState& s) { return std::tuple(s.size, s.retired); }
auto fields(const Artifact& a) {
  const ChunkingOptions& c = a.chunking;
  return std::tuple(a.name, a.kind, a.format, a.size, a.chunks, a.added, a.digest, a.sha256,
                    c.min_size, c.avg_size, c.max_size, c.level, c.seed, a.serial);
}
auto fields(const std::vector<RecipeEntry>& entries) {
  std::vector<std::pair<Digest, std::uint32_t>> all;
  for (const RecipeEntry& entry : entries) all.emplace_back(entry.id, entry.size);
  return all;
}

// Whether decode(key, value) refuses every single byte changed, in the value and in the key, every
// shorter value and a longer one.
template <class Decode>
void expect_any_change_refused(const std::string& key, const Buffer& encoded, Decode decode) {
  const std::string value = text_of(encoded.span());
  const auto refused = [&](const std::string& k, const std::string& v) {
    return !decode(as_byte_span(k), as_byte_span(v)).has_value();
  };
  ASSERT_FALSE(refused(key, value));
  for (std::size_t i = 0; i < value.size(); ++i) {
    for (int change = 1; change < 256; change += value.size() > 300 ? 37 : 1) {
      std::string flipped = value;
      flipped[i] = static_cast<char>(flipped[i] ^ change);
      ASSERT_TRUE(refused(key, flipped)) << "byte " << i << " xor " << change;
    }
    ASSERT_TRUE(refused(key, value.substr(0, i))) << i << " bytes";
  }
  for (std::size_t i = 0; i < key.size(); ++i) {
    std::string flipped = key;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    ASSERT_TRUE(refused(flipped, value)) << "key byte " << i;
  }
  EXPECT_TRUE(refused(key, value + '\0'));
  EXPECT_TRUE(refused(key + '\0', value));
}

RC_GTEST_PROP(StoreFormat, RecordsRoundTrip, ()) {
  const Digest id = any_digest();
  const ChunkPlace place = any_place();
  const auto place_again =
      decode_chunk_place(id.span(), encode_chunk_place(id.span(), place).span());
  RC_ASSERT(place_again.has_value());
  RC_ASSERT(fields(*place_again) == fields(place));

  const auto pack = pack_key(any<std::uint32_t>());
  const PackState state{any<std::uint64_t>(), any<bool>()};
  const auto state_again = decode_pack_state(pack, encode_pack_state(pack, state).span());
  RC_ASSERT(state_again.has_value());
  RC_ASSERT(fields(*state_again) == fields(state));

  const auto name = any<std::string>();
  const Artifact artifact = any_artifact(name);
  const ByteSpan name_key = as_byte_span(name);
  const auto artifact_again = decode_artifact(name_key, encode_artifact(name_key, artifact).span());
  RC_ASSERT(artifact_again.has_value());
  RC_ASSERT(fields(*artifact_again) == fields(artifact));

  const auto segment = recipe_key(any<std::uint64_t>(), any<std::uint32_t>());
  std::vector<RecipeEntry> entries(*rc::gen::inRange<std::size_t>(0, 20));
  for (RecipeEntry& entry : entries) entry = {any_digest(), any<std::uint32_t>()};
  const auto entries_again =
      decode_recipe_segment(segment, encode_recipe_segment(segment, entries).span());
  RC_ASSERT(entries_again.has_value());
  RC_ASSERT(fields(*entries_again) == fields(entries));

  const auto counter = any<std::uint64_t>();
  RC_ASSERT(decode_counter(name_key, encode_counter(name_key, counter).span()) == counter);
}

const Digest kId = {{std::byte{1}, std::byte{2}, std::byte{0xff}}};

TEST(StoreFormat, AnyChangeOfARecordIsRefused) {
  const ByteSpan id = kId.span();
  const ChunkPlace place{7, 123'456, 900, 1000, StoredAs::zstd};
  expect_any_change_refused(text_of(id), encode_chunk_place(id, place), decode_chunk_place);

  const auto pack = pack_key(7);
  const PackState state{.size = 99, .retired = true};
  expect_any_change_refused(text_of(pack), encode_pack_state(pack, state), decode_pack_state);

  Artifact artifact;
  artifact.name = "a name";
  artifact.size = 1000;
  artifact.sha256 = kId;
  const ByteSpan name = as_byte_span(artifact.name);
  expect_any_change_refused(artifact.name, encode_artifact(name, artifact), decode_artifact);

  const auto segment = recipe_key(3, 1);
  const std::vector<RecipeEntry> entries(9, RecipeEntry{kId, 1000});
  expect_any_change_refused(text_of(segment), encode_recipe_segment(segment, entries),
                            decode_recipe_segment);

  const std::string counter = "next_pack";
  expect_any_change_refused(counter, encode_counter(as_byte_span(counter), 12), decode_counter);
}

TEST(StoreFormat, ARecordOfAnotherTableIsRefused) {
  const ByteSpan key = as_byte_span("same");
  const Buffer counter = encode_counter(key, 99);
  const Buffer pack = encode_pack_state(key, {.size = 99});
  const Buffer recipe = encode_recipe_segment(key, {});
  EXPECT_FALSE(decode_pack_state(key, counter.span()));
  EXPECT_FALSE(decode_counter(key, pack.span()));
  EXPECT_FALSE(decode_artifact(key, recipe.span()));
  EXPECT_FALSE(decode_chunk_place(key, recipe.span()));
  EXPECT_FALSE(decode_recipe_segment(key, counter.span()));
}

// A value with the right check, as only a faulty writer would make it.
Buffer with_check(std::uint8_t table, ByteSpan key, std::string_view body) {
  std::string checked(1, static_cast<char>(table));
  checked.resize(5);
  store_le(std::as_writable_bytes(std::span(checked)).data() + 1,
           static_cast<std::uint32_t>(key.size()));
  checked += as_text(key);
  checked += body;
  const Digest digest = blake3(as_byte_span(checked));
  Buffer value;
  value.append(as_byte_span(body));
  value.append(digest.span().first(8));
  return value;
}

TEST(StoreFormat, TheCheckIsTheStartOfBlake3OverTableKeyAndValue) {
  const ByteSpan key = as_byte_span("next_pack");
  const Buffer expected = with_check(0, key, std::string_view("\x0c\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(text_of(encode_counter(key, 12).span()), text_of(expected.span()));
}

TEST(StoreFormat, ChunkPlacesThatMakeNoSenseAreRefused) {
  const ByteSpan id = kId.span();
  const auto decodes = [&](const ChunkPlace& place) {
    return decode_chunk_place(id, encode_chunk_place(id, place).span()).has_value();
  };
  EXPECT_TRUE(decodes({1, 16, kMaxChunkSize, kMaxChunkSize, StoredAs::raw}));
  EXPECT_FALSE(decodes({1, 16, 1, kMaxChunkSize + 1, StoredAs::raw}));
  EXPECT_FALSE(decodes({1, 16, 101, 100, StoredAs::raw}));
  EXPECT_FALSE(decodes({1, UINT64_MAX - 50, 100, 100, StoredAs::raw}));
  EXPECT_FALSE(decodes({1, 16, 100, 100, static_cast<StoredAs>(2)}));
}

TEST(StoreFormat, NumbersThatMeanNothingAreRefused) {
  const std::string body(3 + 4 * 8 + 2 * 32 + 3 * 8 + 4 + 8, '\0');
  const ByteSpan key = as_byte_span("n");
  const auto decodes = [&](const std::string& text) {
    return decode_artifact(key, with_check(3, key, text).span()).has_value();
  };
  EXPECT_TRUE(decodes(body));
  for (const std::size_t field : {0UL, 1UL, 2UL}) {  // kind, format, whether there is a SHA-256
    std::string changed = body;
    changed[field] = 2;
    EXPECT_FALSE(decodes(changed)) << field;
  }
  std::string changed = body;
  changed[3 + 4 * 8 + 32] = 1;  // a SHA-256, though there is none
  EXPECT_FALSE(decodes(changed));
  changed[2] = 1;
  EXPECT_TRUE(decodes(changed));
  const std::string pack(9, '\2');
  EXPECT_FALSE(decode_pack_state(key, with_check(2, key, pack).span()));
  const auto segment = recipe_key(1, 0);
  const std::string entries((kRecipeSegment + 1) * 36, 'x');
  const auto segment_of = [&](std::size_t size) {
    return decode_recipe_segment(segment, with_check(4, segment, entries.substr(0, size)).span());
  };
  EXPECT_EQ(segment_of(kRecipeSegment * 36)->size(), kRecipeSegment);
  EXPECT_FALSE(segment_of((kRecipeSegment + 1) * 36));
  EXPECT_FALSE(segment_of(35));
}

TEST(StoreFormat, PackHeader) {
  Buffer header;
  append_pack_header(0x01020304, header);
  EXPECT_EQ(text_of(header.span()), std::string("clvpack\n\x01\0\0\0\x04\x03\x02\x01", 16));
  ASSERT_EQ(header.size(), kPackHeaderSize);
  EXPECT_TRUE(is_pack_header(header.span(), 0x01020304));
  EXPECT_FALSE(is_pack_header(header.span(), 0x01020305));
  EXPECT_FALSE(is_pack_header(header.span().first(15), 0x01020304));
  for (std::size_t i = 0; i < header.size(); ++i) {
    header.data()[i] ^= std::byte{4};
    EXPECT_FALSE(is_pack_header(header.span(), 0x01020304)) << i;
    header.data()[i] ^= std::byte{4};
  }
}

RC_GTEST_PROP(StoreFormat, RecordHeadersRoundTrip, ()) {
  const RecordHeader header{any_digest(), any<bool>() ? StoredAs::zstd : StoredAs::raw,
                            any<std::uint32_t>(), any<std::uint32_t>(), any<std::uint64_t>()};
  Buffer bytes;
  append_record_header(header, bytes);
  RC_ASSERT(bytes.size() == kRecordHeaderSize);
  const auto same = [&](const std::optional<RecordHeader>& parsed) {
    return parsed && parsed->id == header.id && parsed->stored_as == header.stored_as &&
           parsed->stored_size == header.stored_size && parsed->size == header.size &&
           parsed->check == header.check;
  };
  RC_ASSERT(same(parse_record_header(bytes.span())));
  RC_ASSERT(!parse_record_header(bytes.span().first(bytes.size() - 1)));
  // Any change shows: as no header, or as another one.
  const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
  bytes.data()[at] ^= static_cast<std::byte>(*rc::gen::inRange(1, 256));
  RC_ASSERT(!same(parse_record_header(bytes.span())));
}

TEST(StoreFormat, ThePayloadCheckIsTheStartOfItsBlake3) {
  const ByteSpan payload = as_byte_span("payload");
  const Digest id = blake3(payload);
  const auto expected = load_le<std::uint64_t>(id.bytes.data());
  EXPECT_EQ(payload_check(id, StoredAs::raw, payload), expected);
  EXPECT_EQ(payload_check(Digest(), StoredAs::zstd, payload), expected);
}

TEST(StoreFormat, KeysSortAsTheirNumbers) {
  const auto less = [](const auto& a, const auto& b) { return text_of(a) < text_of(b); };
  EXPECT_TRUE(less(pack_key(255), pack_key(256)));
  EXPECT_TRUE(less(recipe_key(1, 0xffffffff), recipe_key(2, 0)));
  EXPECT_TRUE(less(recipe_key(2, 255), recipe_key(2, 256)));
}

TEST(StoreFormat, RecipeDigestIsOverIdsAndSizes) {
  RecipeDigest digest;
  digest.add({kId, 0x01020304});
  digest.add({Digest(), 5});
  const std::string plain = text_of(kId.span()) + "\x04\x03\x02\x01" + std::string(32, '\0') +
                            std::string("\x05\0\0\0", 4);
  EXPECT_EQ(digest.digest(), blake3(as_byte_span(plain)));
  EXPECT_EQ(RecipeDigest().digest(), blake3({}));
}

TEST(StoreFormat, ArtifactNames) {
  for (const std::string& name :
       {std::string("a"), std::string(255, 'x'), std::string("two words"), std::string("a/b"),
        std::string("..."), std::string("-"), std::string("h\xc3\xa9\xf0\x9f\x8c\xb3")}) {
    EXPECT_TRUE(ok(check_artifact_name(name))) << name;
  }
  for (const std::string& name :
       {std::string(), std::string(256, 'x'), std::string("."), std::string(".."),
        std::string("a\nb"), std::string("tab\t"), std::string("nul\0", 4), std::string("\x7f"),
        std::string("\xff"), std::string("\xc3"), std::string("\xed\xa0\x80")}) {
    const auto checked = check_artifact_name(name);
    ASSERT_FALSE(checked) << testing::PrintToString(name);
    EXPECT_TRUE(checked.error().is(StoreError::invalid_name));
    EXPECT_EQ(checked.error().error_class(), ErrorClass::usage);
  }
}

}  // namespace
}  // namespace cleave
