#include "engine/tflite_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "engine/flatbuffer.h"

namespace deepspeech {
namespace {

// Far above what any export has; keeps the work that a hostile file makes in bounds.
constexpr size_t kMaxOperands = 10 * kMaxParts, kMaxAxes = 8;

// Fields, types and operators of TensorFlow Lite's schema.fbs, version 3.
namespace field {
enum Model { kOperatorCodes = 1, kSubgraphs = 2, kBuffers = 4 };
enum Subgraph { kTensors = 0, kInputs = 1, kOutputs = 2, kOperators = 3 };
enum Tensor { kShape = 0, kType = 1, kBuffer = 2, kName = 3, kQuantization = 4 };
enum Quantization { kScale = 2, kZeroPoint = 3, kDimension = 6 };
enum OperatorCode { kDeprecatedCode = 0, kCode = 3 };
enum Operator { kCodeIndex = 0, kOperands = 1, kResults = 2, kOptions = 4 };
}  // namespace field

enum TensorType { kFloat32 = 0, kInt32 = 2, kString = 5, kInt8 = 9 };

enum OperatorKind {
  kAdd = 0,
  kConcatenation = 2,
  kFullyConnected = 9,
  kLogistic = 14,
  kMul = 18,
  kRelu = 19,
  kReshape = 22,
  kSoftmax = 25,
  kTanh = 28,
  kTranspose = 39,
  kSub = 41,
  kSqueeze = 43,
  kStridedSlice = 45,
  kSplit = 49,
  kMinimum = 57,
  kSlice = 65,
  kExpandDims = 70,
  kRsqrt = 76,
  kPack = 83,
  kUnpack = 88,
};

constexpr int8_t kFusedRelu = 1;

struct Tensor {
  std::string_view name;
  int type;
  std::vector<int32_t> shape;
  Bytes data;  // of a constant
  std::optional<Table> quantization;

  uint64_t n_elements() const {
    uint64_t product = 1;
    for (const int32_t axis : shape) {
      // beyond the size of any file, and it cannot overflow
      product = axis < 0 ? UINT32_MAX : std::min<uint64_t>(product, UINT32_MAX) * static_cast<uint64_t>(axis);
    }
    return product;
  }
};

// The constants of a model, as matrices and vectors.
class ConstantReader {
 public:
  explicit ConstantReader(const ModelSource& source) : source_(source), memory_(std::make_shared<ModelMemory>()) {
    memory_->file = source.memory;
  }

  std::shared_ptr<const void> memory() const { return memory_; }

  std::vector<float> Floats(const Tensor& tensor) {
    const std::string name = "its tensor " + QuotedName(tensor.name);
    if (tensor.type != kFloat32) source_.Refuse("cannot be used: " + name + " is not of float32");
    if (tensor.data.empty() || tensor.data.size() != tensor.n_elements() * 4) {
      source_.Damaged(name + " has not as many values as its shape says");
    }
    std::vector<float> values(tensor.data.size() / 4);
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    CheckFinite(source_, values, tensor.name);
    return values;
  }

  std::optional<int> Integer(const std::optional<Tensor>& tensor) const {
    if (!tensor || tensor->type != kInt32 || tensor->data.size() != 4) return {};
    int32_t value;
    std::memcpy(&value, tensor->data.data(), 4);
    return value;
  }

  // A tensor of strings begins with their count and the offset of each and of the end.
  std::optional<std::string> Text(const std::optional<Tensor>& tensor) const {
    uint32_t header[3];
    if (!tensor || tensor->type != kString || tensor->data.size() < sizeof(header)) return {};
    std::memcpy(header, tensor->data.data(), sizeof(header));
    if (header[0] != 1 || header[1] < sizeof(header) || header[2] < header[1] || header[2] > tensor->data.size()) {
      source_.Damaged("the text " + QuotedName(tensor->name) + " in it is not where it should be");
    }
    const Bytes text = tensor->data.substr(header[1], header[2] - header[1]);
    return std::string(text.begin(), text.end());
  }

