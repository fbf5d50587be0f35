#include "models.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

#include "check.h"
#include "ctcdecode/error.h"

namespace deepspeech::tests {
namespace {

// Models
// --------------------------------------------------------------------------------------------------------------------

// Numbers that are all different, and exact as float32.
std::vector<float> Numbers(size_t n, int seed) {
  std::vector<float> numbers(n);
  for (size_t i = 0; i < n; ++i) numbers[i] = (static_cast<float>(seed) + static_cast<float>(i) / 512) / 16 - 0.5f;
  return numbers;
}

class Maker {
 public:
  explicit Maker(const TinyModel& tiny) : tiny_(tiny), storage_(std::make_shared<Storage>()) {}

  std::shared_ptr<ModelFile> Make() {
    const bool is_whole = tiny_.version == 7;
    auto model = std::make_shared<ModelFile>();
    model->version = tiny_.version;
    model->features = is_whole ? FeatureKind::kClassic : FeatureKind::kStreaming;
    model->sample_rate = 1000;
    model->window = 16;
    model->step = 10;
    model->n_input = 2;
    model->n_context = 1;
    model->n_steps = is_whole ? 16 : 2;
    model->beam_width = 7;
    model->labels = {"a", "\xC3\xA9"};
    model->language = "xx";
    model->relu_clip = 5;
    model->layer_1 = Dense(2, 6, tiny_.has_layer_norm);
    model->layer_2 = Dense(4, 2, tiny_.has_layer_norm);
    model->layer_3 = Dense(3, 4, tiny_.has_layer_norm);
    model->forward = Lstm(2, 3);
    if (is_whole) model->backward = Lstm(2, 3);
    model->layer_5 = Dense(2, is_whole ? 4 : 2, tiny_.has_layer_norm);
    model->layer_6 = Dense(3, 2, false);
    model->memory = storage_;
    return model;
  }

 private:
  struct Storage {
    std::vector<std::vector<float>> floats;
    std::vector<std::vector<int8_t>> ints;
  };

  DenseLayer Dense(size_t n_outputs, size_t n_inputs, bool has_layer_norm) {
    DenseLayer layer = {Matrix(n_outputs, n_inputs), Numbers(n_outputs, ++seed_), {}, {}};
    if (!has_layer_norm) return layer;
    layer.gamma = Numbers(n_outputs, ++seed_);
    layer.beta = Numbers(n_outputs, ++seed_);
    return layer;
  }

  LstmLayer Lstm(size_t n_hidden, size_t n_inputs) {
    LstmLayer lstm = {Matrix(4 * n_hidden, n_inputs), Matrix(4 * n_hidden, n_hidden), Numbers(4 * n_hidden, ++seed_),
                      false};
    lstm.recurrent.scales = lstm.input.scales;  // so that one kernel can hold both
    return lstm;
  }

  WeightMatrix Matrix(size_t n_outputs, size_t n_inputs) {
    WeightMatrix matrix;
    matrix.n_outputs = n_outputs;
    matrix.n_inputs = matrix.stride = n_inputs;
    ++seed_;
    if (!tiny_.is_int8) {
      storage_->floats.push_back(Numbers(n_outputs * n_inputs, seed_));
      matrix.floats = storage_->floats.back().data();
      return matrix;
    }
    std::vector<int8_t> ints(n_outputs * n_inputs);
    for (size_t i = 0; i < ints.size(); ++i) {
      ints[i] = static_cast<int8_t>((static_cast<int>(i) * 11 + seed_ * 31) % 255 - 127);
    }
    storage_->ints.push_back(std::move(ints));
    matrix.ints = storage_->ints.back().data();
    for (size_t i = 0; i < n_outputs; ++i) {
      matrix.scales.push_back(0.125f + 0.0625f * static_cast<float>(tiny_.is_per_row ? i : 0));
    }
    return matrix;
  }

