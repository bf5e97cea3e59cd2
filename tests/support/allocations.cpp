#include "tests/support/allocations.h"

#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLEAVE_SANITIZER_ALLOCATES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CLEAVE_SANITIZER_ALLOCATES 1
#endif
#endif

namespace {

thread_local std::size_t count = 0;
thread_local std::size_t bytes = 0;

void note(std::size_t size) {
  ++count;
  bytes += size;
}

}  // namespace

namespace cleave::test {

std::size_t allocations() { return count; }
std::size_t allocated_bytes() { return bytes; }

}  // namespace cleave::test

#if CLEAVE_SANITIZER_ALLOCATES

// A sanitizer has its own operator new.
#include <sanitizer/allocator_interface.h>

namespace {
const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t size) { note(size); }, [](const volatile void*) {});
}  // namespace

#else

void* operator new(std::size_t size) {
  note(size);
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

#endif