  WeightMatrix Matrix(const Tensor& tensor) {
    const std::string name = "its tensor " + QuotedName(tensor.name);
    if (tensor.type != kFloat32 && tensor.type != kInt8) {
      source_.Refuse("cannot be used: " + name + " is neither of float32 nor of int8");
    }
    const uint64_t element_size = tensor.type == kInt8 ? 1 : 4;
    if (tensor.shape.size() != 2 || tensor.shape[0] < 1 || tensor.shape[1] < 1 ||
        tensor.data.size() != tensor.n_elements() * element_size) {
      source_.Damaged(name + " is no matrix that has as many values as its shape says");
    }
    WeightMatrix matrix;
    matrix.n_outputs = static_cast<size_t>(tensor.shape[0]);
    matrix.n_inputs = matrix.stride = static_cast<size_t>(tensor.shape[1]);
    if (tensor.type == kInt8) {
      matrix.ints = reinterpret_cast<const int8_t*>(tensor.data.data());
      matrix.scales = Scales(tensor);
    } else {
      matrix.floats = Aligned(tensor.data);
    }
    return matrix;
  }

 private:
  // Returns the scale of each row.
  std::vector<float> Scales(const Tensor& tensor) {
    const std::string name = "its tensor " + QuotedName(tensor.name);
    const auto n_rows = static_cast<size_t>(tensor.shape[0]);
    if (!tensor.quantization) source_.Damaged(name + " is of int8 without a scale");
    std::vector<float> scales = tensor.quantization->Values<float>(field::kScale, n_rows);
    const auto zero_points = tensor.quantization->Values<int64_t>(field::kZeroPoint, n_rows);
    const bool is_symmetric =
        std::all_of(zero_points.begin(), zero_points.end(), [](int64_t zero) { return zero == 0; });
    if (!is_symmetric || (scales.size() > 1 && tensor.quantization->Get<int32_t>(field::kDimension, 0) != 0)) {
      source_.Refuse("cannot be used: " + name + " is quantised neither as a whole nor by rows, symmetrically");
    }
    if (scales.size() == 1) scales.resize(n_rows, scales[0]);
    if (scales.size() != n_rows) source_.Damaged(name + " has not a scale for every row");
    CheckFinite(source_, scales, tensor.name);
    return scales;
  }

  const float* Aligned(Bytes data) {
    if (reinterpret_cast<uintptr_t>(data.data()) % alignof(float) == 0) {
      return reinterpret_cast<const float*>(data.data());
    }
    memory_->floats.emplace_back(new float[data.size() / 4]);
    std::memcpy(memory_->floats.back().get(), data.data(), data.size());
    return memory_->floats.back().get();
  }

  const ModelSource& source_;
  std::shared_ptr<ModelMemory> memory_;
};

class Reader {
 public:
  explicit Reader(const ModelSource& source)
      : source_(source), root_(Table::Root(&source)), buffers_(root_.Tables(field::kBuffers)), constants_(source) {
    const std::vector<Table> graphs = root_.Tables(field::kSubgraphs);
    if (graphs.empty()) source.Damaged("it has no graph");
    for (const Table& graph : graphs) {
      const std::vector<Table> tensors = graph.Tables(field::kTensors);
      if (tensors.size() > kMaxParts - tensors_.size()) source.Damaged("it claims more tensors than any model has");
      if (&graph == &graphs.front()) n_main_ = tensors.size();
      for (const Table& tensor : tensors) AddTensor(tensor);
    }
    ReadOperators(graphs.front());
  }

  std::unique_ptr<ModelFile> Read() {
    auto model = std::make_unique<ModelFile>();
    const auto integer = [this](const std::string& name) { return constants_.Integer(Metadata(name)); };
    const auto text = [this](const std::string& name) { return constants_.Text(Metadata(name)); };
    ReadMetadata(source_, {integer, text}, model.get());
    ReadShapes(model.get());
    if (Constant("layer_1/weights") && Constant("relu_clip")) {
      ReadNamed(model.get());
    } else {
      ReadLegacy(model.get());
    }
    model->memory = constants_.memory();
    return model;
  }

 private:
  struct Operator {
    int kind;
    Table table;
    std::vector<int32_t> operands;  // -1: left out
    int8_t activation;
  };

