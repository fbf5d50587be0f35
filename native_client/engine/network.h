#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/model_file.h"
#include "engine/product.h"

namespace deepspeech {

// The network of a model file (Hannun et al. 2014, section 2, with LSTMs), ready to run; immutable, shared by all
// streams and threads.
class Network {
 public:
  explicit Network(std::shared_ptr<const ModelFile> file, Isa isa = BestIsa());

  const ModelFile& file() const { return *file_; }
  size_t n_classes() const { return layer_6_.weights.n_outputs(); }
  size_t n_hidden() const { return forward_.recurrent.n_inputs(); }
  bool is_bidirectional() const { return backward_.has_value(); }

  // Of the LSTM of a stream, float32 [n_hidden] each.
  struct State {
    std::vector<float> c, h;
  };
  State ZeroState() const { return {std::vector<float>(n_hidden()), std::vector<float>(n_hidden())}; }

  // Successive frames of one utterance.
  struct Chunk {
    const float* features;  // [n_frames + 2 n_context, n_input], those of the neighbours or zero vectors around
    size_t n_frames;
    State* state;          // at the chunk's beginning, afterwards at its end; null: begin at zero
    float* probabilities;  // [n_frames, n_classes], the result; blank last
  };

  // Memory of a thread that runs the network, kept from call to call.
  struct Workspace {
    std::vector<float> activations, next_activations;  // [frames, outputs of a layer]
    std::vector<float> recurrent;                      // [frames, n_hidden or 2 n_hidden]
    std::vector<float> inputs, gates;                  // of the LSTM, [frames of a block, ..]
    std::vector<float> c, h;                           // [chunks, n_hidden]
    std::vector<float> peaks, state_peaks;
    std::vector<int32_t> sums;  // of the inputs, where they share their scale with the state
    Rows rows, state_rows;
  };

  // Runs chunks of different utterances: a weight that is read serves all of them. A bidirectional network takes a
  // chunk for the whole utterance.
  void Run(const std::vector<Chunk>& chunks, Workspace* workspace, Threads* threads) const;

 private:
  struct Dense {
    Matrix weights;
    const DenseLayer* layer;
  };
  struct Lstm {
    Matrix input, recurrent;
    const LstmLayer* layer;
  };

  Dense MakeDense(const DenseLayer& layer) const;
  Lstm MakeLstm(const LstmLayer& layer) const;
  void RunDense(const Dense& dense, const float* x, size_t stride, size_t n_rows, float* y, Rows* rows,
                Threads* threads) const;
  void Activate(const Dense& dense, size_t n_rows, float* y) const;
  void RunLstm(const Lstm& lstm, bool turns, const std::vector<Chunk>& chunks, Workspace* workspace,
               Threads* threads) const;
  void ComputeGates(const Lstm& lstm, size_t first_row, size_t n_rows, Workspace* workspace, Threads* threads) const;

  std::shared_ptr<const ModelFile> file_;
  Isa isa_;
  Dense layer_1_, layer_2_, layer_3_, layer_5_, layer_6_;
  Lstm forward_;
  std::optional<Lstm> backward_;
};

}  // namespace deepspeech