  const TinyModel tiny_;
  std::shared_ptr<Storage> storage_;
  int seed_ = 0;
};

template <class T>
std::string Raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <class T>
std::string Raw(T value) {
  return Raw(std::vector<T>{value});
}

std::string SerialisedLabels(const std::vector<std::string>& labels) {
  std::string bytes = Raw(static_cast<uint16_t>(labels.size()));
  for (size_t i = labels.size(); i-- > 0;) {
    bytes += Raw(static_cast<uint16_t>(i)) + Raw(static_cast<uint16_t>(labels[i].size())) + labels[i];
  }
  return bytes;
}

std::vector<std::pair<std::string, int>> Integers(const ModelFile& model) {
  return {{"metadata_version", model.version},
          {"metadata_sample_rate", model.sample_rate},
          {"metadata_feature_win_len", model.window},  // 1000 Hz: a sample is a millisecond
          {"metadata_feature_win_step", model.step},
          {"metadata_beam_width", model.beam_width}};
}

std::vector<std::pair<std::string, std::string>> Texts(const ModelFile& model) {
  return {{"metadata_alphabet", SerialisedLabels(model.labels)}, {"metadata_language", model.language}};
}

std::vector<float> WithoutForgetBias(std::vector<float> bias, float forget_bias) {
  for (size_t i = bias.size() / 2; i < bias.size() * 3 / 4; ++i) bias[i] -= forget_bias;
  return bias;
}

// The rows of a matrix, those of another one behind them if it is given.
std::string PackedRows(const WeightMatrix& matrix, const WeightMatrix* behind = nullptr) {
  std::string bytes;
  for (size_t row = 0; row < matrix.n_outputs; ++row) {
    for (const WeightMatrix* from : {&matrix, behind}) {
      if (from == nullptr) continue;
      const size_t begin = row * from->stride;
      if (from->ints != nullptr) {
        bytes.append(reinterpret_cast<const char*>(from->ints + begin), from->n_inputs);
      } else {
        bytes.append(reinterpret_cast<const char*>(from->floats + begin), from->n_inputs * sizeof(float));
      }
    }
  }
  return bytes;
}

// TensorFlow Lite
// --------------------------------------------------------------------------------------------------------------------

// A part of a FlatBuffer. A table has scalars and children by the numbers of its fields; a vector has elements, or
// children one after the other.
struct Part {
  bool is_vector = false;
  std::string elements;  // or nothing
  size_t n_elements = 0;
  std::map<int, std::string> scalars;
  std::map<int, Part> children;
};

template <class T>
Part Vector(const std::vector<T>& values) {
  return {true, Raw(values), values.size(), {}, {}};
}

Part Text(const std::string& text) { return {true, text, text.size(), {}, {}}; }

Part Parts(const std::vector<Part>& parts) {
  Part vector = {true, "", parts.size(), {}, {}};
  for (const Part& part : parts) vector.children.emplace(static_cast<int>(vector.children.size()), part);
  return vector;
}

// Writes front to back: what is pointed to lies behind the pointer.
class FlatBuffer {
 public:
  explicit FlatBuffer(bool is_misaligned) : is_misaligned_(is_misaligned) {}

  std::string Write(const Part& root, const std::string& identifier) {
    bytes_ = std::string(4, '\0') + identifier;
    Point(0, Append(root));
    return bytes_;
  }

 private:
  void Align(size_t to, size_t remainder) {
    while (bytes_.size() % to != remainder) bytes_ += '\0';
  }

  void Point(size_t from, size_t to) {
    const std::string offset = Raw(static_cast<uint32_t>(to - from));
    bytes_.replace(from, offset.size(), offset);
  }

  size_t Append(const Part& part) {
    std::vector<size_t> pointers;
    size_t begin;
    if (part.is_vector) {
      Align(16, is_misaligned_ ? 13 : 12);  // elements follow a length of four bytes
      begin = bytes_.size();
      bytes_ += Raw(static_cast<uint32_t>(part.n_elements)) + part.elements;
      for (size_t i = 0; i < part.children.size(); ++i) {
        pointers.push_back(bytes_.size());
        bytes_ += std::string(4, '\0');
      }
    } else {
      begin = AppendTable(part, &pointers);
    }
    auto pointer = pointers.begin();
    for (const auto& [field, child] : part.children) Point(*pointer++, Append(child));
    return begin;
  }