  [[noreturn]] void Unknown(const std::string& what) const {
    source_.Refuse("is no network of DeepSpeech: " + what +
                   "; give an export of DeepSpeech 0.7 or later or of Coqui STT 1.x");
  }

  void AddTensor(const Table& tensor) {
    const std::string_view name = tensor.Text(field::kName);
    const int index = static_cast<int>(tensors_.size());
    tensors_.push_back(tensor);
    // the body of a loop has tensors with the names of the main graph's: those with values count
    const auto [at, is_new] = names_.emplace(name, index);
    if (!is_new && At(at->second).data.empty() && !At(index).data.empty()) at->second = index;
  }

  void ReadOperators(const Table& graph) {
    std::vector<int> kinds;
    for (const Table& code : root_.Tables(field::kOperatorCodes)) {
      // codes below 127 stand in the older field, which alone old files have
      kinds.push_back(std::max<int>(code.Get<int8_t>(field::kDeprecatedCode, 0), code.Get<int32_t>(field::kCode, 0)));
    }
    producers_.assign(n_main_, {-1, 0});
    size_t n_operands = 0;
    for (const Table& table : graph.Tables(field::kOperators)) {
      const uint32_t code = table.Get<uint32_t>(field::kCodeIndex, 0);
      if (code >= kinds.size()) source_.Damaged("an operator of it is of no kind");
      const auto results = table.Values<int32_t>(field::kResults, kMaxParts);
      auto operands = table.Values<int32_t>(field::kOperands, kMaxParts);
      n_operands += results.size() + operands.size();
      if (n_operands > kMaxOperands) source_.Damaged("it claims more operands than any model has");
      for (size_t i = 0; i < results.size(); ++i) {
        if (Check(results[i])) producers_[static_cast<size_t>(results[i])] = {static_cast<int>(operators_.size()), i};
      }
      std::for_each(operands.begin(), operands.end(), [this](int32_t tensor) { Check(tensor); });
      const std::optional<Table> options = table.Child(field::kOptions);
      const bool is_fused = kinds[code] == kFullyConnected || kinds[code] == kAdd;
      const int8_t activation = options && is_fused ? options->Get<int8_t>(0, 0) : int8_t{0};
      operators_.push_back({kinds[code], table, std::move(operands), activation});
    }
  }

  // Returns whether there is a tensor; throws Error where one is named that is not there.
  bool Check(int32_t tensor) const {
    if (tensor < -1 || tensor >= static_cast<int32_t>(n_main_))
      source_.Damaged("an operator of it has a wrong operand");
    return tensor >= 0;
  }

  Tensor At(int index) const {
    const Table& table = tensors_[static_cast<size_t>(index)];
    const uint32_t buffer = table.Get<uint32_t>(field::kBuffer, 0);
    if (buffer >= buffers_.size()) source_.Damaged("a tensor of it has a wrong buffer");
    return {table.Text(field::kName), table.Get<int8_t>(field::kType, 0),
            table.Values<int32_t>(field::kShape, kMaxAxes), buffers_[buffer].Data(0),
            table.Child(field::kQuantization)};
  }

  std::optional<int> Find(const std::string& name) const {
    const auto found = names_.find(name);
    return found == names_.end() ? std::optional<int>() : found->second;
  }

  std::optional<Tensor> Constant(const std::string& name) const {
    const std::optional<int> index = Find(name);
    if (!index || At(*index).data.empty()) return {};
    return At(*index);
  }

  // The outputs with metadata are constants, or copies of constants.
  std::optional<Tensor> Metadata(const std::string& name) const {
    const std::optional<int> index = Find(name);
    if (!index) return {};
    return At(Origin(*index));
  }

  void ReadShapes(ModelFile* model) {
    const auto shape = [this](const std::string& name) {
      const std::optional<int> index = Find(name);
      const std::vector<int32_t> axes = index ? At(*index).shape : std::vector<int32_t>();
      return Shape(axes.begin(), axes.end());
    };
    if (model->version == 6) {
      ReadInputShapes(source_, shape("input_node"), shape("input_samples"), model);
      return;
    }
    const Shape cepstra = shape("mfccs");
    if (cepstra.size() != 2 || cepstra[1] < 1 || cepstra[1] > 512) {
      source_.Damaged("its output 'mfccs' is not of the shape [frames, cepstra]");
    }
    model->n_input = static_cast<int>(cepstra[1]);
    model->n_steps = 16;  // it has no stream to set them for
  }

