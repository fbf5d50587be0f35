// The network against its definition, computed in double precision, one frame after the other.

#include "engine/network.h"

#include <cmath>
#include <cstring>
#include <deque>
#include <random>

#include "check.h"

namespace deepspeech {
namespace {

using Vector = std::vector<double>;

// A network of small random weights, which owns them.
class RandomModel {
 public:
  RandomModel(bool is_bidirectional, bool is_quantised, bool shares_scale, bool has_layer_norm)
      : is_quantised_(is_quantised) {
    const int n = 24, n_recurrent = is_bidirectional ? 2 * n : n;
    file_->n_input = 5;
    file_->n_context = 2;
    file_->n_steps = 4;
    file_->relu_clip = shares_scale ? 0.2f : 1.5f;  // 0.2: the state often has the greater peak
    file_->layer_1 = MakeDense(25, n, has_layer_norm);
    file_->layer_2 = MakeDense(n, n, has_layer_norm);
    file_->layer_3 = MakeDense(n, n_recurrent, has_layer_norm);
    file_->layer_5 = MakeDense(n_recurrent, n, has_layer_norm);
    file_->layer_6 = MakeDense(n, 7, false);
    file_->forward = MakeLstm(n_recurrent, n, shares_scale);
    if (is_bidirectional) file_->backward = MakeLstm(n_recurrent, n, shares_scale);
  }

  std::shared_ptr<const ModelFile> file() const { return file_; }
  std::vector<float> Random(size_t n, float size) {
    std::vector<float> values(n);
    for (float& value : values) value = std::uniform_real_distribution<float>(-size, size)(random_);
    return values;
  }

 private:
  WeightMatrix MakeMatrix(size_t n_inputs, size_t n_outputs, size_t stride) {
    WeightMatrix matrix;
    matrix.n_inputs = n_inputs;
    matrix.n_outputs = n_outputs;
    matrix.stride = stride;
    floats_.push_back(Random(n_outputs * stride, is_quantised_ ? 127.4f : 0.5f));
    if (is_quantised_) {
      ints_.emplace_back();
      for (const float value : floats_.back()) ints_.back().push_back(static_cast<int8_t>(std::lround(value)));
      matrix.ints = ints_.back().data();
      for (size_t i = 0; i < n_outputs; ++i) matrix.scales.push_back(0.004f + 0.0001f * float(i % 7));
    } else {
      matrix.floats = floats_.back().data();
    }
    return matrix;
  }

  DenseLayer MakeDense(size_t n_inputs, size_t n_outputs, bool has_layer_norm) {
    DenseLayer layer{MakeMatrix(n_inputs, n_outputs, n_inputs + 3), Random(n_outputs, 0.3f), {}, {}};
    if (has_layer_norm) layer.gamma = Random(n_outputs, 2), layer.beta = Random(n_outputs, 1);
    return layer;
  }

  LstmLayer MakeLstm(size_t n_inputs, size_t n, bool shares_scale) {
    return {MakeMatrix(n_inputs, 4 * n, n_inputs), MakeMatrix(n, 4 * n, n), Random(4 * n, 0.5f), shares_scale};
  }

