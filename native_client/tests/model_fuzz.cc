// Reads what the fuzzer invents as a model and looks at its weights.

#include "models.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  deepspeech::tests::LoadAndLook({reinterpret_cast<const char*>(data), size});
  return 0;
}