  // Our export.
  // --------------------------------------------------------------------------------------------------------------

  Tensor Named(const std::string& name) const {
    const std::optional<Tensor> tensor = Constant(name);
    if (!tensor) source_.Damaged("it has no tensor " + QuotedName(name) + ", which its network needs");
    return *tensor;
  }

  // Without input_node the context follows from what the first layer reads.
  int Context(size_t n_inputs, int n_input) const {
    const size_t n_window = n_inputs / static_cast<size_t>(n_input);
    if (n_window % 2 == 0 || n_window > 2 * 63 + 1 || n_inputs % static_cast<size_t>(n_input) != 0) {
      source_.Damaged("its layer 1 has " + std::to_string(n_inputs) + " inputs, which are no window of vectors of " +
                      std::to_string(n_input) + " cepstra");
    }
    return static_cast<int>(n_window / 2);
  }

  void ReadNamed(ModelFile* model) {
    Named("relu_clip");
    model->relu_clip = Scalar(*Find("relu_clip"));
    const std::pair<const char*, DenseLayer*> layers[] = {{"layer_1", &model->layer_1},
                                                          {"layer_2", &model->layer_2},
                                                          {"layer_3", &model->layer_3},
                                                          {"layer_5", &model->layer_5},
                                                          {"layer_6", &model->layer_6}};
    for (const auto& [name, layer] : layers) {
      const std::string prefix = name;
      layer->weights = constants_.Matrix(Named(prefix + "/weights"));
      layer->bias = constants_.Floats(Named(prefix + "/bias"));
      if (!Constant(prefix + "/LayerNorm/gamma")) continue;
      layer->gamma = constants_.Floats(Named(prefix + "/LayerNorm/gamma"));
      layer->beta = constants_.Floats(Named(prefix + "/LayerNorm/beta"));
    }
    if (model->version == 6) {
      model->forward = NamedLstm("cudnn_lstm/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell");
    } else {
      model->forward = NamedLstm("bidirectional_rnn/fw/basic_lstm_cell");
      model->backward = NamedLstm("bidirectional_rnn/bw/basic_lstm_cell");
      model->n_context = Context(model->layer_1.weights.n_inputs, model->n_input);
    }
  }

  // With --export_compat the kernels for input and state are one.
  LstmLayer NamedLstm(const std::string& cell) {
    if (Constant(cell + "/kernel")) {
      return JointLstm(constants_.Matrix(Named(cell + "/kernel")), constants_.Floats(Named(cell + "/bias")));
    }
    return {constants_.Matrix(Named(cell + "/input_kernel")), constants_.Matrix(Named(cell + "/recurrent_kernel")),
            constants_.Floats(Named(cell + "/bias")), false};
  }

  // Takes apart a kernel [4 n_hidden, n_input + n_hidden].
  LstmLayer JointLstm(const WeightMatrix& kernel, const std::vector<float>& bias) const {
    const size_t n_hidden = kernel.n_outputs / 4;
    if (kernel.n_outputs % 4 != 0 || kernel.n_inputs <= n_hidden || bias.size() != kernel.n_outputs) {
      source_.Damaged("the kernel of its LSTM is " + std::to_string(kernel.n_outputs) + " by " +
                      std::to_string(kernel.n_inputs) + " with " + std::to_string(bias.size()) +
                      " biases, which do not fit");
    }
    LstmLayer lstm = {kernel, kernel, bias, kernel.ints != nullptr};
    lstm.recurrent.n_inputs = n_hidden;
    lstm.input.n_inputs -= n_hidden;
    if (kernel.ints != nullptr) {
      lstm.recurrent.ints += lstm.input.n_inputs;
    } else {
      lstm.recurrent.floats += lstm.input.n_inputs;
    }
    return lstm;
  }

