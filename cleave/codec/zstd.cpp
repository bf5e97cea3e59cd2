#include "cleave/codec/zstd.h"

#include <memory>
#include <new>

#include <zstd.h>

#include "cleave/base/internal/fail.h"

namespace cleave {

namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// One context of each kind a thread, made when first needed.
template <class Context, Context* (*create)()>
Context* thread_context() {
  thread_local std::unique_ptr<Context, FreeContext> context;
  if (context == nullptr) context.reset(create());
  if (context == nullptr) throw std::bad_alloc();
  return context.get();
}

}  // namespace

Result<> zstd_compress_into(ByteSpan input, int level, Buffer& output) {
  if (level < kMinZstdLevel || level > kMaxZstdLevel) {
    return fail(CompressionError::invalid_level, "level {} must be in {}..={}", level,
                kMinZstdLevel, kMaxZstdLevel);
  }
  ZSTD_CCtx* context = thread_context<ZSTD_CCtx, ZSTD_createCCtx>();
  output.clear();
  output.resize(ZSTD_compressBound(input.size()));
  const std::size_t size =
      ZSTD_compressCCtx(context, output.data(), output.size(), input.data(), input.size(), level);
  if (ZSTD_isError(size) != 0) {
    output.clear();
    return fail(CompressionError::compression_failed, "zstd: {}", ZSTD_getErrorName(size));
  }
  output.resize(size);
  return {};
}

Result<> zstd_decompress_into(ByteSpan input, MutableByteSpan output) {
  if (input.empty()) return fail(CompressionError::decompression_failed, "zstd: no frame");
  ZSTD_DCtx* context = thread_context<ZSTD_DCtx, ZSTD_createDCtx>();
  const std::size_t size =
      ZSTD_decompressDCtx(context, output.data(), output.size(), input.data(), input.size());
  if (ZSTD_isError(size) != 0) {
    return fail(CompressionError::decompression_failed, "zstd: {}", ZSTD_getErrorName(size));
  }
  if (size != output.size()) {
    return fail(CompressionError::decompressed_size_mismatch, "expected {} bytes, got {}",
                output.size(), size);
  }
  return {};
}

}  // namespace cleave
