// Files of any size as consecutive mapped windows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "cleave/base/bytes.h"
#include "cleave/base/error.h"
#include "cleave/base/file.h"
#include "cleave/base/io.h"
#include "cleave/base/read_ahead.h"

namespace cleave {

struct MappedWindowsOptions {
  // Files of up to so many bytes are one window.
  std::uint64_t whole_up_to = std::uint64_t{1} << 30;
  // The windows of larger ones; rounded up to whole pages.
  std::uint64_t window_size = std::uint64_t{256} << 20;
  // How the rest is read where mapping fails.
  ReadAheadOptions reading = {};
};

// Maps a regular file window by window, from its start to the size it had when it was opened. A
// window stays mapped, with a descriptor and one of 512 guards, until the last Bytes of it is
// dropped. Where mapping fails (a filesystem without it, no address space, no guard), the rest is
// read, see mapping_failure().
//
// As with map_file(), a file that shrinks gives zeros and an error from Bytes::check(); next() too
// says file_changed at the latest at the end, also for a file that grew or whose time of
// modification changed. But contents that change in place change in Bytes already given: who
// must see the same bytes twice (to hash them, then to store them) reads instead.
class MappedWindows final : public BlockSource {
 public:
  static Result<MappedWindows> open(const std::filesystem::path& path,
                                    const MappedWindowsOptions& options = {});

  Result<Bytes> next() override;
  std::optional<std::uint64_t> remaining() const override;

  const FileInfo& info() const { return file_.info; }
  // Why the file is read and not mapped any more, for a warning; nothing while it is mapped.
  const std::optional<Error>& mapping_failure() const { return mapping_failure_; }

 private:
  MappedWindows(OpenedFile file, std::filesystem::path name, const MappedWindowsOptions& options);
  Result<Bytes> next_window();
  Result<> begin_reading(const Error& why);

  OpenedFile file_;
  std::filesystem::path name_;
  ReadAheadOptions reading_;
  std::uint64_t window_size_;
  std::uint64_t position_ = 0;
  std::optional<Error> mapping_failure_;
  std::optional<ReadAheadSource> rest_;  // in place of windows that cannot be mapped
  std::optional<Error> failure_;
};

enum class BlockAccess : std::uint8_t {
  read,  // bytes that never change
  map,   // no copy and less CPU; see MappedWindows for what it does not promise
};

struct BlockOptions {
  BlockAccess access = BlockAccess::read;
  ReadAheadOptions reading = {};
  MappedWindowsOptions mapping;  // its `reading` is the one above
};

// The bytes of a regular file, block by block; mapped only where that was asked for and works.
Result<std::unique_ptr<BlockSource>> open_blocks(const std::filesystem::path& path,
                                                 const BlockOptions& options = {});

}  // namespace cleave
