// Any bytes as a WAV file: samples, or a sentence.

#include <cstring>
#include <stdexcept>

#include "check.h"
#include "client/wav.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    CHECK(deepspeech::ParseWav(bytes, 16000).size() <= size);
  } catch (const std::runtime_error& error) {
    CHECK(std::strlen(error.what()) > 20);
  }
  return 0;
}