  // Files of the predecessors: from the output back to the input.
  // --------------------------------------------------------------------------------------------------------------

  const Operator* Producer(int tensor) const {
    const auto is_main = tensor >= 0 && static_cast<size_t>(tensor) < n_main_;
    const int index = is_main ? producers_[static_cast<size_t>(tensor)].first : -1;
    return index < 0 ? nullptr : &operators_[static_cast<size_t>(index)];
  }

  const Operator* Producer(int tensor, int kind) const {
    const Operator* producer = Producer(tensor);
    return producer != nullptr && producer->kind == kind ? producer : nullptr;
  }

  static int Operand(const Operator& op, size_t i) { return i < op.operands.size() ? op.operands[i] : -1; }

  bool IsConstant(int tensor) const { return tensor >= 0 && !At(tensor).data.empty(); }

  // Returns the tensor that another is a part or a view of.
  int Origin(int tensor) const {
    for (int n = 0; n < 32; ++n) {
      const Operator* op = Producer(tensor);
      if (op == nullptr) return tensor;
      switch (op->kind) {
        case kReshape:
        case kTranspose:
        case kSqueeze:
        case kStridedSlice:
        case kSlice:
        case kExpandDims:
        case kUnpack:
          tensor = Operand(*op, 0);
          if (tensor >= 0) break;
          source_.Damaged("an operator of it lacks an operand");
        default:
          return tensor;
      }
    }
    source_.Damaged("its operators go in a circle");
  }

  // Of an operator with a constant and a variable operand, in any order.
  struct Operands {
    int constant, variable;
  };
  std::optional<Operands> Split(const Operator& op) const {
    const int first = Operand(op, 0), second = Operand(op, 1);
    if (IsConstant(second)) return Operands{second, first};
    if (IsConstant(first)) return Operands{first, second};
    return {};
  }

  // Returns operands of a sum or product so that the first one comes from `kind`.
  std::optional<std::pair<int, int>> Order(const Operator* op, int kind) const {
    if (op == nullptr) return {};
    const int first = Operand(*op, 0), second = Operand(*op, 1);
    if (Producer(first, kind)) return std::make_pair(first, second);
    if (Producer(second, kind)) return std::make_pair(second, first);
    return {};
  }

  float Scalar(int tensor) {
    const std::vector<float> values = constants_.Floats(At(tensor));
    if (values.size() != 1) Unknown("a constant that should be one number is more");
    return values[0];
  }

  // W x + bias, after which ReLU may come.
  struct Product {
    int weights = -1, bias = -1, input = -1;
    bool is_rectified = false;
  };
  Product FindProduct(int output, const std::string& where) const {
    Product product;
    const Operator* op = Producer(Origin(output));
    if (op != nullptr && op->kind == kRelu) {
      product.is_rectified = true;
      op = Producer(Operand(*op, 0));
    }
    if (op != nullptr && op->kind == kAdd) {
      product.is_rectified |= op->activation == kFusedRelu;
      const std::optional<Operands> operands = Split(*op);
      if (!operands) Unknown(where + " has no bias");
      product.bias = operands->constant;
      op = Producer(Origin(operands->variable), kFullyConnected);
      if (op != nullptr && (Operand(*op, 2) >= 0 || op->activation != 0)) Unknown(where + " has two biases");
    } else if (op != nullptr) {
      product.bias = Operand(*op, 2);
    }
    if (op == nullptr || op->kind != kFullyConnected) Unknown(where + " is not where it should be");
    product.is_rectified |= op->activation == kFusedRelu;
    product.input = Operand(*op, 0);
    product.weights = Operand(*op, 1);
    if (!IsConstant(product.weights)) Unknown(where + " has no constant weights");
    const std::optional<Table> options = op->table.Child(field::kOptions);
    if (options && options->Get<int8_t>(1, 0) != 0) Unknown(where + " has shuffled weights");
    return product;
  }

  std::vector<float> Bias(int tensor, size_t n) {
    return tensor < 0 ? std::vector<float>(n) : constants_.Floats(At(tensor));
  }

