// Pack files: where chunks lie, one record after another.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/file.h"
#include "cleave/store/format.h"
#include "cleave/store/internal/index.h"

namespace cleave {

// Reads the packs in a folder. Thread-safe; keeps a bounded number of them open.
class PackFiles {
 public:
  explicit PackFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}

  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path path_of(std::uint32_t pack) const;

  // Fills `record` with the record of a chunk as it lies in its pack, header included, after
  // checking that the header is that of `id` at `place`.
  Result<> read_record(const Digest& id, const ChunkPlace& place, Buffer& record);
  // Reads, decodes and verifies a chunk into `out`, of the chunk's size. `record` is scratch.
  Result<> read_chunk(const Digest& id, const ChunkPlace& place, Buffer& record,
                      MutableByteSpan out);
  // The same, and finds changes of the stored bytes that do not change what they decode to.
  Result<> check_chunk(const Digest& id, const ChunkPlace& place, Buffer& record,
                       MutableByteSpan out);
  // The file's header is that of this pack, and it is long enough for what was committed.
  Result<> check_file(std::uint32_t pack, std::uint64_t committed_size);
  // Forgets an open file, before it is removed.
  void close(std::uint32_t pack);

 private:
  using OpenFile = std::shared_ptr<const FileDescriptor>;
  Result<OpenFile> open(std::uint32_t pack);
  Error damaged(std::uint32_t pack, std::uint64_t offset, const char* what) const;

  std::filesystem::path directory_;
  std::mutex mutex_;
  std::unordered_map<std::uint32_t, OpenFile> open_;
};

// Appends records within one write transaction of the index, which is what makes it the only writer
// of packs in the world. Nothing counts until sync() was called and the transaction committed:
// bytes behind a pack's committed size are overwritten by the next append.
class PackAppender {
 public:
  PackAppender(PackFiles& files, IndexTransaction& txn, std::uint64_t target_size)
      : files_(files), txn_(txn), target_size_(target_size) {}

  struct Position {
    std::uint32_t pack;
    std::uint64_t offset;
  };
  // Puts `records`, together, at the end of the newest pack, or of a new one when that has reached
  // the target. They may be written only later: small ones are gathered.
  Result<Position> append(ByteSpan records);
  // Writes what is left, makes all that was appended durable, and notes the packs' new sizes in the
  // transaction.
  Result<> sync();

 private:
  Result<> open_newest();
  Result<> start_new();
  Result<> write_gathered();

  PackFiles& files_;
  IndexTransaction& txn_;
  std::uint64_t target_size_;
  FileDescriptor fd_;
  std::uint32_t pack_ = 0;
  std::uint64_t size_ = 0;  // with what is gathered
  Buffer gathered_;         // the end of the pack, not written yet
  bool created_ = false;
};

}  // namespace cleave
