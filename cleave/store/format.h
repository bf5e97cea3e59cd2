// The bytes of a store: what docs/formats/store.md specifies, in code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cleave/base/bytes.h"
#include "cleave/chunk/options.h"
#include "cleave/hash/blake3.h"
#include "cleave/hash/digest.h"

namespace cleave {

constexpr std::uint32_t kStoreVersion = 1;

// How a chunk's bytes lie in its pack. The numbers are part of the format.
enum class StoredAs : std::uint8_t { raw = 0, zstd = 1 };

// What an artifact was, and is given back as.
enum class ArtifactKind : std::uint8_t { file = 0, folder = 1 };

// What its bytes are. A folder's are a NAR.
enum class ArtifactFormat : std::uint8_t { raw = 0, nar = 1 };

// Where a chunk is.
struct ChunkPlace {
  std::uint32_t pack = 0;
  std::uint64_t offset = 0;       // of its record in the pack
  std::uint32_t stored_size = 0;  // of its payload there
  std::uint32_t size = 0;         // of the chunk
  StoredAs stored_as = StoredAs::raw;

  std::uint64_t record_size() const;
  std::uint64_t end() const { return offset + record_size(); }
};

struct PlacedChunk {
  Digest id;
  ChunkPlace place;
};

struct RecipeEntry {
  Digest id;
  std::uint32_t size;
};

struct Artifact {
  std::string name;
  ArtifactKind kind = ArtifactKind::file;
  ArtifactFormat format = ArtifactFormat::raw;
  std::uint64_t size = 0;
  std::uint64_t chunks = 0;
  std::int64_t added = 0;  // nanoseconds since 1970, UTC
  Digest digest;           // over its recipe, see RecipeDigest
  std::optional<Digest> sha256;
  ChunkingOptions chunking;
  std::uint64_t serial = 0;  // key of its recipe in this store
};

struct PackState {
  std::uint64_t size = 0;  // committed; bytes beyond it are left from a write that never was
  bool retired = false;    // holds nothing any more, to be removed once nobody reads it
};

// The digest of an artifact: BLAKE3 over its recipe's entries, each as 32 bytes of id and the size
// as a little-endian 32-bit number. It identifies the content together with how it was cut.
class RecipeDigest {
 public:
  void add(const RecipeEntry& entry);
  Digest digest() const { return hasher_.digest(); }

 private:
  Blake3 hasher_;
};

// Pack files.
constexpr std::size_t kPackHeaderSize = 16;
constexpr std::size_t kRecordHeaderSize = 56;
constexpr std::uint32_t kMaxChunkSize = 16 << 20;

void append_pack_header(std::uint32_t pack, Buffer& out);
bool is_pack_header(ByteSpan header, std::uint32_t pack);

struct RecordHeader {
  Digest id;
  StoredAs stored_as;
  std::uint32_t stored_size;
  std::uint32_t size;
  std::uint64_t check;  // payload_check()
};
// The first 8 bytes of the payload's BLAKE3. The chunk's id does not do: many a bit of a zstd frame
// may change without changing what it decodes to.
std::uint64_t payload_check(const Digest& id, StoredAs stored_as, ByteSpan payload);
void append_record_header(const RecordHeader& header, Buffer& out);
// Nothing when the bytes are not exactly such a header.
std::optional<RecordHeader> parse_record_header(ByteSpan bytes);

// Index records. Each ends in a check over its table, key and value; decoding gives nothing when
// that, or anything else, is not as written.
enum class Table : std::uint8_t { meta, chunks, packs, artifacts, recipes };
std::string_view table_name(Table table);

using RecordKey = ByteSpan;
Buffer encode_chunk_place(RecordKey key, const ChunkPlace& place);
std::optional<ChunkPlace> decode_chunk_place(RecordKey key, ByteSpan value);
Buffer encode_pack_state(RecordKey key, const PackState& state);
std::optional<PackState> decode_pack_state(RecordKey key, ByteSpan value);
Buffer encode_artifact(RecordKey key, const Artifact& artifact);
std::optional<Artifact> decode_artifact(RecordKey key, ByteSpan value);
Buffer encode_recipe_segment(RecordKey key, std::span<const RecipeEntry> entries);
std::optional<std::vector<RecipeEntry>> decode_recipe_segment(RecordKey key, ByteSpan value);
Buffer encode_counter(RecordKey key, std::uint64_t value);
std::optional<std::uint64_t> decode_counter(RecordKey key, ByteSpan value);

// Keys.
std::array<std::byte, 4> pack_key(std::uint32_t pack);
std::array<std::byte, 12> recipe_key(std::uint64_t serial, std::uint32_t segment);
constexpr std::size_t kRecipeSegment = 1024;  // entries; the last segment may be shorter

// "name" is 1 … 255 bytes of UTF-8 without control characters, and not "." or "..".
Result<> check_artifact_name(std::string_view name);

}  // namespace cleave