  // Every field takes eight bytes, in the order of their numbers.
  size_t AppendTable(const Part& part, std::vector<size_t>* pointers) {
    std::map<int, std::string> fields = part.scalars;
    for (const auto& [number, child] : part.children) fields[number];
    std::vector<uint16_t> vtable(fields.empty() ? 2 : static_cast<size_t>(fields.rbegin()->first) + 3);
    vtable[0] = static_cast<uint16_t>(vtable.size() * 2);
    std::string table(8, '\0');
    for (const auto& [number, scalar] : fields) {
      vtable[static_cast<size_t>(number) + 2] = static_cast<uint16_t>(table.size());
      table += scalar + std::string(8 - scalar.size(), '\0');
    }
    vtable[1] = static_cast<uint16_t>(table.size());
    const size_t vtable_begin = bytes_.size();
    bytes_ += Raw(vtable);
    Align(8, 0);
    const size_t begin = bytes_.size();
    table.replace(0, 4, Raw(static_cast<int32_t>(begin - vtable_begin)));
    bytes_ += table;
    for (const auto& [number, child] : part.children) {
      pointers->push_back(begin + vtable[static_cast<size_t>(number) + 2]);
    }
    return begin;
  }

  const bool is_misaligned_;
  std::string bytes_;
};

// Numbers of TensorFlow Lite's schema.
enum Type { kFloat32 = 0, kFloat16 = 1, kInt32 = 2, kString = 5, kInt8 = 9 };
enum Kind {
  kAdd = 0,
  kConcatenation = 2,
  kFullyConnected = 9,
  kLogistic = 14,
  kMul = 18,
  kRelu = 19,
  kReshape = 22,
  kSoftmax = 25,
  kTanh = 28,
  kMean = 40,
  kSub = 41,
  kStridedSlice = 45,
  kSplit = 49,
  kMinimum = 57,
  kRsqrt = 76,
  kSquaredDifference = 99,
};

class TfliteWriter {
 public:
  TfliteWriter(const ModelFile& model, const TfliteForm& form) : model_(model), form_(form), buffers_(1) {}

  std::string Write() {
    const auto steps = model_.n_steps, window = 2 * model_.n_context + 1;
    input_node_ = Tensor("input_node", kFloat32, {1, steps, window, model_.n_input});
    Tensor("input_samples", kFloat32, {model_.version == 6 ? model_.window : 1});
    if (model_.version == 7) Tensor("mfccs", kFloat32, {1, model_.n_input});
    WriteMetadata();
    if (form_.names == Names::kLegacy) {
      WriteLegacy();
    } else {
      WriteNamed();
    }
    std::vector<Part> codes, buffers;
    if (form_.flaw == Flaw::kUnknownOperand) Operator(kRelu, {9999}, std::vector<int>{});
    if (form_.flaw == Flaw::kUnknownOperator) kinds_.pop_back();
    for (const int kind : kinds_) codes.push_back({false, "", 0, {{0, Raw(static_cast<int8_t>(kind))}}, {}});
    for (const std::string& buffer : buffers_) {
      buffers.push_back(buffer.empty() ? Part() : Part{false, "", 0, {}, {{0, Text(buffer)}}});
    }
    const auto graph = [](const std::vector<Part>& tensors, const std::vector<Part>& operators) {
      return Part{false, "", 0, {}, {{0, Parts(tensors)}, {3, Parts(operators)}}};
    };
    const Part root = {
        false,
        "",
        0,
        {{0, Raw(uint32_t{3})}},
        {{1, Parts(codes)}, {2, Parts({graph(tensors_, operators_), graph(body_tensors_, {})})}, {4, Parts(buffers)}}};
    return FlatBuffer(form_.is_misaligned).Write(root, "TFL3");
  }

 private:
  using Shape = std::vector<int32_t>;

  Part MakeTensor(const std::string& name, Type type, const Shape& shape, const std::string& data = "",
                  std::vector<float> scales = {}) {
    Part tensor = {false, "", 0, {{1, Raw(static_cast<int8_t>(type))}}, {{0, Vector(shape)}, {3, Text(name)}}};
    if (!data.empty()) {
      tensor.scalars[2] = Raw(static_cast<uint32_t>(buffers_.size() + (form_.flaw == Flaw::kUnknownBuffer ? 999 : 0)));
      buffers_.push_back(data);
    }
    if (!scales.empty()) {
      if (std::all_of(scales.begin(), scales.end(), [&](float scale) { return scale == scales[0]; })) scales.resize(1);
      const std::vector<int64_t> zero_points(scales.size(), form_.flaw == Flaw::kZeroPoints ? 3 : 0);
      const int32_t dimension = form_.flaw == Flaw::kScalesOfColumns ? 1 : 0;
      tensor.children[4] = {false, "", 0, {{6, Raw(dimension)}}, {{2, Vector(scales)}, {3, Vector(zero_points)}}};
    }
    return tensor;
  }

