#pragma once

#include <memory>

#include "engine/model_source.h"

namespace deepspeech {

// Returns whether bytes are a graph of TensorFlow (GraphDef, .pb), or a package of one with its constants beside it
// (.pbmm, as convert_graphdef_memmapped_format makes it). Neither has a magic number: their structure is looked at.
bool IsGraph(Bytes bytes);
bool IsMappedGraph(Bytes bytes);

// Read a frozen graph of DeepSpeech 0.7 to 0.9.3. Its weights stand as [inputs, outputs] and are copied. How the
// layers fit together is not checked here. Throw Error.
std::unique_ptr<ModelFile> ReadGraph(const ModelSource& source);
std::unique_ptr<ModelFile> ReadMappedGraph(const ModelSource& source);

}  // namespace deepspeech
