#include "cleave/base/bytes.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace cleave {

namespace {

struct HeapBlock final : BytesOwner {
  explicit HeapBlock(std::unique_ptr<std::byte[]> block) : memory(std::move(block)) {}
  std::unique_ptr<std::byte[]> memory;
};

}  // namespace

Bytes Bytes::copy_of(ByteSpan bytes) {
  Buffer buffer;
  buffer.append(bytes);
  return std::move(buffer).freeze();
}

void Buffer::reserve(std::size_t capacity) {
  if (capacity <= capacity_) return;
  auto grown = std::make_unique_for_overwrite<std::byte[]>(capacity);
  if (size_ > 0) std::memcpy(grown.get(), memory_.get(), size_);
  memory_ = std::move(grown);
  capacity_ = capacity;
}

void Buffer::resize(std::size_t size) {
  if (size > capacity_) reserve(std::max(size, 2 * capacity_));
  size_ = size;
}

void Buffer::append(ByteSpan bytes) {
  if (bytes.empty()) return;
  const std::size_t old_size = size_;
  resize(old_size + bytes.size());
  std::memcpy(memory_.get() + old_size, bytes.data(), bytes.size());
}

Bytes Buffer::freeze() && {
  const ByteSpan memory = span();
  auto owner = std::make_shared<const HeapBlock>(std::move(memory_));
  size_ = capacity_ = 0;
  return {memory, std::move(owner)};
}

}  // namespace cleave
