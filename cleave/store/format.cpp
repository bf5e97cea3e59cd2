#include "cleave/store/format.h"

#include <algorithm>

#include "cleave/base/endian.h"
#include "cleave/base/internal/fail.h"
#include "cleave/base/text.h"
#include "cleave/store/store_error.h"

namespace cleave {

namespace {

constexpr std::string_view kPackMagic = "clvpack\n";
constexpr std::string_view kRecordMagic = "CHNK";
constexpr std::size_t kCheckSize = 8;
constexpr std::size_t kMaxNameSize = 255;

// Appends little-endian fields.
class Encoder {
 public:
  explicit Encoder(Buffer& out) : out_(out) {}

  template <std::unsigned_integral T>
  Encoder& put(T value) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof value);
    store_le(out_.data() + at, value);
    return *this;
  }
  Encoder& put(ByteSpan bytes) {
    out_.append(bytes);
    return *this;
  }

 private:
  Buffer& out_;
};

// Takes little-endian fields; reading past the end gives zeros and done() false.
class Decoder {
 public:
  explicit Decoder(ByteSpan bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  T get() {
    const ByteSpan bytes = take(sizeof(T));
    return bytes.empty() ? T{0} : load_le<T>(bytes.data());
  }
  Digest digest() {
    Digest digest;
    const ByteSpan bytes = take(Digest::kSize);
    std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
    return digest;
  }
  ByteSpan take(std::size_t size) {
    if (rest_.size() < size) {
      rest_ = {};
      overrun_ = true;
      return {};
    }
    const ByteSpan bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }
  bool done() const { return rest_.empty() && !overrun_; }

 private:
  ByteSpan rest_;
  bool overrun_ = false;
};

std::uint64_t check_of(Table table, RecordKey key, ByteSpan value) {
  Blake3 hasher;
  Buffer prefix;
  Encoder(prefix).put(static_cast<std::uint8_t>(table)).put(static_cast<std::uint32_t>(key.size()));
  hasher.update(prefix.span());
  hasher.update(key);
  hasher.update(value);
  return load_le<std::uint64_t>(hasher.digest().bytes.data());
}

void append_check(Table table, RecordKey key, Buffer& value) {
  Encoder(value).put(check_of(table, key, value.span()));
}

std::optional<Decoder> checked(Table table, RecordKey key, ByteSpan value) {
  if (value.size() < kCheckSize) return std::nullopt;
  const ByteSpan body = value.first(value.size() - kCheckSize);
  const auto stored = load_le<std::uint64_t>(value.data() + body.size());
  if (stored != check_of(table, key, body)) return std::nullopt;
  return Decoder(body);
}

}  // namespace

std::uint64_t ChunkPlace::record_size() const { return kRecordHeaderSize + stored_size; }

void RecipeDigest::add(const RecipeEntry& entry) {
  std::byte size[4];
  store_le(size, entry.size);
  hasher_.update(entry.id.span());
  hasher_.update(size);
}

void append_pack_header(std::uint32_t pack, Buffer& out) {
  Encoder(out).put(as_byte_span(kPackMagic)).put(kStoreVersion).put(pack);
}

bool is_pack_header(ByteSpan header, std::uint32_t pack) {
  Buffer expected;
  append_pack_header(pack, expected);
  return std::ranges::equal(header, expected.span());
}

std::uint64_t payload_check(const Digest& id, StoredAs stored_as, ByteSpan payload) {
  const Digest digest = stored_as == StoredAs::raw ? id : blake3(payload);
  return load_le<std::uint64_t>(digest.bytes.data());
}

void append_record_header(const RecordHeader& header, Buffer& out) {
  Encoder(out)
      .put(as_byte_span(kRecordMagic))
      .put(static_cast<std::uint32_t>(header.stored_as))
      .put(header.stored_size)
      .put(header.size)
      .put(header.check)
      .put(header.id.span());
}

std::optional<RecordHeader> parse_record_header(ByteSpan bytes) {
  Decoder in(bytes);
  const ByteSpan magic = in.take(kRecordMagic.size());
  const auto stored_as = in.get<std::uint32_t>();
  RecordHeader header;
  header.stored_size = in.get<std::uint32_t>();
  header.size = in.get<std::uint32_t>();
  header.check = in.get<std::uint64_t>();
  header.id = in.digest();
  if (!in.done() || as_text(magic) != kRecordMagic || stored_as > 1) return std::nullopt;
  header.stored_as = static_cast<StoredAs>(stored_as);
  return header;
}

std::string_view table_name(Table table) {
  constexpr std::string_view kNames[] = {"meta", "chunks", "packs", "artifacts", "recipes"};
  return kNames[static_cast<std::size_t>(table)];
}

Buffer encode_chunk_place(RecordKey key, const ChunkPlace& place) {
  Buffer out;
  Encoder(out)
      .put(place.pack)
      .put(place.offset)
      .put(place.stored_size)
      .put(place.size)
      .put(static_cast<std::uint32_t>(place.stored_as));
  append_check(Table::chunks, key, out);
  return out;
}

std::optional<ChunkPlace> decode_chunk_place(RecordKey key, ByteSpan value) {
  auto in = checked(Table::chunks, key, value);
  if (!in) return std::nullopt;
  ChunkPlace place;
  place.pack = in->get<std::uint32_t>();
  place.offset = in->get<std::uint64_t>();
  place.stored_size = in->get<std::uint32_t>();
  place.size = in->get<std::uint32_t>();
  const auto stored_as = in->get<std::uint32_t>();
  const bool sane = stored_as <= 1 && place.size <= kMaxChunkSize &&
                    place.stored_size <= place.size && place.offset <= UINT64_MAX / 2;
  if (!in->done() || !sane) return std::nullopt;
  place.stored_as = static_cast<StoredAs>(stored_as);
  return place;
}