  bool is_quantised_;
  std::shared_ptr<ModelFile> file_ = std::make_shared<ModelFile>();
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<int8_t>> ints_;
  std::mt19937 random_{7};
};

double Peak(const Vector& x) {
  double peak = 0;
  for (const double value : x) peak = std::max(peak, std::fabs(value));
  return peak;
}

// Returns W x; int8: with x rounded to 127ths of `peak`.
Vector Product(const WeightMatrix& weights, const Vector& x, double peak) {
  const float scale = peak > 0 ? float(peak) / 127 : 1;
  Vector y(weights.n_outputs);
  for (size_t i = 0; i < weights.n_outputs; ++i) {
    for (size_t k = 0; k < weights.n_inputs; ++k) {
      const size_t at = i * weights.stride + k;
      y[i] += weights.ints ? weights.ints[at] * std::round(float(x[k]) / scale) : weights.floats[at] * x[k];
    }
    if (weights.ints) y[i] *= double(scale) * weights.scales[i];
  }
  return y;
}

Vector RunDense(const DenseLayer& layer, const Vector& x) {
  Vector y = Product(layer.weights, x, Peak(x));
  for (size_t i = 0; i < y.size(); ++i) y[i] += layer.bias[i];
  return y;
}

Vector RunActive(const DenseLayer& layer, const Vector& x, double clip) {
  Vector y = RunDense(layer, x);
  double mean = 0, variance = 0;
  for (double& value : y) mean += (value = std::min(std::max(value, 0.0), clip)) / double(y.size());
  for (const double value : y) variance += (value - mean) * (value - mean) / double(y.size());
  for (size_t i = 0; i < layer.gamma.size(); ++i) {
    y[i] = (y[i] - mean) / std::sqrt(variance + 1e-12) * layer.gamma[i] + layer.beta[i];
  }
  return y;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void StepLstm(const LstmLayer& layer, const Vector& x, Vector* c, Vector* h) {
  const double shared = std::max(Peak(x), Peak(*h));
  const Vector from_x = Product(layer.input, x, layer.shares_scale ? shared : Peak(x));
  const Vector from_h = Product(layer.recurrent, *h, layer.shares_scale ? shared : Peak(*h));
  const size_t n = h->size();
  const auto gate = [&](size_t i) { return from_x[i] + from_h[i] + layer.bias[i]; };
  for (size_t i = 0; i < n; ++i) {
    (*c)[i] = Sigmoid(gate(2 * n + i)) * (*c)[i] + Sigmoid(gate(i)) * std::tanh(gate(n + i));
    (*h)[i] = Sigmoid(gate(3 * n + i)) * std::tanh((*c)[i]);
  }
}

// Returns the probabilities of a whole utterance, [frames, classes].
std::vector<Vector> Define(const ModelFile& file, const std::vector<float>& features, size_t n_frames) {
  const size_t n = file.forward.recurrent.n_inputs, n_window = (2 * file.n_context + 1) * file.n_input;
  std::vector<Vector> third, recurrent(n_frames), probabilities;
  for (size_t t = 0; t < n_frames; ++t) {
    const float* window = &features[t * file.n_input];
    const Vector x = RunActive(file.layer_1, Vector(window, window + n_window), file.relu_clip);
    third.push_back(RunActive(file.layer_3, RunActive(file.layer_2, x, file.relu_clip), file.relu_clip));
  }
  Vector c(n), h(n), back_c(n), back_h(n);
  for (size_t t = 0; t < n_frames; ++t) {
    StepLstm(file.forward, third[t], &c, &h);
    recurrent[t] = h;
  }
  for (size_t t = n_frames; file.backward && t-- > 0;) {
    StepLstm(*file.backward, third[t], &back_c, &back_h);
    recurrent[t].insert(recurrent[t].end(), back_h.begin(), back_h.end());
  }
  for (const Vector& x : recurrent) {
    Vector y = RunDense(file.layer_6, RunActive(file.layer_5, x, file.relu_clip));
    double sum = 0;
    for (double& value : y) sum += value = std::exp(value);
    for (double& value : y) value /= sum;
    probabilities.push_back(y);
  }
  return probabilities;
}

// The utterances go through the network together, in chunks of `at_once` frames.
void CheckNetwork(RandomModel* model, Isa isa, size_t at_once, Threads* threads) {
  const ModelFile& file = *model->file();
  const Network network(model->file(), isa);
  const std::vector<size_t> lengths = {9, 1, 14};
  std::vector<std::vector<float>> features, found;
  std::vector<Network::State> states;
  for (const size_t length : lengths) {
    features.push_back(model->Random((length + 2 * file.n_context) * file.n_input, 3));
    found.emplace_back(length * network.n_classes());
    states.push_back(network.ZeroState());
  }
  Network::Workspace workspace;
  for (size_t begin = 0; begin < 14; begin += at_once) {
    std::vector<Network::Chunk> chunks;
    for (size_t i = 0; i < lengths.size(); ++i) {
      if (begin >= lengths[i]) continue;
      chunks.push_back({&features[i][begin * file.n_input], std::min(at_once, lengths[i] - begin),
                        network.is_bidirectional() ? nullptr : &states[i], &found[i][begin * network.n_classes()]});
    }
    network.Run(chunks, &workspace, threads);
  }
  // Where a value lies on the edge between two integers, arithmetic of another precision rounds it to the other one.
  const double tolerance = file.layer_1.weights.ints ? 0.02 : 1e-5;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const std::vector<Vector> expected = Define(file, features[i], lengths[i]);
    for (size_t j = 0; j < found[i].size(); ++j) {
      CHECK(std::fabs(found[i][j] - expected[j / network.n_classes()][j % network.n_classes()]) < tolerance);
    }
  }
}

}  // namespace
}  // namespace deepspeech

int main() {
  using namespace deepspeech;
  Threads one(1), two(2);
  for (int kind = 0; kind < 16; ++kind) {
    const bool is_bidirectional = kind & 1, is_quantised = kind & 2, shares_scale = kind & 4, has_layer_norm = kind & 8;
    if (shares_scale && !is_quantised) continue;
    RandomModel model(is_bidirectional, is_quantised, shares_scale, has_layer_norm);
    for (int isa = 0; isa <= static_cast<int>(BestIsa()); ++isa) {
      for (Threads* threads : {&one, &two}) {
        for (const size_t at_once : {14, 4, 1}) {
          if (is_bidirectional && at_once < 14) continue;
          CheckNetwork(&model, static_cast<Isa>(isa), at_once, threads);
        }
      }
    }
  }
}