  int Add(const Part& tensor) {
    tensors_.push_back(tensor);
    return static_cast<int>(tensors_.size()) - 1;
  }

  int Tensor(const std::string& name, Type type, const Shape& shape, const std::string& data = "") {
    return Add(MakeTensor(name, type, shape, data));
  }

  int Floats(const std::string& name, const std::vector<float>& values, bool is_scalar = false) {
    return Tensor(name, kFloat32, is_scalar ? Shape() : Shape{static_cast<int32_t>(values.size())}, Raw(values));
  }

  Part MakeMatrix(const std::string& name, const WeightMatrix& matrix, const WeightMatrix* behind = nullptr) {
    const size_t n_inputs = matrix.n_inputs + (behind ? behind->n_inputs : 0);
    const Type type = matrix.ints ? kInt8 : form_.flaw == Flaw::kFloat16 ? kFloat16 : kFloat32;
    return MakeTensor(name, type, {static_cast<int32_t>(matrix.n_outputs), static_cast<int32_t>(n_inputs)},
                      PackedRows(matrix, behind), matrix.scales);
  }

  int Matrix(const std::string& name, const WeightMatrix& matrix, const WeightMatrix* behind = nullptr) {
    return Add(MakeMatrix(name, matrix, behind));
  }

  void Operator(Kind kind, const std::vector<int>& inputs, const std::vector<int>& outputs, int8_t activation = 0) {
    const auto known = std::find(kinds_.begin(), kinds_.end(), kind);
    const auto code = static_cast<uint32_t>(known - kinds_.begin());
    if (known == kinds_.end()) kinds_.push_back(kind);
    Part op = {false, "", 0, {{0, Raw(code)}}, {{1, Vector(inputs)}, {2, Vector(outputs)}}};
    if (activation != 0) op.children[4] = {false, "", 0, {{0, Raw(activation)}}, {}};
    operators_.push_back(op);
  }

  int Result(Kind kind, const std::vector<int>& inputs, int8_t activation = 0) {
    const int output = Tensor("t" + std::to_string(tensors_.size()), kFloat32, Shape());
    Operator(kind, inputs, std::vector<int>{output}, activation);
    return output;
  }

  // Of a sum or product, whose operands may stand in any order.
  int Either(Kind kind, int first, int second, int8_t activation = 0) {
    if (form_.swaps_operands) std::swap(first, second);
    return Result(kind, {first, second}, activation);
  }

  void WriteMetadata() {
    const auto write = [this](const std::string& name, Type type, const std::string& data) {
      if (form_.has_bare_metadata) {
        Tensor(name, type, Shape{1}, data);
        return;
      }
      const int copy = Tensor(name + "_copy", type, Shape{1}, data);
      Operator(kReshape, {copy}, {Tensor(name, type, Shape{1})});
    };
    for (const auto& [name, value] : Integers(model_)) write(name, kInt32, Raw(value));
    for (const auto& [name, text] : Texts(model_)) {
      const std::vector<uint32_t> header = {1, 12, 12 + static_cast<uint32_t>(text.size())};
      write(name, kString, Raw(header) + text);
    }
  }

  void WriteNamed() {
    Floats("relu_clip", {model_.relu_clip}, true);
    const std::pair<std::string, const DenseLayer*> layers[] = {{"layer_1", &model_.layer_1},
                                                                {"layer_2", &model_.layer_2},
                                                                {"layer_3", &model_.layer_3},
                                                                {"layer_5", &model_.layer_5},
                                                                {"layer_6", &model_.layer_6}};
    for (const auto& [name, layer] : layers) {
      Matrix(name + "/weights", layer->weights);
      Floats(name + "/bias", layer->bias);
      if (layer->gamma.empty()) continue;
      Floats(name + "/LayerNorm/gamma", layer->gamma);
      Floats(name + "/LayerNorm/beta", layer->beta);
    }
    const bool is_whole = model_.version == 7;
    WriteNamedLstm(is_whole ? "bidirectional_rnn/fw/basic_lstm_cell"
                            : "cudnn_lstm/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell",
                   model_.forward);
    if (model_.backward) WriteNamedLstm("bidirectional_rnn/bw/basic_lstm_cell", *model_.backward);
  }

