// Loads what the fuzzer invents as a scorer and decodes with it.

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "check.h"
#include "scorers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = memfd_create("scorer", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  CHECK(ftruncate(file, static_cast<off_t>(size)) == 0);
  CHECK(pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  deepspeech::tests::LoadAndDecode(path, static_cast<uint32_t>(size));
  return 0;
}