  // Reads the layer that ends with `output`; returns its input.
  int ReadDense(const std::string& where, int output, std::optional<float>* clip, DenseLayer* layer) {
    int tensor = Origin(output);
    if (clip != nullptr) {
      tensor = Origin(ReadNormalisation(where, tensor, layer));
      const Operator* minimum = Producer(tensor, kMinimum);
      const std::optional<Operands> operands = minimum ? Split(*minimum) : std::optional<Operands>();
      if (!operands) Unknown(where + " does not end with a clipped ReLU");
      const float found = Scalar(operands->constant);
      if (clip->value_or(found) != found) Unknown("its layers are clipped at different values");
      *clip = found;
      tensor = operands->variable;
    }
    const Product product = FindProduct(tensor, where);
    if (product.is_rectified != (clip != nullptr)) Unknown(where + " has another activation than it should have");
    layer->weights = constants_.Matrix(At(product.weights));
    layer->bias = Bias(product.bias, layer->weights.n_outputs);
    return product.input;
  }

  // Reads a layer normalisation as tf.nn.batch_normalization writes it, x * scale + (beta - mean * scale) with
  // scale = rsqrt(variance) * gamma, if that is what ends with `output`; returns x.
  int ReadNormalisation(const std::string& where, int output, DenseLayer* layer) {
    const Operator* sum = Producer(output, kAdd);
    if (sum == nullptr) return output;
    const auto terms = Order(sum, kSub);
    const Operator* shift = terms ? Producer(terms->first) : nullptr;
    const auto factors = terms ? Order(Producer(terms->second, kMul), kMul) : std::nullopt;
    const Operator* scale = factors ? Producer(factors->first) : nullptr;
    const std::optional<Operands> gamma = scale ? Split(*scale) : std::nullopt;
    if (!gamma || !IsConstant(Operand(*shift, 0)) || !Producer(gamma->variable, kRsqrt)) {
      Unknown(where + " ends with a sum that is no layer normalisation");
    }
    layer->gamma = constants_.Floats(At(gamma->constant));
    layer->beta = constants_.Floats(At(Operand(*shift, 0)));
    return factors->second;
  }

  // One step of the unrolled LSTM: the tensors of c and of what its product reads.
  struct Step {
    Product product;
    int c, previous_c, x, previous_h;
    int forget_bias = -1;
  };

  // Returns the input of a nonlinearity.
  int Inside(int tensor, int kind) const {
    const Operator* op = Producer(tensor, kind);
    if (op == nullptr) Unknown("its LSTM is put together in another way");
    return Operand(*op, 0);
  }

  // Finds h = sigmoid(o) * tanh(c), c = sigmoid(f) * previous c + sigmoid(i) * tanh(g), where [i, g, f, o] are the
  // parts of the product.
  Step FindStep(int h) const {
    const std::string where = "its LSTM is put together in another way";
    const auto output = Order(Producer(h, kMul), kLogistic);
    if (!output) Unknown(where);
    Step step;
    step.c = Origin(Inside(output->second, kTanh));
    const Operator* sum = Producer(step.c, kAdd);
    if (sum == nullptr) Unknown(where);
    auto kept = Order(Producer(Operand(*sum, 0), kMul), kLogistic);
    auto added = Order(Producer(Operand(*sum, 1), kMul), kLogistic);
    if (kept && Producer(kept->second, kTanh)) std::swap(kept, added);
    if (!kept || !added) Unknown(where);
    step.previous_c = Origin(kept->second);
    int forget = Inside(kept->first, kLogistic);
    if (const Operator* biased = Producer(forget, kAdd)) {
      const std::optional<Operands> operands = Split(*biased);
      if (!operands) Unknown(where);
      step.forget_bias = operands->constant;
      forget = operands->variable;
    }
    const int gates[] = {Inside(added->first, kLogistic), Inside(added->second, kTanh), forget,
                         Inside(output->first, kLogistic)};
    const Operator* split = Producer(gates[0], kSplit);
    for (size_t i = 0; i < 4; ++i) {
      if (split == nullptr || Producer(gates[i]) != split || producers_[static_cast<size_t>(gates[i])].second != i) {
        Unknown("the gates of its LSTM are in another order");
      }
    }
    step.product = FindProduct(Operand(*split, 1), "its LSTM");
    const Operator* joint = Producer(Origin(step.product.input), kConcatenation);
    if (joint == nullptr || joint->operands.size() != 2) Unknown(where);
    step.x = Origin(Operand(*joint, 0));
    step.previous_h = Origin(Operand(*joint, 1));
    return step;
  }