  // The kernel of the state belongs to the body of the loop over time.
  void WriteNamedLstm(const std::string& cell, const LstmLayer& lstm) {
    Floats(cell + "/bias", lstm.bias);
    if (form_.names == Names::kOursJoint) {
      Matrix(cell + "/kernel", lstm.input, &lstm.recurrent);
    } else {
      Matrix(cell + "/input_kernel", lstm.input);
      body_tensors_.push_back(MakeMatrix(cell + "/recurrent_kernel", lstm.recurrent));
    }
  }

  int Product(int input, int weights, int bias, bool is_rectified) {
    const int8_t fused = is_rectified && !form_.has_relu_apart;
    const int product = form_.adds_bias_apart ? Either(kAdd, Result(kFullyConnected, {input, weights, -1}), bias, fused)
                                              : Result(kFullyConnected, {input, weights, bias}, fused);
    return is_rectified && form_.has_relu_apart ? Result(kRelu, {product}) : product;
  }

  int Clipped(int input, const DenseLayer& layer, float clip) {
    int x = Product(input, Matrix("w", layer.weights), Floats("b", layer.bias), true);
    x = Either(kMinimum, x, Floats("y", {clip}, true));
    if (layer.gamma.empty()) return x;
    const int mean = Result(kMean, {x}), variance = Result(kMean, {Result(kSquaredDifference, {x, mean})});
    const int deviation = Result(kRsqrt, {Either(kAdd, variance, Floats("e", {1e-12f}, true))});
    const int scale = Either(kMul, deviation, Floats("g", layer.gamma));
    const int shift = Result(kSub, {Floats("o", layer.beta), Either(kMul, mean, scale)});
    return Either(kAdd, Either(kMul, x, scale), shift);
  }

  void WriteLegacy() {
    int x = Result(kReshape, {input_node_});
    if (form_.flaw == Flaw::kCircle) Operator(kReshape, {x}, {input_node_});
    x = Clipped(x, model_.layer_1, model_.relu_clip);
    x = Clipped(x, model_.layer_2, model_.relu_clip);
    x = Clipped(x, model_.layer_3, model_.relu_clip);
    x = Unrolled(Result(kReshape, {x}));
    x = Clipped(x, model_.layer_5, model_.relu_clip + (form_.flaw == Flaw::kOtherClip ? 1 : 0));
    x = Product(x, Matrix("w6", model_.layer_6.weights), Floats("b6", model_.layer_6.bias), false);
    if (form_.flaw != Flaw::kNoSoftmax) Operator(kSoftmax, {x}, {Tensor("logits", kFloat32, Shape())});
  }

  int Unrolled(int x) {
    int kernel = Matrix("k", model_.forward.input, &model_.forward.recurrent);
    const int bias = Floats("kb", WithoutForgetBias(model_.forward.bias, form_.forget_bias));
    int c = Tensor("previous_state_c", kFloat32, Shape()), h = Tensor("previous_state_h", kFloat32, Shape());
    std::vector<int> outputs;
    for (int step = 0; step < (form_.flaw == Flaw::kOneStep ? 1 : model_.n_steps); ++step) {
      if (step == 1 && form_.flaw == Flaw::kOtherKernel) {
        kernel = Matrix("k", model_.forward.input, &model_.forward.recurrent);
      }
      const int joint = Result(kConcatenation, {Result(kStridedSlice, {x}), h});
      const int gates = Product(joint, kernel, bias, false);
      std::vector<int> parts;
      for (int i = 0; i < 4; ++i) parts.push_back(Tensor("s", kFloat32, Shape()));
      Operator(kSplit, {Tensor("d", kInt32, Shape(), Raw(int32_t{1})), gates}, parts);
      if (form_.flaw == Flaw::kOtherGates) std::swap(parts[1], parts[2]);
      if (form_.forget_bias != 0) parts[2] = Either(kAdd, parts[2], forget_bias());
      const int kept = Either(kMul, Result(kLogistic, {parts[2]}), c);
      const int added = Either(kMul, Result(kLogistic, {parts[0]}), Result(kTanh, {parts[1]}));
      c = Either(kAdd, kept, added);
      if (form_.flaw == Flaw::kOtherState) c = Result(kReshape, {kept});
      h = Either(kMul, Result(kLogistic, {parts[3]}), Result(kTanh, {c}));
      outputs.push_back(h);
    }
    return Result(kConcatenation, outputs);
  }

