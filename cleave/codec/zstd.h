// Zstandard (RFC 8878), whole blocks at a time.
#pragma once

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/codec/codec_error.h"

namespace cleave {

constexpr int kMinZstdLevel = 1;
constexpr int kMaxZstdLevel = 19;  // above, decoders need more memory than most allow
constexpr int kDefaultZstdLevel = 3;

// Replaces `output` by one zstd frame, with its content size, that decodes to `input`. Each thread
// keeps its own context, so nothing is allocated after warm-up.
Result<> zstd_compress_into(ByteSpan input, int level, Buffer& output);

// Decodes `input`, one or more whole frames, to exactly `output`; anything else is an error. What
// `output` holds after an error is not defined.
Result<> zstd_decompress_into(ByteSpan input, MutableByteSpan output);

}  // namespace cleave
