// Whole files in memory: mapped where that is safe, read where it is not.
#pragma once

#include <cstdint>
#include <filesystem>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"

namespace cleave {

// The bytes of the regular file behind `fd`, mapped read-only. The descriptor may be closed after:
// the mapping keeps one of its own, to see the file's size.
// A file that shrinks under the mapping does not kill the process: the missing bytes read as zeros
// and Bytes::check() gives file_changed from then on. For this the first call installs a SIGBUS
// handler, which passes on faults that are not in such a mapping. Contents that change in place are
// not noticed.
Result<Bytes> map_file(int fd, std::uint64_t size, const std::filesystem::path& name);

// map_file() of the bytes [offset, offset + size), which must lie inside the file. `offset` is a
// multiple of the page size.
Result<Bytes> map_file_range(int fd, std::uint64_t offset, std::uint64_t size,
                             const std::filesystem::path& name);

// map_file() for a regular file; for anything else that can be read (a FIFO, a file in /proc), and
// where mapping fails, a copy of at most `max_copy` bytes.
Result<Bytes> open_bytes(const std::filesystem::path& path,
                         std::uint64_t max_copy = std::uint64_t{4} << 30);

// Guards [begin, begin + size), a mapping that some library made (LMDB's), the same way. False when
// there is no room for another guard. `damaged` turns true at the first fault.
class MappingGuard {
 public:
  MappingGuard(const void* begin, std::size_t size);
  MappingGuard(const MappingGuard&) = delete;
  MappingGuard& operator=(const MappingGuard&) = delete;
  ~MappingGuard();

  bool active() const { return slot_ >= 0; }
  bool damaged() const;

 private:
  int slot_;
};

}  // namespace cleave