  int forget_bias() {
    if (forget_bias_ < 0) forget_bias_ = Floats("f", {form_.forget_bias}, true);
    return forget_bias_;
  }

  const ModelFile& model_;
  const TfliteForm form_;
  std::vector<std::string> buffers_;  // the first is that of all tensors without values
  std::vector<Part> tensors_, body_tensors_, operators_;
  std::vector<int> kinds_;
  int input_node_ = -1, forget_bias_ = -1;
};

// TensorFlow
// --------------------------------------------------------------------------------------------------------------------

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string Integer(uint64_t field, uint64_t value) { return Varint(field << 3) + Varint(value); }

std::string Message(uint64_t field, const std::string& content) {
  return Varint(field << 3 | 2) + Varint(content.size()) + content;
}

std::string Float(uint64_t field, float value) { return Varint(field << 3 | 5) + Raw(value); }

class GraphWriter {
 public:
  GraphWriter(const ModelFile& model, const GraphForm& form) : model_(model), form_(form) {}

  std::string Write() {
    for (const auto& [name, value] : Integers(model_)) {
      if (name == "metadata_version" && !form_.has_version_constant) {
        graph_ += Integer(3, static_cast<uint64_t>(value));
        continue;
      }
      const std::string content =
          form_.lists_values ? Integer(7, static_cast<uint64_t>(value)) : Message(4, Raw(value));
      Constant(name, 3, {1}, content);
    }
    for (const auto& [name, text] : Texts(model_)) Constant(name, 7, {1}, Message(8, text));
    Node("input_node", "Placeholder", {},
         {{"shape", Message(7, Shape({1, model_.n_steps, 2 * model_.n_context + 1, model_.n_input}))}});
    Node("input_samples", "Placeholder", {}, {{"shape", Message(7, Shape({model_.window}))}});
    Floats("clip", {model_.relu_clip}, {});
    if (form_.flaw == Flaw::kOtherClip) {
      Floats("other_clip", {model_.relu_clip + 1}, {});
      Node("other_minimum", "Minimum", {"x", "other_clip"}, {});
    }
    Dense("layer_1", model_.layer_1);
    Dense("layer_2", model_.layer_2);
    Dense("layer_3", model_.layer_3);
    if (form_.flaw != Flaw::kNoLstm) Lstm("lstm");
    if (form_.flaw == Flaw::kTwoLstms) Lstm("lstm_2");
    Dense("layer_5", model_.layer_5);
    Dense("layer_6", model_.layer_6);
    return form_.is_mapped ? Package() : graph_;
  }

 private:
  using Attributes = std::vector<std::pair<std::string, std::string>>;

  static std::string Shape(const std::vector<int>& axes) {
    std::string shape;
    for (const int axis : axes) shape += Message(2, Integer(1, static_cast<uint64_t>(axis)));
    return shape;
  }

  void Node(const std::string& name, const std::string& op, const std::vector<std::string>& inputs,
            const Attributes& attributes) {
    std::string node = Message(1, name) + Message(2, op);
    for (const std::string& input : inputs) node += Message(3, input);
    for (const auto& [key, value] : attributes) node += Message(5, Message(1, key) + Message(2, value));
    graph_ += Message(1, node);
  }

  void Constant(const std::string& name, uint64_t type, const std::vector<int>& shape, const std::string& content) {
    if (type == 1 && form_.flaw == Flaw::kFloat16) type = 19;
    const std::string tensor = Integer(1, type) + Message(2, Shape(shape)) + content;
    const bool is_constant = form_.flaw != Flaw::kNoConstant || name != "layer_2/bias";
    Node(name, is_constant ? "Const" : "VariableV2", {}, {{"dtype", Integer(6, type)}, {"value", Message(8, tensor)}});
  }

