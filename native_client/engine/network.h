#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/model_file.h"
#include "engine/product.h"

namespace deepspeech {

// The network of a model file, ready to run; immutable, shared by all streams and threads.
class Network {
 public:
  explicit Network(std::shared_ptr<const ModelFile> file, Isa isa = BestIsa());

  const ModelFile& file() const { return *file_; }
  size_t n_classes() const { return layer_6_.n_outputs(); }
  bool is_bidirectional() const { return backward_.has_value(); }

  // Of the LSTM of a stream: float32 [n_hidden] each, zero at the beginning.
  struct State {
    std::vector<float> c, h;
  };

  // Frames of one utterance.
  struct Chunk {
    const float* features;  // [n_frames + 2 n_context, n_input]; zero vectors outside the utterance
    size_t n_frames;
    State* state;          // carried from chunk to chunk; null: the chunk is the whole utterance
    float* probabilities;  // [n_frames, n_classes], the result; blank last
  };

  // Memory of a thread that runs the network, kept from call to call.
  struct Workspace {
    std::vector<float> a, b, gates, hidden;
    Rows rows, state_rows;
    std::vector<float> peaks;
  };

  // Runs chunks of different utterances together: a weight is read once for all of them. Bidirectional networks need
  // whole utterances.
  void Run(std::vector<Chunk>* chunks, Workspace* workspace, Threads* threads) const;

 private:
  struct Dense {
    Matrix weights;
    const DenseLayer* layer;
  };

  std::shared_ptr<const ModelFile> file_;
  Isa isa_;
  Matrix layer_1_, layer_2_, layer_3_, layer_5_, layer_6_;
  struct Lstm {
    Matrix input, recurrent;
    const LstmLayer* layer;
  };
  Lstm forward_;
  std::optional<Lstm> backward_;
};

}  // namespace deepspeech
