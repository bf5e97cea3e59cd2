// Bytes: an immutable view of memory that keeps its owner alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "cleave/base/error.h"

namespace cleave {

using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;

inline ByteSpan as_byte_span(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Whatever memory belongs to: a heap block, a mapped file, a binary of a foreign runtime.
// Destroyed, on any thread, with the last Bytes that refers to it.
class BytesOwner {
 public:
  BytesOwner() = default;
  BytesOwner(const BytesOwner&) = delete;
  BytesOwner& operator=(const BytesOwner&) = delete;
  virtual ~BytesOwner() = default;
  // An error when the memory no longer holds what it should: the file under a mapping has shrunk.
  virtual Result<> check() const { return {}; }
};

// A slice of memory owned by a BytesOwner. Copies and slices are O(1) and share the owner; the
// memory never changes while anyone refers to it (but see check()). Thread-safe as any value is.
class Bytes {
 public:
  Bytes() = default;
  // `memory` must live as long as `owner`.
  Bytes(ByteSpan memory, std::shared_ptr<const BytesOwner> owner)
      : memory_(memory), owner_(std::move(owner)) {}

  static Bytes copy_of(ByteSpan bytes);
  // Bytes that somebody else keeps alive for as long as any view of them is used.
  static Bytes borrowed(ByteSpan bytes) { return {bytes, nullptr}; }

  ByteSpan span() const { return memory_; }
  operator ByteSpan() const { return memory_; }  // NOLINT: a view of a view
  const std::byte* data() const { return memory_.data(); }
  std::size_t size() const { return memory_.size(); }
  bool empty() const { return memory_.empty(); }

  // The bytes [offset, offset + size). Precondition: inside this slice.
  Bytes slice(std::size_t offset, std::size_t size) const {
    return {memory_.subspan(offset, size), owner_};
  }

  // To be called after the bytes of a mapped file were used: an error (file_changed) means that
  // what was read was not the file. Always fine for other owners.
  Result<> check() const { return owner_ ? owner_->check() : Result<>(); }

 private:
  ByteSpan memory_;
  std::shared_ptr<const BytesOwner> owner_;
};

// A heap block that grows without initialising what it adds; the only mutable bytes in the library.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t capacity) { reserve(capacity); }
  // What was moved from is empty.
  Buffer(Buffer&& other) noexcept
      : memory_(std::move(other.memory_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    memory_ = std::move(other.memory_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  ByteSpan span() const { return {memory_.get(), size_}; }
  MutableByteSpan span() { return {memory_.get(), size_}; }

  // Keeps the capacity.
  void clear() { size_ = 0; }
  // New bytes are indeterminate. Throws std::bad_alloc.
  void resize(std::size_t size);
  void reserve(std::size_t capacity);
  void append(ByteSpan bytes);

  // Gives the block away without copying it.
  Bytes freeze() &&;

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace cleave