  // A variable's value stands behind an operation that reads it.
  void Floats(const std::string& name, const std::vector<float>& values, const std::vector<int>& shape) {
    if (form_.is_mapped && shape.size() == 2) {
      const std::string region = "memmapped_package://" + name;
      Node(name, "ImmutableConst", {},
           {{"dtype", Integer(6, 1)}, {"shape", Message(7, Shape(shape))}, {"memory_region_name", Message(2, region)}});
      Region(region, Raw(values));
    } else if (form_.lists_values && shape.size() < 2) {
      // values at the end that are those before may be left out
      std::string list;
      for (const float value : values) list += Float(5, value);
      Constant(name, 1, shape, list);
    } else {
      Constant(name, 1, shape, Message(4, Raw(values)));
    }
    Node(name + "/read", "Identity", {form_.flaw == Flaw::kCircle ? name + "/read" : name}, {});
  }

  // Stands as [inputs, outputs].
  void Matrix(const std::string& name, const WeightMatrix& matrix, const WeightMatrix* below = nullptr) {
    std::vector<float> values;
    for (const WeightMatrix* from : {&matrix, below}) {
      for (size_t column = 0; from != nullptr && column < from->n_inputs; ++column) {
        for (size_t row = 0; row < from->n_outputs; ++row) values.push_back(from->floats[row * from->stride + column]);
      }
    }
    const size_t n_inputs = values.size() / matrix.n_outputs;
    Floats(name, values, {static_cast<int>(n_inputs), static_cast<int>(matrix.n_outputs)});
  }

  void Vector(const std::string& name, const std::vector<float>& values) {
    Floats(name, values, {static_cast<int>(values.size())});
  }

  void Dense(const std::string& name, const DenseLayer& layer) {
    Matrix(name + "/weights", layer.weights);
    Vector(name + "/bias", layer.bias);
    if (name != "layer_6") Node(name + "/Minimum", "Minimum", {name + "/Relu", "clip"}, {});
    if (layer.gamma.empty()) return;
    Vector(name + "/LayerNorm/gamma", layer.gamma);
    Vector(name + "/LayerNorm/beta", layer.beta);
  }

  void Lstm(const std::string& name) {
    Matrix("cell/kernel", model_.forward.input, &model_.forward.recurrent);
    Vector("cell/bias", WithoutForgetBias(model_.forward.bias, form_.forget_bias));
    Node(name, "BlockLSTM",
         {"length", "x", "previous_state_c", "previous_state_h", "cell/kernel/read", "zero", "zero", "zero",
          "cell/bias/read:0"},
         {{"forget_bias", Float(4, form_.forget_bias)},
          {"cell_clip", Float(4, form_.flaw == Flaw::kClippedCells ? 1 : -1)},
          {"use_peephole", Integer(5, form_.flaw == Flaw::kPeepholes)}});
  }

  void Region(const std::string& name, const std::string& content) {
    package_ += std::string((16 - package_.size() % 16) % 16, '\0');
    const bool is_flawed = name.find("layer_2/weights") != name.npos;
    std::string region = Integer(1, package_.size());
    region += Message(2, name + (is_flawed && form_.flaw == Flaw::kNoRegion ? "?" : ""));
    const size_t cut = is_flawed && form_.flaw == Flaw::kShortRegion ? 4 : 0;
    if (form_.has_lengths) region += Integer(3, content.size() - cut);
    directory_ += Message(1, region);
    package_ += content;
  }

  std::string Package() {
    if (form_.flaw != Flaw::kNoGraph) Region("memmapped_package://.", graph_);
    return package_ + directory_ + Raw(static_cast<uint64_t>(package_.size()));
  }

