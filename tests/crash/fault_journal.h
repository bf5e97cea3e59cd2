// What fault_files.cpp writes down, and disk_model.cpp replays: each change below the folder as it
// was asked for, and each sync. A record is this header, its two names, its data.
#pragma once

#include <cstdint>

namespace cleave::test {

enum class Change : std::uint32_t {
  write,      // data at offset of inode
  resize,     // inode to offset
  make_file,  // name in folder, as inode
  make_folder,
  make_unnamed,  // inode, as of O_TMPFILE
  link,          // name in folder, to inode
  remove,        // name in folder
  rename,        // name in folder, to name2 in folder2
  sync,          // inode: a file's data and size, or a folder's names
  fault,         // nothing but the error that was made up
};

struct ChangeHeader {
  Change change = Change::write;
  std::uint32_t synced = 0;  // written through a descriptor with O_DSYNC or O_SYNC
  std::uint64_t inode = 0;
  std::uint64_t folder = 0;
  std::uint64_t folder2 = 0;
  std::uint64_t offset = 0;
  std::uint32_t name_size = 0;
  std::uint32_t name2_size = 0;
  std::uint64_t data_size = 0;
};

// How a program ends that was told to stop.
inline constexpr int kStoppedExit = 86;

}  // namespace cleave::test