  // Reads the LSTM whose outputs of all steps are joined in `output`; returns its input.
  int ReadLstm(int output, size_t n_steps, LstmLayer* lstm) {
    const Operator* joint = Producer(output);
    const bool is_joined = joint != nullptr && (joint->kind == kConcatenation || joint->kind == kPack);
    const std::vector<int32_t> outputs = is_joined ? joint->operands : std::vector<int32_t>{output};
    if (outputs.size() != n_steps) Unknown("its LSTM has another number of steps than 'input_node'");
    std::optional<Step> first;
    int previous_c = Find("previous_state_c").value_or(-1), previous_h = Find("previous_state_h").value_or(-1);
    for (const int32_t part : outputs) {
      const int h = part < 0 ? -1 : Origin(part);
      const Step step = FindStep(h);
      if (step.previous_c != previous_c || step.previous_h != previous_h)
        Unknown("the steps of its LSTM do not follow");
      if (!first) first = step;
      if (step.product.weights != first->product.weights || step.product.bias != first->product.bias ||
          step.product.is_rectified || step.x != first->x || step.forget_bias != first->forget_bias) {
        Unknown("the steps of its LSTM differ");
      }
      previous_c = step.c;
      previous_h = h;
    }
    const WeightMatrix kernel = constants_.Matrix(At(first->product.weights));
    *lstm = JointLstm(kernel, Bias(first->product.bias, kernel.n_outputs));
    if (first->forget_bias >= 0) {
      const float forget_bias = Scalar(first->forget_bias);
      const auto forget = lstm->bias.begin() + static_cast<ptrdiff_t>(kernel.n_outputs / 2);
      std::for_each_n(forget, kernel.n_outputs / 4, [forget_bias](float& bias) { bias += forget_bias; });
    }
    return first->x;
  }

  void ReadLegacy(ModelFile* model) {
    if (model->version != 6) source_.Damaged("it has no tensors 'layer_1/weights' and 'relu_clip'");
    const std::optional<int> logits = Find("logits"), input = Find("input_node");
    const Operator* softmax = logits ? Producer(*logits, kSoftmax) : nullptr;
    if (softmax == nullptr) Unknown("its output 'logits' does not come from a softmax");
    std::optional<float> clip;
    int tensor = ReadDense("its layer 6", Operand(*softmax, 0), nullptr, &model->layer_6);
    tensor = ReadDense("its layer 5", tensor, &clip, &model->layer_5);
    tensor = ReadLstm(Origin(tensor), static_cast<size_t>(model->n_steps), &model->forward);
    tensor = ReadDense("its layer 3", tensor, &clip, &model->layer_3);
    tensor = ReadDense("its layer 2", tensor, &clip, &model->layer_2);
    tensor = ReadDense("its layer 1", tensor, &clip, &model->layer_1);
    if (Origin(tensor) != input) Unknown("its layer 1 does not read 'input_node'");
    model->relu_clip = *clip;
  }

  const ModelSource& source_;
  const Table root_;
  const std::vector<Table> buffers_;
  std::vector<Table> tensors_;  // of the main graph, then of the bodies of its loops
  size_t n_main_ = 0;
  std::map<std::string_view, int> names_;
  std::vector<Operator> operators_;                // of the main graph
  std::vector<std::pair<int, size_t>> producers_;  // of a tensor: operator (-1: none) and which of its results
  ConstantReader constants_;
};

}  // namespace

bool IsTflite(Bytes bytes) { return bytes.size() >= 8 && std::memcmp(bytes.data() + 4, "TFL3", 4) == 0; }

std::unique_ptr<ModelFile> ReadTflite(const ModelSource& source) { return Reader(source).Read(); }

}  // namespace deepspeech
