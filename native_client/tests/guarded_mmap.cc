// Stands in for mmap (linked with --wrap) where a file is mapped to be read: a copy on the heap of just the size that
// was asked for, so that AddressSanitizer sees a read one byte behind what KenLM may read, where a map ends with its
// page.

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <set>

namespace {
std::mutex mutex;
std::set<void*> copies;
}  // namespace

extern "C" {

void* __real_mmap(void* address, size_t size, int protection, int flags, int file, off_t offset);
int __real_munmap(void* address, size_t size);
int __real_msync(void* address, size_t size, int flags);

void* __wrap_mmap(void* address, size_t size, int protection, int flags, int file, off_t offset) {
  if (file < 0 || (protection & PROT_WRITE)) return __real_mmap(address, size, protection, flags, file, offset);
  void* copy = std::malloc(size);
  if (pread(file, copy, size, offset) != static_cast<ssize_t>(size)) {  // which would be a SIGBUS later
    std::free(copy);
    errno = ENODEV;
    return MAP_FAILED;
  }
  const std::lock_guard<std::mutex> lock(mutex);
  copies.insert(copy);
  return copy;
}

int __wrap_munmap(void* address, size_t size) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (copies.erase(address)) {
      std::free(address);
      return 0;
    }
  }
  return __real_munmap(address, size);
}

int __wrap_msync(void* address, size_t size, int flags) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (copies.count(address)) return 0;
  }
  return __real_msync(address, size, flags);
}

}  // extern "C"
