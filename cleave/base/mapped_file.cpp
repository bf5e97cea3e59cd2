#include "cleave/base/mapped_file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <limits>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleave/base/file.h"
#include "cleave/base/internal/system.h"

namespace cleave {

namespace {

// The guarded mappings, in a form a signal handler can read: a fixed table of atomics.
struct Guard {
  std::atomic<bool> taken;
  std::atomic<bool> damaged;
  std::atomic<std::uintptr_t> begin;
  std::atomic<std::uintptr_t> end;
};
constexpr int kMaxGuards = 512;  // each mapped file also keeps a descriptor
Guard guards[kMaxGuards];
std::atomic<int> guards_used;  // one past the highest slot ever taken
struct sigaction previous_action;

Guard* find_guard(std::uintptr_t address) {
  const int used = guards_used.load(std::memory_order_acquire);
  for (int i = 0; i < used; ++i) {
    Guard& guard = guards[i];
    if (guard.begin.load(std::memory_order_acquire) <= address &&
        address < guard.end.load(std::memory_order_acquire)) {
      return &guard;
    }
  }
  return nullptr;
}

// Puts zeros where the file no longer reaches: from the faulting page to the mapping's end, since a
// file that shrank is missing all of it.
bool replace_with_zeros(Guard& guard, std::uintptr_t address) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = address / page * page;
  const std::uintptr_t end = guard.end.load(std::memory_order_acquire);
  guard.damaged.store(true, std::memory_order_release);
  // NOLINTNEXTLINE: the kernel gave the address
  return ::mmap(reinterpret_cast<void*>(begin), end - begin, PROT_READ,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

void on_bus_error(int number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  Guard* guard = info->si_code > 0 ? find_guard(address) : nullptr;
  const bool handled = guard != nullptr && replace_with_zeros(*guard, address);
  errno = saved_errno;
  if (handled) return;
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(number, info, context);
  } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(number);
  } else {
    const bool sent = info->si_code <= 0;  // by kill(): no instruction will run again
    if (sent && previous_action.sa_handler == SIG_IGN) return;
    ::signal(SIGBUS, SIG_DFL);  // returning runs the instruction again, and this time it kills
    if (sent) ::raise(SIGBUS);
  }
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    ::sigaction(SIGBUS, &action, &previous_action);
  });
}

int take_slot() {
  for (int i = 0; i < kMaxGuards; ++i) {
    bool expected = false;
    if (guards[i].taken.compare_exchange_strong(expected, true)) {
      int used = guards_used.load();
      while (used < i + 1 && !guards_used.compare_exchange_weak(used, i + 1)) {
      }
      return i;
    }
  }
  return -1;
}

struct Region {
  Region(void* at, std::size_t length) : begin(at), size(length) {}
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() { ::munmap(begin, size); }
  void* begin;
  std::size_t size;
};

class Mapping final : public BytesOwner {
 public:
  Mapping(FileDescriptor file, std::uint64_t offset, void* begin, std::size_t size)
      : file_(std::move(file)), end_(offset + size), region_(begin, size), guard_(begin, size) {}

  bool guarded() const { return guard_.active(); }
  ByteSpan span() const { return {static_cast<const std::byte*>(region_.begin), region_.size}; }
  Result<> check() const override {
    // A file cut off inside its last page causes no fault, that page reads as zeros from there on:
    // only its size tells.
    struct stat st;
    const bool shrank =
        ::fstat(file_.get(), &st) != 0 || static_cast<std::uint64_t>(st.st_size) < end_;
    if (shrank || guard_.damaged()) return fail(IoError::file_changed, "a mapped file shrank");
    return {};
  }

 private:
  FileDescriptor file_;
  std::uint64_t end_;  // in the file
  Region region_;
  MappingGuard guard_;  // last, so that it ends before another mapping can take its addresses
};

// All of `source`, which is thought to have `expected` bytes. Neither reads nor allocates more than
// `max_size` and the one byte that tells there is more.
Result<Bytes> read_all(ByteSource& source, std::size_t max_size, std::uint64_t expected) {
  constexpr std::size_t kFirst = std::size_t{1} << 20;
  const auto too_large = [&] {
    return fail(error(IoError::out_of_memory, "input too large to copy").with_limit(max_size));
  };
  if (expected > max_size) return too_large();
  const std::size_t limit = max_size + 1;
  Buffer buffer(std::clamp<std::size_t>(expected + 1, std::min(kFirst, limit), limit));
  for (;;) {
    const std::size_t old_size = buffer.size();
    buffer.resize(buffer.capacity());
    const std::size_t n = CLEAVE_TRY(read_full(source, buffer.span().subspan(old_size)));
    buffer.resize(old_size + n);
    if (buffer.size() < buffer.capacity()) return std::move(buffer).freeze();
    if (buffer.size() == limit) return too_large();
    buffer.reserve(std::min(2 * buffer.capacity(), limit));
  }
}

}  // namespace

MappingGuard::MappingGuard(const void* begin, std::size_t size) : slot_(take_slot()) {
  if (slot_ < 0) return;
  install_handler();
  Guard& guard = guards[slot_];
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  guard.damaged.store(false);
  guard.begin.store(address);
  guard.end.store(address + size, std::memory_order_release);
}

MappingGuard::~MappingGuard() {
  if (slot_ < 0) return;
  guards[slot_].end.store(0);
  guards[slot_].begin.store(0);
  guards[slot_].taken.store(false, std::memory_order_release);
}

bool MappingGuard::damaged() const {
  return slot_ >= 0 && guards[slot_].damaged.load(std::memory_order_acquire);
}

Result<Bytes> map_file(int fd, std::uint64_t size, const std::filesystem::path& name) {
  return map_file_range(fd, 0, size, name);
}

Result<Bytes> map_file_range(int fd, std::uint64_t offset, std::uint64_t size,
                             const std::filesystem::path& name) {
  if (size == 0) return Bytes();
  FileDescriptor kept(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  void* memory = kept.is_open()
                     ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, static_cast<off_t>(offset))
                     : MAP_FAILED;
  if (memory == MAP_FAILED) {
    return fail(
        error(IoError::io_error, "map").with_subject("path", name.native()).with_os_error(errno));
  }
  auto mapping = std::make_shared<const Mapping>(std::move(kept), offset, memory, size);
  if (!mapping->guarded()) return fail(IoError::out_of_memory, "too many mapped files at once");
  const ByteSpan span = mapping->span();
  return Bytes(span, std::move(mapping));
}

Result<Bytes> open_bytes(const std::filesystem::path& path, std::uint64_t max_copy) {
  FileDescriptor fd = CLEAVE_TRY(open_file(path, O_RDONLY));
  const FileInfo info = CLEAVE_TRY(file_info(fd.get(), path));
  // Files in /proc and the like say they are regular and empty.
  if (info.type == FileType::regular && info.size > 0) {
    if (auto mapped = map_file(fd.get(), info.size, path)) return mapped;
  }
  FileSource source(std::move(fd), path, info);
  constexpr std::uint64_t kMost = std::numeric_limits<std::size_t>::max() / 4;
  return read_all(source, std::min(max_copy, kMost), info.size);
}

}  // namespace cleave
