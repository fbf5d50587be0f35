#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/model_file.h"

namespace deepspeech::tests {

struct TinyModel {
  int version = 6;
  bool is_int8 = false;
  bool is_per_row = true;  // int8: a scale for each row, else one
  bool has_layer_norm = false;
};

// Makes a model of a few units: 2 labels, 2 cepstra, a context of 1, 2 steps, windows of 16 samples at 1000 Hz, weights
// that are all different. Tests may change it before they write it.
std::shared_ptr<ModelFile> Make(const TinyModel& tiny);

enum class Names {
  kOurs,
  kOursJoint,  // one kernel of the LSTM for input and state, as --export_compat has it
  kLegacy,     // names mean nothing, operators everything
};

// What keeps a file from being read; some only where operators count, or where there is int8.
enum class Flaw {
  kNone,
  kFloat16,
  kZeroPoints,
  kScalesOfColumns,
  kUnknownOperand,
  kUnknownBuffer,
  kUnknownOperator,
  kNoSoftmax,
  kOtherClip,
  kOtherGates,
  kOtherKernel,  // in the last step
  kOtherState,   // is not that of the step before
  kOneStep,
  kCircle,
  kPeepholes,
  kClippedCells,
  kTwoLstms,
  kNoLstm,
  kNoConstant,
  kNoRegion,
  kShortRegion,
  kNoGraph,
};

struct TfliteForm {
  Names names = Names::kOurs;
  bool is_misaligned = false;  // constants begin at odd addresses
  // Legacy, where converters differ:
  bool adds_bias_apart = false;    // an ADD behind the product
  bool has_relu_apart = false;     // an operator of its own
  bool swaps_operands = false;     // of sums and products
  float forget_bias = 0;           // in an ADD of the forget gate, and not in the bias
  bool has_bare_metadata = false;  // outputs are constants, not copies of them
  Flaw flaw = Flaw::kNone;
};
std::string AsTflite(const ModelFile& model, const TfliteForm& form);

struct GraphForm {
  float forget_bias = 0;             // of the LSTM's operation, and not in the bias
  bool lists_values = false;         // small constants as lists of numbers, not as bytes
  bool has_version_constant = true;  // graphs before DeepSpeech 0.7 have a field for it
  bool is_mapped = false;            // .pbmm
  bool has_lengths = true;           // .pbmm: the directory has the lengths of the regions
  Flaw flaw = Flaw::kNone;
};
std::string AsGraph(const ModelFile& model, const GraphForm& form);

struct Example {
  std::string name;
  std::shared_ptr<ModelFile> model;
  std::string bytes;  // that say what the model holds
};

// One of every kind that is read.
std::vector<Example> AllModels();

// Reads bytes as a file and looks at every weight. Returns what the file was refused with, empty if it was not, and
// ends the process where that is no sentence about the file.
std::string LoadAndLook(const std::string& bytes);

}  // namespace deepspeech::tests
