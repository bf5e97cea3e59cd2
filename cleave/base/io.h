// Where bytes come from and go to, one read or write at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"

namespace cleave {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills a part of `into` (not empty) and returns how much; 0 only at the end.
  virtual Result<std::size_t> read(MutableByteSpan into) = 0;
  // How many bytes are still to come, where that is known. A hint: reading decides.
  virtual std::optional<std::uint64_t> remaining() const { return std::nullopt; }
};

// Where bytes come from in the pieces they were read or mapped in, without a copy.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  // The next bytes, as many as the source likes; empty only at the end. They stay valid when the
  // source is gone; their check() is to be asked after they were used. After an error every further
  // call gives that error.
  virtual Result<Bytes> next() = 0;
  // How many bytes are still to come, where that is known. A hint, as in ByteSource.
  virtual std::optional<std::uint64_t> remaining() const { return std::nullopt; }
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Takes all of `bytes` or fails.
  virtual Result<> write(ByteSpan bytes) = 0;
};

// Reads until `into` is full or the source ends; returns how much was read.
Result<std::size_t> read_full(ByteSource& source, MutableByteSpan into);

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(ByteSpan bytes) : rest_(bytes) {}
  Result<std::size_t> read(MutableByteSpan into) override;
  std::optional<std::uint64_t> remaining() const override { return rest_.size(); }

 private:
  ByteSpan rest_;
};

class BufferSink final : public ByteSink {
 public:
  Result<> write(ByteSpan bytes) override {
    buffer.append(bytes);
    return {};
  }
  Buffer buffer;
};

}  // namespace cleave
