// The decoders of the store's records on any bytes: never a crash; and what they accept is exactly
// what encodes to it again.
//
// The first byte chooses the decoder, the second is the size of the key; the key and the value
// follow. A value is also tried with the check it should have, since none is hit by chance.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "cleave/base/endian.h"
#include "cleave/store/format.h"

namespace {

using namespace cleave;

void require(bool condition) {
  if (!condition) std::abort();
}

bool same(ByteSpan a, ByteSpan b) { return as_text(a) == as_text(b); }

// `body` with the check behind it that the record would have.
Buffer with_check(Table table, ByteSpan key, ByteSpan body) {
  std::byte prefix[5] = {static_cast<std::byte>(table)};
  store_le(prefix + 1, static_cast<std::uint32_t>(key.size()));
  Blake3 hasher;
  hasher.update(prefix);
  hasher.update(key);
  hasher.update(body);
  Buffer value;
  value.append(body);
  value.append(hasher.digest().span().first(8));
  return value;
}

template <class Decode, class Encode>
void try_record(ByteSpan key, ByteSpan value, Decode decode, Encode encode) {
  const auto decoded = decode(key, value);
  if (decoded) require(same(encode(key, *decoded).span(), value));
}

void try_table(Table table, ByteSpan key, ByteSpan value) {
  switch (table) {
    case Table::meta: return try_record(key, value, decode_counter, encode_counter);
    case Table::chunks: return try_record(key, value, decode_chunk_place, encode_chunk_place);
    case Table::packs: return try_record(key, value, decode_pack_state, encode_pack_state);
    case Table::artifacts: return try_record(key, value, decode_artifact, encode_artifact);
    case Table::recipes:
      return try_record(key, value, decode_recipe_segment, encode_recipe_segment);
  }
}

void try_pack(ByteSpan bytes) {
  const auto header = parse_record_header(bytes);
  Buffer again;
  if (header) append_record_header(*header, again);
  if (header) require(same(again.span(), bytes));
  is_pack_header(bytes, 1);
  if (check_artifact_name(as_text(bytes))) require(!bytes.empty() && bytes.size() <= 255);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint8_t choice = data[0];
  const ByteSpan rest = std::as_bytes(std::span(data + 2, size - 2));
  const ByteSpan key = rest.first(std::min<std::size_t>(data[1], rest.size()));
  const ByteSpan value = rest.subspan(key.size());
  if (choice % 6 == 5) {
    try_pack(rest);
    return 0;
  }
  const auto table = static_cast<Table>(choice % 6);
  try_table(table, key, value);
  try_table(table, key, with_check(table, key, value).span());
  return 0;
}
