#include "engine/network.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace deepspeech {
namespace {

constexpr size_t kBlock = 64;  // frames whose gates are in memory at a time

template <class T>
void GrowTo(size_t size, std::vector<T>* values) {
  if (values->size() < size) values->resize(size);
}

// Ba et al. 2016, arXiv:1607.06450.
void NormaliseLayer(const DenseLayer& layer, size_t n_rows, float* x) {
  const size_t n = layer.gamma.size();
  for (float* row = x; row != x + n_rows * n; row += n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; ++i) sum += row[i];
    const double mean = sum / n;
    for (size_t i = 0; i < n; ++i) squares += (row[i] - mean) * (row[i] - mean);
    const double scale = 1 / std::sqrt(squares / n + 1e-12);
    for (size_t i = 0; i < n; ++i) row[i] = float((row[i] - mean) * scale) * layer.gamma[i] + layer.beta[i];
  }
}

}  // namespace

Network::Network(std::shared_ptr<const ModelFile> file, Isa isa)
    : file_(std::move(file)),
      isa_(isa),
      layer_1_(MakeDense(file_->layer_1)),
      layer_2_(MakeDense(file_->layer_2)),
      layer_3_(MakeDense(file_->layer_3)),
      layer_5_(MakeDense(file_->layer_5)),
      layer_6_(MakeDense(file_->layer_6)),
      forward_(MakeLstm(file_->forward)) {
  if (file_->backward) backward_ = MakeLstm(*file_->backward);
}

Network::Dense Network::MakeDense(const DenseLayer& layer) const { return {Matrix(layer.weights, isa_), &layer}; }

Network::Lstm Network::MakeLstm(const LstmLayer& layer) const {
  return {Matrix(layer.input, isa_), Matrix(layer.recurrent, isa_), &layer};
}

void Network::Run(const std::vector<Chunk>& chunks, Workspace* workspace, Threads* threads) const {
  const size_t n_input = file_->n_input, n_3 = layer_3_.weights.n_outputs();
  const size_t n_recurrent = n_hidden() * (backward_ ? 2 : 1);
  size_t n_frames = 0;
  for (const Chunk& chunk : chunks) n_frames += chunk.n_frames;
  std::vector<float>&a = workspace->activations, &b = workspace->next_activations;
  GrowTo(n_frames * std::max({layer_1_.weights.n_outputs(), n_3, layer_5_.weights.n_outputs()}), &a);
  GrowTo(n_frames * std::max(layer_2_.weights.n_outputs(), n_classes()), &b);
  GrowTo(n_frames * n_recurrent, &workspace->recurrent);

  float* to = a.data();
  for (const Chunk& chunk : chunks) {  // rows that begin a feature vector after one another: the windows
    RunDense(layer_1_, chunk.features, n_input, chunk.n_frames, to, &workspace->rows, threads);
    to += chunk.n_frames * layer_1_.weights.n_outputs();
  }
  Activate(layer_1_, n_frames, a.data());
  const auto run_dense = [&](const Dense& dense, const float* x, float* y) {
    RunDense(dense, x, dense.weights.n_inputs(), n_frames, y, &workspace->rows, threads);
  };
  run_dense(layer_2_, a.data(), b.data());
  Activate(layer_2_, n_frames, b.data());
  run_dense(layer_3_, b.data(), a.data());
  Activate(layer_3_, n_frames, a.data());
  RunLstm(forward_, false, chunks, workspace, threads);
  if (backward_) RunLstm(*backward_, true, chunks, workspace, threads);
  run_dense(layer_5_, workspace->recurrent.data(), a.data());
  Activate(layer_5_, n_frames, a.data());
  run_dense(layer_6_, a.data(), b.data());
  Softmax(b.data(), n_frames, n_classes(), n_classes());

  const float* from = b.data();
  for (const Chunk& chunk : chunks) {
    std::copy_n(from, chunk.n_frames * n_classes(), chunk.probabilities);
    from += chunk.n_frames * n_classes();
  }
}

void Network::RunDense(const Dense& dense, const float* x, size_t stride, size_t n_rows, float* y, Rows* rows,
                       Threads* threads) const {
  dense.weights.Prepare(x, stride, n_rows, nullptr, rows);
  dense.weights.Multiply(*rows, dense.layer->bias.data(), false, y, dense.weights.n_outputs(), threads);
}

void Network::Activate(const Dense& dense, size_t n_rows, float* y) const {
  ClippedRelu(isa_, y, n_rows * dense.weights.n_outputs(), file_->relu_clip);
  if (!dense.layer->gamma.empty()) NormaliseLayer(*dense.layer, n_rows, y);
}

