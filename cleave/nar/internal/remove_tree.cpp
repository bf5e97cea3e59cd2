#include "cleave/nar/internal/remove_tree.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <unistd.h>

namespace cleave {

// Recursion is bounded: what is removed was unpacked from a NAR of limited depth.
void remove_tree(int folder, const char* name) {
  if (::unlinkat(folder, name, 0) == 0 || (errno != EISDIR && errno != EPERM)) return;
  const int fd = ::openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  const auto close = [](DIR* directory) { ::closedir(directory); };
  const std::unique_ptr<DIR, decltype(close)> directory(::fdopendir(fd));
  if (!directory) {
    ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view child(entry->d_name);
    if (child != "." && child != "..") remove_tree(fd, entry->d_name);
  }
  ::unlinkat(folder, name, AT_REMOVEDIR);
}

}  // namespace cleave
