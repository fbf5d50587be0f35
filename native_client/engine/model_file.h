#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepspeech {

// The weights of a product y = W x + bias, as they stand in a model file: a row for each output.
struct WeightMatrix {
  size_t n_outputs = 0, n_inputs = 0;
  size_t stride = 0;              // weights from one row to the next, at least n_inputs
  const float* floats = nullptr;  // [n_outputs, stride]; or
  const int8_t* ints = nullptr;   // the same, each times the scale of its row
  std::vector<float> scales;      // of ints: [n_outputs]
};

struct DenseLayer {
  WeightMatrix weights;
  std::vector<float> bias;         // [n_outputs]
  std::vector<float> gamma, beta;  // of layer normalisation behind the activation, [n_outputs]; empty: there is none
};

// Gates are in the order input, candidate, forget, output.
struct LstmLayer {
  WeightMatrix input;       // [4 n_hidden, n_input]
  WeightMatrix recurrent;   // [4 n_hidden, n_hidden]
  std::vector<float> bias;  // [4 n_hidden], the forget bias added
  // int8 only: input and state were one row [x, h] in the file's graph, and share the scale of their quantisation.
  bool shares_scale = false;
};

enum class FeatureKind { kStreaming, kClassic };  // of graph version 6 and 7

// What a model file holds, whatever its format. Everything has been checked: sizes agree, every pointer has as much
// behind it as its matrix needs, counts are positive and small enough that products of them do not overflow.
struct ModelFile {
  int version = 0;  // of the graph: 6 (one LSTM, can stream) or 7 (forward and backward LSTM, whole utterances)
  FeatureKind features = FeatureKind::kStreaming;
  int sample_rate = 0;  // Hz
  int window = 0;       // samples
  int step = 0;         // samples from one feature vector to the next
  int n_input = 0;      // cepstra of a feature vector
  int n_context = 0;    // feature vectors on each side
  int n_steps = 0;      // feature vectors that are classified at a time in a stream
  int beam_width = 0;
  std::vector<std::string> labels;  // without the blank
  bool is_bytes = false;            // labels are the bytes 1 to 255 of UTF-8
  std::string language;

  float relu_clip = 20;
  DenseLayer layer_1, layer_2, layer_3;
  LstmLayer forward;
  std::optional<LstmLayer> backward;
  DenseLayer layer_5, layer_6;

  std::shared_ptr<const void> memory;  // what the pointers point into
};

// Reads a model of any kind, told by its content: .tflite, .pb or .pbmm of DeepSpeech 0.7 to 0.9.3 and Coqui STT 1.x
// (graph version 6) and of our export. Files are mapped where their weights can be used as they stand. Nothing in a
// file is trusted. Throws Error.
std::shared_ptr<const ModelFile> ReadModelFile(const std::string& path);

// Reads a model that is in memory already; `bytes` is kept as long as the result needs it. Throws Error.
std::shared_ptr<const ModelFile> ReadModelBuffer(std::shared_ptr<const std::string> bytes);

}  // namespace deepspeech