// Walks all chunks in step, the longest first so that those still running are always the first rows. `turns` walks from
// the end. Reads workspace->activations, writes its half of workspace->recurrent.
void Network::RunLstm(const Lstm& lstm, bool turns, const std::vector<Chunk>& chunks, Workspace* workspace,
                      Threads* threads) const {
  struct Walk {
    const Chunk* chunk;
    size_t first_frame;  // of all
  };
  const size_t n = n_hidden(), n_inputs = lstm.input.n_inputs(), n_recurrent = n * (backward_ ? 2 : 1);
  std::vector<Walk> walks;
  size_t first_frame = 0;
  for (const Chunk& chunk : chunks) {
    walks.push_back({&chunk, first_frame});
    first_frame += chunk.n_frames;
  }
  std::stable_sort(walks.begin(), walks.end(),
                   [](const Walk& a, const Walk& b) { return a.chunk->n_frames > b.chunk->n_frames; });

  workspace->c.assign(walks.size() * n, 0);
  workspace->h.assign(walks.size() * n, 0);
  for (size_t i = 0; i < walks.size(); ++i) {
    if (const State* state = walks[i].chunk->state) {
      std::copy(state->c.begin(), state->c.end(), &workspace->c[i * n]);
      std::copy(state->h.begin(), state->h.end(), &workspace->h[i * n]);
    }
  }
  const auto n_running = [&](size_t step) {
    size_t count = walks.size();
    while (count && walks[count - 1].chunk->n_frames <= step) --count;
    return count;
  };
  const auto frame_of = [&](const Walk& walk, size_t step) {
    return walk.first_frame + (turns ? walk.chunk->n_frames - 1 - step : step);
  };

  size_t step = 0;
  while (n_running(step)) {
    size_t n_rows = 0, end = step;  // rows of a block: step by step
    for (; n_rows < kBlock && n_running(end); ++end) n_rows += n_running(end);
    GrowTo(n_rows * n_inputs, &workspace->inputs);
    GrowTo(n_rows * 4 * n, &workspace->gates);
    float* to = workspace->inputs.data();
    for (size_t s = step; s < end; ++s) {
      for (size_t i = 0; i < n_running(s); ++i, to += n_inputs) {
        std::copy_n(&workspace->activations[frame_of(walks[i], s) * n_inputs], n_inputs, to);
      }
    }
    lstm.input.Prepare(workspace->inputs.data(), n_inputs, n_rows, nullptr, &workspace->rows);
    if (lstm.layer->shares_scale) {
      GrowTo(n_rows, &workspace->peaks);
      GrowTo(n_rows * 4 * n, &workspace->sums);
      Peaks(isa_, workspace->inputs.data(), n_inputs, n_rows, n_inputs, workspace->peaks.data());
      lstm.input.KeepSums(workspace->rows, workspace->sums.data(), 4 * n, threads);
    } else {
      lstm.input.Multiply(workspace->rows, lstm.layer->bias.data(), false, workspace->gates.data(), 4 * n, threads);
    }

    for (size_t row = 0; step < end; ++step) {
      const size_t running = n_running(step);
      ComputeGates(lstm, row, running, workspace, threads);
      float* gates = &workspace->gates[row * 4 * n];
      for (size_t i = 0; i < running; ++i) {
        float *c = &workspace->c[i * n], *h = &workspace->h[i * n];
        LstmCell(isa_, gates + i * 4 * n, n, c, h);
        std::copy_n(h, n, &workspace->recurrent[frame_of(walks[i], step) * n_recurrent + (turns ? n : 0)]);
      }
      row += running;
    }
  }
  for (size_t i = 0; i < walks.size(); ++i) {
    if (State* state = walks[i].chunk->state) {
      state->c.assign(&workspace->c[i * n], &workspace->c[i * n] + n);
      state->h.assign(&workspace->h[i * n], &workspace->h[i * n] + n);
    }
  }
}

// Completes the gates of a step, whose inputs are in rows of the block, with the product of the state.
void Network::ComputeGates(const Lstm& lstm, size_t first_row, size_t n_rows, Workspace* workspace,
                           Threads* threads) const {
  const size_t n = n_hidden(), n_inputs = lstm.input.n_inputs();
  float* gates = &workspace->gates[first_row * 4 * n];
  if (!lstm.layer->shares_scale) {
    lstm.recurrent.Prepare(workspace->h.data(), n, n_rows, nullptr, &workspace->state_rows);
    lstm.recurrent.Multiply(workspace->state_rows, nullptr, true, gates, 4 * n, threads);
    return;
  }
  float* peaks = &workspace->peaks[first_row];
  int32_t* sums = &workspace->sums[first_row * 4 * n];
  GrowTo(n_rows, &workspace->state_peaks);
  Peaks(isa_, workspace->h.data(), n, n_rows, n, workspace->state_peaks.data());
  for (size_t i = 0; i < n_rows; ++i) {
    if (workspace->state_peaks[i] <= peaks[i]) continue;
    peaks[i] = workspace->state_peaks[i];  // then the input, too, was quantised with too small a scale
    lstm.input.Prepare(&workspace->inputs[(first_row + i) * n_inputs], n_inputs, 1, &peaks[i], &workspace->rows);
    lstm.input.KeepSums(workspace->rows, sums + i * 4 * n, 4 * n, threads);
  }
  lstm.recurrent.Prepare(workspace->h.data(), n, n_rows, peaks, &workspace->state_rows);
  lstm.recurrent.MultiplyRest(workspace->state_rows, sums, lstm.layer->bias.data(), gates, 4 * n, threads);
}

}  // namespace deepspeech
