#pragma once

#include <memory>

#include "engine/model_source.h"

namespace deepspeech {

// Returns whether bytes begin as a TensorFlow Lite model does.
bool IsTflite(Bytes bytes);

// Reads a TensorFlow Lite model: one of ours, whose weights are found by name, or one of DeepSpeech 0.7 to 0.9.3 or
// Coqui STT, whose weights are found by following the operators back from the output, as their names depend on the
// converter. How the layers fit together is not checked here. Throws Error.
std::unique_ptr<ModelFile> ReadTflite(const ModelSource& source);

}  // namespace deepspeech
