// What the tests of reading ahead share: a file, every way to read it, and a system with faults.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <sys/uio.h>
#include <vector>

#include <gtest/gtest.h>

#include "cleave/base/internal/block_reader.h"
#include "cleave/base/read_ahead.h"
#include "tests/support/bytes.h"
#include "tests/support/temp_dir.h"

namespace cleave::test {

using Contents = std::vector<std::byte>;
inline constexpr std::size_t kBlock = 4096;

// The system with faults: each hook may answer in its place.
struct FaultyCalls final : ReadCalls {
  using Answer = std::optional<ssize_t>;  // bytes at most, or -errno
  std::function<Answer(std::uint64_t offset)> on_read = [](std::uint64_t) { return Answer(); };
  std::function<int(int)> on_completion = [](int result) { return result; };
  int uring_refusal = 0;
  bool cached = true;
  bool direct_allowed = true;

  ssize_t preadv(int fd, std::span<const iovec> parts, std::uint64_t offset) override {
    const Answer answer = on_read(offset);
    if (!answer) return ReadCalls::preadv(fd, parts, offset);
    if (*answer < 0) {
      errno = static_cast<int>(-*answer);
      return -1;
    }
    const std::size_t most = static_cast<std::size_t>(*answer);
    const iovec part{parts[0].iov_base, std::min(parts[0].iov_len, most)};
    return ReadCalls::preadv(fd, std::span(&part, 1), offset);
  }
  ssize_t preadv_cached(int fd, std::span<const iovec> parts, std::uint64_t offset) override {
    if (cached) return preadv(fd, parts, offset);
    errno = EAGAIN;
    return -1;
  }
  bool set_direct(int fd, bool direct) override {
    return direct_allowed && ReadCalls::set_direct(fd, direct);
  }
  int uring_init(unsigned entries, io_uring* ring) override {
    return uring_refusal != 0 ? uring_refusal : ReadCalls::uring_init(entries, ring);
  }
  int uring_result(int result) override { return on_completion(result); }
};

struct Way {
  ReadBackend backend;
  DirectIo direct = DirectIo::no;
};

inline std::ostream& operator<<(std::ostream& out, const Way& way) {
  constexpr const char* kNames[] = {"automatic", "io_uring", "threads", "plain"};
  return out << kNames[static_cast<int>(way.backend)]
             << (way.direct == DirectIo::yes ? "_direct" : "");
}

inline std::vector<Way> all_ways() {
  std::vector<Way> ways;
  for (const ReadBackend backend :
       {ReadBackend::automatic, ReadBackend::io_uring, ReadBackend::threads, ReadBackend::plain}) {
    ways.push_back({backend, DirectIo::no});
    ways.push_back({backend, DirectIo::yes});
  }
  return ways;
}

inline void write_contents(const std::filesystem::path& path, ByteSpan contents) {
  write_file(path, as_text(contents));
}

inline Result<Contents> drain(BlockSource& source) {
  Contents all;
  for (;;) {
    const Bytes block = CLEAVE_TRY(source.next());
    if (block.empty()) return all;
    all.insert(all.end(), block.span().begin(), block.span().end());
  }
}

class ReadAheadFixture : public testing::TestWithParam<Way> {
 protected:
  ReadAheadOptions options(std::size_t block_size = kBlock, std::size_t blocks_ahead = 4) const {
    ReadAheadOptions made;
    made.block_size = block_size;
    made.read_ahead = blocks_ahead * block_size;
    made.backend = GetParam().backend;
    made.direct = GetParam().direct;
    made.calls = calls;
    return made;
  }

  Contents make_file(std::size_t size) {
    Contents contents = random_bytes(size, size);
    write_contents(path, contents);
    return contents;
  }

  TempDir dir;
  const std::filesystem::path path = dir / "file";
  std::shared_ptr<FaultyCalls> calls = std::make_shared<FaultyCalls>();
};

}  // namespace cleave::test