  const ModelFile& model_;
  const GraphForm form_;
  std::string graph_, package_, directory_;
};

// Looking
// --------------------------------------------------------------------------------------------------------------------

void Look(const WeightMatrix& matrix) {
  CHECK((matrix.floats == nullptr) != (matrix.ints == nullptr));
  CHECK(matrix.n_outputs > 0 && matrix.n_inputs > 0 && matrix.stride >= matrix.n_inputs);
  CHECK(matrix.scales.size() == (matrix.ints ? matrix.n_outputs : 0));
  volatile float seen = 0;
  for (size_t row = 0; row < matrix.n_outputs; ++row) {
    for (size_t i = row * matrix.stride; i < row * matrix.stride + matrix.n_inputs; ++i) {
      seen = matrix.ints ? static_cast<float>(matrix.ints[i]) : matrix.floats[i];
    }
  }
  static_cast<void>(seen);
}

size_t Look(const DenseLayer& layer, size_t n_inputs) {
  Look(layer.weights);
  const size_t n = layer.weights.n_outputs;
  CHECK(layer.weights.n_inputs == n_inputs && layer.bias.size() == n);
  CHECK(layer.gamma.size() == layer.beta.size() && (layer.gamma.empty() || layer.gamma.size() == n));
  return n;
}

size_t Look(const LstmLayer& lstm, size_t n_inputs) {
  Look(lstm.input);
  Look(lstm.recurrent);
  const size_t n = lstm.recurrent.n_inputs;
  CHECK(lstm.input.n_inputs == n_inputs && lstm.input.n_outputs == 4 * n);
  CHECK(lstm.recurrent.n_outputs == 4 * n && lstm.bias.size() == 4 * n);
  return n;
}

void Look(const ModelFile& model) {
  CHECK(model.version == 6 || model.version == 7);
  CHECK((model.version == 7) == model.backward.has_value());
  for (const int count :
       {model.sample_rate, model.window, model.step, model.n_input, model.n_steps, model.beam_width}) {
    CHECK(count > 0);
  }
  CHECK(model.n_context >= 0);
  size_t n = Look(model.layer_1, static_cast<size_t>(model.n_input) * static_cast<size_t>(2 * model.n_context + 1));
  n = Look(model.layer_3, Look(model.layer_2, n));
  n = Look(model.forward, n) + (model.backward ? Look(*model.backward, n) : 0);
  n = Look(model.layer_6, Look(model.layer_5, n));
  CHECK(n == model.labels.size() + 1);
}

}  // namespace

std::shared_ptr<ModelFile> Make(const TinyModel& tiny) { return Maker(tiny).Make(); }

std::string AsTflite(const ModelFile& model, const TfliteForm& form) { return TfliteWriter(model, form).Write(); }

std::string AsGraph(const ModelFile& model, const GraphForm& form) { return GraphWriter(model, form).Write(); }

std::vector<Example> AllModels() {
  std::vector<Example> examples;
  const auto tflite = [&](const std::string& name, const TinyModel& tiny, const TfliteForm& form) {
    const auto model = Make(tiny);
    examples.push_back({name, model, AsTflite(*model, form)});
  };
  const auto graph = [&](const std::string& name, const TinyModel& tiny, const GraphForm& form) {
    const auto model = Make(tiny);
    examples.push_back({name, model, AsGraph(*model, form)});
  };
  const TinyModel streaming, normalised{6, false, false, true}, rows{6, true, true, false},
      whole{6, true, false, false};
  TfliteForm legacy, apart;
  legacy.names = apart.names = Names::kLegacy;
  apart.adds_bias_apart = apart.has_relu_apart = apart.swaps_operands = apart.has_bare_metadata = true;
  apart.forget_bias = 1;
  TfliteForm misaligned, joint;
  misaligned.is_misaligned = true;
  joint.names = Names::kOursJoint;
  tflite("ours", streaming, {});
  tflite("ours_misaligned", streaming, misaligned);
  tflite("ours_int8", rows, {});
  tflite("ours_joint", streaming, joint);
  tflite("ours_joint_int8", whole, joint);
  tflite("ours_7", {7, false, false, true}, {});
  tflite("ours_7_int8", {7, true, true, false}, {});
  tflite("legacy", streaming, legacy);
  tflite("legacy_int8", whole, legacy);
  tflite("legacy_rows", rows, legacy);
  tflite("legacy_apart", normalised, apart);
  tflite("legacy_apart_int8", {6, true, false, true}, apart);
  graph("graph", streaming, {});
  graph("graph_lists", normalised, {0, true, true, false, true});
  graph("graph_forget_bias", streaming, {1, false, true, false, true});
  graph("mapped", normalised, {0, false, true, true, true});
  graph("mapped_without_lengths", streaming, {0, false, true, true, false});
  return examples;
}

std::string LoadAndLook(const std::string& bytes) {
  static const int file = memfd_create("model", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  CHECK(ftruncate(file, static_cast<off_t>(bytes.size())) == 0);
  CHECK(pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  try {
    Look(*ReadModelFile(path));
    return "";
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message.find("'" + path + "' ") == 0);
    CHECK(message.back() == '.' && message.find('\n') == std::string::npos);
    return message;
  }
}

}  // namespace deepspeech::tests