Buffer encode_pack_state(RecordKey key, const PackState& state) {
  Buffer out;
  Encoder(out).put(state.size).put(static_cast<std::uint8_t>(state.retired));
  append_check(Table::packs, key, out);
  return out;
}

std::optional<PackState> decode_pack_state(RecordKey key, ByteSpan value) {
  auto in = checked(Table::packs, key, value);
  if (!in) return std::nullopt;
  PackState state;
  state.size = in->get<std::uint64_t>();
  const auto retired = in->get<std::uint8_t>();
  if (!in->done() || retired > 1) return std::nullopt;
  state.retired = retired == 1;
  return state;
}

Buffer encode_artifact(RecordKey key, const Artifact& artifact) {
  Buffer out;
  Encoder(out)
      .put(static_cast<std::uint8_t>(artifact.kind))
      .put(static_cast<std::uint8_t>(artifact.format))
      .put(static_cast<std::uint8_t>(artifact.sha256.has_value()))
      .put(artifact.serial)
      .put(artifact.size)
      .put(artifact.chunks)
      .put(static_cast<std::uint64_t>(artifact.added))
      .put(artifact.digest.span())
      .put(artifact.sha256.value_or(Digest()).span())
      .put(artifact.chunking.min_size)
      .put(artifact.chunking.avg_size)
      .put(artifact.chunking.max_size)
      .put(artifact.chunking.level)
      .put(artifact.chunking.seed);
  append_check(Table::artifacts, key, out);
  return out;
}

std::optional<Artifact> decode_artifact(RecordKey key, ByteSpan value) {
  auto in = checked(Table::artifacts, key, value);
  if (!in) return std::nullopt;
  Artifact artifact;
  artifact.name = as_text(key);
  const auto kind = in->get<std::uint8_t>();
  const auto format = in->get<std::uint8_t>();
  const auto has_sha256 = in->get<std::uint8_t>();
  artifact.serial = in->get<std::uint64_t>();
  artifact.size = in->get<std::uint64_t>();
  artifact.chunks = in->get<std::uint64_t>();
  artifact.added = static_cast<std::int64_t>(in->get<std::uint64_t>());
  artifact.digest = in->digest();
  const Digest sha256 = in->digest();
  if (has_sha256 == 1) artifact.sha256 = sha256;
  artifact.chunking.min_size = in->get<std::uint64_t>();
  artifact.chunking.avg_size = in->get<std::uint64_t>();
  artifact.chunking.max_size = in->get<std::uint64_t>();
  artifact.chunking.level = in->get<std::uint32_t>();
  artifact.chunking.seed = in->get<std::uint64_t>();
  const bool sane =
      kind <= 1 && format <= 1 && has_sha256 <= 1 && (has_sha256 == 1 || sha256 == Digest());
  if (!in->done() || !sane) return std::nullopt;
  artifact.kind = static_cast<ArtifactKind>(kind);
  artifact.format = static_cast<ArtifactFormat>(format);
  return artifact;
}

Buffer encode_recipe_segment(RecordKey key, std::span<const RecipeEntry> entries) {
  Buffer out;
  Encoder encoder(out);
  for (const RecipeEntry& entry : entries) encoder.put(entry.id.span()).put(entry.size);
  append_check(Table::recipes, key, out);
  return out;
}

std::optional<std::vector<RecipeEntry>> decode_recipe_segment(RecordKey key, ByteSpan value) {
  constexpr std::size_t kEntrySize = Digest::kSize + sizeof(std::uint32_t);
  auto in = checked(Table::recipes, key, value);
  const std::size_t count = (value.size() - std::min(value.size(), kCheckSize)) / kEntrySize;
  if (!in || count > kRecipeSegment) return std::nullopt;
  std::vector<RecipeEntry> entries(count);
  for (RecipeEntry& entry : entries) {
    entry.id = in->digest();
    entry.size = in->get<std::uint32_t>();
  }
  if (!in->done()) return std::nullopt;
  return entries;
}

Buffer encode_counter(RecordKey key, std::uint64_t value) {
  Buffer out;
  Encoder(out).put(value);
  append_check(Table::meta, key, out);
  return out;
}

std::optional<std::uint64_t> decode_counter(RecordKey key, ByteSpan value) {
  auto in = checked(Table::meta, key, value);
  if (!in) return std::nullopt;
  const auto counter = in->get<std::uint64_t>();
  if (!in->done()) return std::nullopt;
  return counter;
}

std::array<std::byte, 4> pack_key(std::uint32_t pack) {
  std::array<std::byte, 4> key;
  store_be(key.data(), pack);
  return key;
}

std::array<std::byte, 12> recipe_key(std::uint64_t serial, std::uint32_t segment) {
  std::array<std::byte, 12> key;
  store_be(key.data(), serial);
  store_be(key.data() + 8, segment);
  return key;
}

Result<> check_artifact_name(std::string_view name) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  const bool fine = !name.empty() && name.size() <= kMaxNameSize && is_utf8(name) &&
                    std::ranges::none_of(name, is_control) && name != "." && name != "..";
  if (fine) return {};
  return fail(error(StoreError::invalid_name,
                    "must be 1..=255 bytes of UTF-8 without control characters; "
                    "choose one with --name")
                  .with_subject("name", name));
}

}  // namespace cleave
