#include "engine/graph_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "engine/protobuf.h"

namespace deepspeech {
namespace {

constexpr int64_t kMaxVector = 4 * 65536, kMaxSide = 1 << 20;

constexpr std::string_view kPackage = "memmapped_package://";

// Numbers of fields and types in TensorFlow's graph.proto, node_def.proto, attr_value.proto, tensor.proto and
// tensor_shape.proto, and in memmapped_file_system.proto.
namespace field {
enum Graph { kNode = 1, kLibrary = 2, kVersion = 3, kVersions = 4, kDebugInfo = 5 };
enum Node { kName = 1, kOp = 2, kInput = 3, kAttribute = 5 };
enum MapEntry { kKey = 1, kValue = 2 };
enum Attribute { kString = 2, kFloat = 4, kBool = 5, kShape = 7, kTensor = 8 };
enum ShapeFields { kAxis = 2 };
enum Axis { kSize = 1 };
enum Tensor { kType = 1, kTensorShape = 2, kContent = 4, kFloats = 5, kInts = 7, kStrings = 8 };
enum Directory { kElement = 1 };
enum Element { kOffset = 1, kElementName = 2, kLength = 3 };
}  // namespace field

enum DataType { kFloat32 = 1, kInt32 = 3, kString = 7 };

template <class Visit>
void ForEach(const ModelSource& source, Bytes message, Visit visit) {
  Fields fields(message);
  while (fields.Next()) visit(fields);
  if (fields.is_damaged()) source.Damaged("its graph is cut short or garbled");
}

// A package as its directory describes it.
struct Package {
  struct Region {
    uint64_t offset = 0;
    uint64_t length = 0;  // 0 where it was made before TensorFlow wrote lengths: up to the next region
    std::string_view name;
  };
  std::vector<Region> regions;
  uint64_t end = 0;  // of the regions, where the directory begins
};

// The last eight bytes say where the directory begins. Returns none if there is no directory.
std::optional<Package> ReadDirectory(Bytes bytes) {
  if (bytes.size() < 8) return {};
  Package package;
  for (size_t i = 1; i <= 8; ++i) package.end = package.end << 8 | bytes[bytes.size() - i];
  if (package.end >= bytes.size() - 8) return {};
  Fields directory(bytes.substr(package.end, bytes.size() - 8 - package.end));
  while (directory.Next()) {
    if (directory.number != field::kElement || package.regions.size() >= kMaxParts) return {};
    Package::Region region;
    Fields element(directory.bytes);
    while (element.Next()) {
      if (element.number == field::kOffset) region.offset = element.value;
      if (element.number == field::kLength) region.length = element.value;
      if (element.number == field::kElementName) region.name = Text(element.bytes);
    }
    if (element.is_damaged() || region.name.substr(0, kPackage.size()) != kPackage) return {};
    package.regions.push_back(region);
  }
  return directory.is_damaged() || package.regions.empty() ? std::optional<Package>() : package;
}

// Finds the bytes of each region.
std::map<std::string_view, Bytes> ReadRegions(const ModelSource& source, Package package) {
  std::sort(package.regions.begin(), package.regions.end(),
            [](const auto& a, const auto& b) { return a.offset < b.offset; });
  std::map<std::string_view, Bytes> result;
  uint64_t next = package.end;
  for (auto region = package.regions.rbegin(); region != package.regions.rend(); ++region) {
    if (region->offset > next || region->length > next - region->offset) {
      source.Damaged("its regions overlap or lie outside the file");
    }
    const uint64_t length = region->length == 0 ? next - region->offset : region->length;
    result.emplace(region->name, source.bytes.substr(region->offset, length));
    next = region->offset;
  }
  return result;
}

// A constant of a graph.
struct Tensor {
  uint64_t type = 0;
  Shape shape;
  Bytes content;              // all values; or
  std::vector<float> floats;  // as listed, the last one standing for those that follow
  std::vector<int> ints;
  std::vector<Bytes> strings;
};

class Reader {
 public:
  // `regions` are what constants outside the graph may point to.
  Reader(const ModelSource& source, Bytes graph, std::map<std::string_view, Bytes> regions)
      : source_(source), regions_(std::move(regions)), memory_(std::make_shared<ModelMemory>()) {
    ForEach(source_, graph, [this](const Fields& part) {
      if (part.number == field::kVersion) version_ = part.value;
      if (part.number != field::kNode) return;
      if (nodes_.size() >= kMaxParts) source_.Damaged("it claims more nodes than any model has");
      Node node;
      ForEach(source_, part.bytes, [&node](const Fields& member) {
        if (member.number == field::kName) node.name = Text(member.bytes);
        if (member.number == field::kOp) node.op = Text(member.bytes);
      });
      node.body = part.bytes;
      nodes_.emplace(node.name, node);
    });
  }

  std::unique_ptr<ModelFile> Read() {
    auto model = std::make_unique<ModelFile>();
    if (Find("metadata_version") == nullptr && version_ != 0) RefuseOld();
    const auto integer = [this](const std::string& name) { return Integer(name); };
    const auto text = [this](const std::string& name) { return String(name); };
    ReadMetadata(source_, {integer, text}, model.get());
    if (model->version != 6) source_.Refuse("is a graph of version 7, which is read as .tflite only; export that");
    ReadInputShapes(source_, PlaceholderShape("input_node"), PlaceholderShape("input_samples"), model.get());
    model->relu_clip = ReadClip();
    ReadDense("layer_1", &model->layer_1);
    ReadDense("layer_2", &model->layer_2);
    ReadDense("layer_3", &model->layer_3);
    ReadLstm(&model->forward);
    ReadDense("layer_5", &model->layer_5);
    ReadDense("layer_6", &model->layer_6);
    model->memory = memory_;
    return model;
  }

 private:
  struct Node {
    std::string_view name, op;
    Bytes body;
  };

  [[noreturn]] void RefuseOld() const {
    source_.Refuse("is of graph version " + std::to_string(version_) +
                   " (DeepSpeech 0.6 or before), and versions 6 and 7 are read; export it again from its checkpoint");
  }

  const Node* Find(std::string_view name) const {
    const auto found = nodes_.find(name);
    return found == nodes_.end() ? nullptr : &found->second;
  }

  const Node& Named(std::string_view name) const {
    const Node* node = Find(name);
    if (node == nullptr) {
      source_.Refuse("is no network of DeepSpeech: it has no node " + QuotedName(name) +
                     "; give an export of DeepSpeech 0.7 to 0.9.3");
    }
    return *node;
  }

  // Returns the names of the nodes whose outputs a node reads.
  std::vector<std::string_view> Inputs(const Node& node) const {
    std::vector<std::string_view> inputs;
    ForEach(source_, node.body, [&](const Fields& member) {
      if (member.number != field::kInput) return;
      const std::string_view input = Text(member.bytes);
      inputs.push_back(input.substr(0, input.find(':')));
    });
    return inputs;
  }

  std::string_view Input(const Node& node, size_t i) const {
    const std::vector<std::string_view> inputs = Inputs(node);
    if (i >= inputs.size()) source_.Damaged("its node " + QuotedName(node.name) + " lacks an input");
    return inputs[i];
  }

  // Returns an attribute's value, a message of one field; none if it is not there.
  std::optional<Fields> Attribute(const Node& node, std::string_view name) const {
    std::optional<Fields> result;
    ForEach(source_, node.body, [&](const Fields& member) {
      if (member.number != field::kAttribute) return;
      std::string_view key;
      Bytes value;
      ForEach(source_, member.bytes, [&](const Fields& entry) {
        if (entry.number == field::kKey) key = Text(entry.bytes);
        if (entry.number == field::kValue) value = entry.bytes;
      });
      Fields fields(value);
      if (key == name && fields.Next()) result = fields;
    });
    return result;
  }

  float FloatAttribute(const Node& node, std::string_view name, float fallback) const {
    const std::optional<Fields> attribute = Attribute(node, name);
    if (!attribute) return fallback;
    if (attribute->number != field::kFloat || attribute->bytes.size() != 4) {
      source_.Damaged("attribute " + QuotedName(name) + " in it is no number");
    }
    float value;
    std::memcpy(&value, attribute->bytes.data(), 4);
    return value;
  }

  Shape ReadShape(Bytes message) const {
    Shape shape;
    ForEach(source_, message, [&](const Fields& axis) {
      if (axis.number != field::kAxis) return;
      if (shape.size() >= 8) source_.Damaged("a shape in it has too many axes");
      int64_t size = 0;
      ForEach(source_, axis.bytes, [&](const Fields& member) {
        if (member.number == field::kSize) size = static_cast<int64_t>(member.value);
      });
      shape.push_back(size);
    });
    return shape;
  }

  Shape PlaceholderShape(std::string_view name) const {
    const std::optional<Fields> shape = Attribute(Named(name), "shape");
    return shape && shape->number == field::kShape ? ReadShape(shape->bytes) : Shape();
  }

  // Reads a constant, in the graph or in a region beside it, with whatever hands it on between.
  Tensor Constant(std::string_view name) const {
    const Node* node = &Named(name);
    for (int n = 0; node->op == "Identity"; ++n) {
      if (n == 32) source_.Damaged("its nodes go in a circle");
      node = &Named(Input(*node, 0));
    }
    if (node->op == "ImmutableConst") return RegionConstant(*node);
    const std::optional<Fields> value = Attribute(*node, "value");
    if (node->op != "Const" || !value || value->number != field::kTensor) {
      source_.Damaged("its node " + QuotedName(name) + " is no constant");
    }
    Tensor tensor;
    ForEach(source_, value->bytes, [&](const Fields& member) {
      if (member.number == field::kType) tensor.type = member.value;
      if (member.number == field::kTensorShape) tensor.shape = ReadShape(member.bytes);
      if (member.number == field::kContent) tensor.content = member.bytes;
      if (member.number == field::kFloats) AppendFloats(member.bytes, &tensor.floats);
      if (member.number == field::kInts) AppendInts(member, &tensor.ints);
      if (member.number == field::kStrings) tensor.strings.push_back(member.bytes);
    });
    return tensor;
  }

  Tensor RegionConstant(const Node& node) const {
    const std::optional<Fields> type = Attribute(node, "dtype"), shape = Attribute(node, "shape"),
                                name = Attribute(node, "memory_region_name");
    if (!type || !shape || shape->number != field::kShape || !name || name->number != field::kString) {
      source_.Damaged("its node " + QuotedName(node.name) + " is no constant");
    }
    const auto region = regions_.find(Text(name->bytes));
    if (region == regions_.end()) {
      source_.Damaged("it has no region " + QuotedName(Text(name->bytes)) + ", where a constant should be");
    }
    Tensor tensor;
    tensor.type = type->value;
    tensor.shape = ReadShape(shape->bytes);
    // what lies between two regions may count to the first
    uint64_t size = 4;
    for (const int64_t axis : tensor.shape) {
      if (axis < 0 || axis > kMaxSide || size > source_.bytes.size()) WrongSize(node.name);
      size *= static_cast<uint64_t>(axis);
    }
    tensor.content = region->second.substr(0, size);
    return tensor;
  }

  // A list of numbers is one field with all of them, or one field for each.
  static void AppendFloats(Bytes bytes, std::vector<float>* floats) {
    const size_t n = bytes.size() / 4;
    floats->resize(floats->size() + n);
    if (n > 0) std::memcpy(floats->data() + floats->size() - n, bytes.data(), n * 4);
  }

  static void AppendInts(const Fields& field, std::vector<int>* ints) {
    if (field.bytes.empty()) ints->push_back(static_cast<int>(field.value));
    for (Bytes rest = field.bytes; !rest.empty();) ints->push_back(static_cast<int>(TakeVarint(&rest).value_or(0)));
  }

  std::optional<int> Integer(const std::string& name) const {
    if (Find(name) == nullptr) return {};
    const Tensor tensor = Constant(name);
    if (tensor.type != kInt32) return {};
    if (tensor.ints.size() == 1) return tensor.ints[0];
    if (tensor.content.size() != 4) return {};
    int32_t value;
    std::memcpy(&value, tensor.content.data(), 4);
    return value;
  }

  std::optional<std::string> String(const std::string& name) const {
    if (Find(name) == nullptr) return {};
    const Tensor tensor = Constant(name);
    if (tensor.type != kString || tensor.strings.size() != 1) return {};
    return std::string(tensor.strings[0].begin(), tensor.strings[0].end());
  }

  [[noreturn]] void WrongSize(std::string_view name) const {
    source_.Damaged("its constant " + QuotedName(name) + " has not as many values as its shape says");
  }

  // A vector, or a number as a vector of one.
  std::vector<float> Vector(std::string_view name) const {
    Tensor tensor = Constant(name);
    const int64_t n = tensor.shape.empty() ? 1 : tensor.shape[0];
    if (tensor.type != kFloat32 || tensor.shape.size() > 1 || n < 1 || n > kMaxVector) {
      source_.Damaged("its constant " + QuotedName(name) + " is no vector of float32");
    }
    const auto size = static_cast<size_t>(n);
    std::vector<float> values = std::move(tensor.floats);
    if (values.empty()) AppendFloats(tensor.content, &values);
    // equal values at the end may have been left out
    if (values.empty() || values.size() > size || (values.size() < size && !tensor.content.empty())) WrongSize(name);
    values.resize(size, values.back());
    CheckFinite(source_, values, name);
    return values;
  }

  // A constant [n_inputs, n_outputs].
  struct Kernel {
    Bytes content;
    size_t n_inputs, n_outputs;
  };
  Kernel FindKernel(std::string_view name) const {
    const Tensor tensor = Constant(name);
    const Shape& shape = tensor.shape;
    if (tensor.type != kFloat32 || shape.size() != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > kMaxSide ||
        shape[1] > kMaxSide) {
      source_.Damaged("its constant " + QuotedName(name) + " is no matrix of float32");
    }
    if (tensor.content.size() != static_cast<uint64_t>(shape[0]) * static_cast<uint64_t>(shape[1]) * 4) WrongSize(name);
    return {tensor.content, static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1])};
  }

  // Copies the rows [begin, end) of a kernel as the columns of a matrix, by squares that stay in the cache.
  WeightMatrix Transpose(const Kernel& kernel, size_t begin, size_t end) {
    constexpr size_t kSquare = 32;
    const size_t n_inputs = end - begin, n_outputs = kernel.n_outputs;
    memory_->floats.emplace_back(new float[n_inputs * n_outputs]);
    float* to = memory_->floats.back().get();
    const uint8_t* from = kernel.content.data() + begin * n_outputs * 4;
    for (size_t row = 0; row < n_inputs; row += kSquare) {
      for (size_t column = 0; column < n_outputs; column += kSquare) {
        const size_t row_end = std::min(row + kSquare, n_inputs), column_end = std::min(column + kSquare, n_outputs);
        for (size_t j = column; j < column_end; ++j) {
          for (size_t i = row; i < row_end; ++i) std::memcpy(to + j * n_inputs + i, from + (i * n_outputs + j) * 4, 4);
        }
      }
    }
    WeightMatrix matrix;
    matrix.n_outputs = n_outputs;
    matrix.n_inputs = matrix.stride = n_inputs;
    matrix.floats = to;
    return matrix;
  }

  void ReadDense(const std::string& name, DenseLayer* layer) {
    const Kernel kernel = FindKernel(name + "/weights");
    layer->weights = Transpose(kernel, 0, kernel.n_inputs);
    layer->bias = Vector(name + "/bias");
    if (Find(name + "/LayerNorm/gamma") == nullptr) return;
    layer->gamma = Vector(name + "/LayerNorm/gamma");
    layer->beta = Vector(name + "/LayerNorm/beta");
  }

  // BlockLSTM is an LSTM over all steps: inputs 4 and 8 are kernel and bias; gates in the order i, c (candidate), f, o.
  void ReadLstm(LstmLayer* lstm) {
    const Node* cell = nullptr;
    for (const auto& [name, node] : nodes_) {
      if (node.op != "BlockLSTM") continue;
      if (cell != nullptr) source_.Refuse("is no network of DeepSpeech: it has several LSTMs");
      cell = &node;
    }
    if (cell == nullptr) {
      source_.Refuse(
          "has no LSTM of the kind that DeepSpeech exports (BlockLSTM); export it again from its checkpoint");
    }
    const std::optional<Fields> peephole = Attribute(*cell, "use_peephole");
    // the defaults of the operation are others than DeepSpeech's settings
    if ((peephole && peephole->value != 0) || FloatAttribute(*cell, "cell_clip", 3) > 0) {
      source_.Refuse("is no network of DeepSpeech: its LSTM has peepholes or clips its cells");
    }
    const Kernel kernel = FindKernel(Input(*cell, 4));
    const size_t n_hidden = kernel.n_outputs / 4;
    if (n_hidden == 0 || kernel.n_outputs % 4 != 0 || kernel.n_inputs <= n_hidden) {
      source_.Damaged("the kernel of its LSTM is " + std::to_string(kernel.n_inputs) + " by " +
                      std::to_string(kernel.n_outputs) + ", which is no LSTM");
    }
    lstm->input = Transpose(kernel, 0, kernel.n_inputs - n_hidden);
    lstm->recurrent = Transpose(kernel, kernel.n_inputs - n_hidden, kernel.n_inputs);
    lstm->bias = Vector(Input(*cell, 8));
    if (lstm->bias.size() != kernel.n_outputs) source_.Damaged("the bias of its LSTM is not as long as its kernel");
    const float forget_bias = FloatAttribute(*cell, "forget_bias", 1);
    for (size_t i = 2 * n_hidden; i < 3 * n_hidden; ++i) lstm->bias[i] += forget_bias;
    CheckFinite(source_, lstm->bias, "forget_bias");
  }

  // The layers end with the minimum of their ReLU and a constant.
  float ReadClip() const {
    std::optional<float> clip;
    int n_found = 0;
    for (const auto& [name, node] : nodes_) {
      if (node.op != "Minimum") continue;
      if (++n_found > 16) source_.Refuse("is no network of DeepSpeech: it clips too many layers");
      const std::vector<float> value = Vector(Input(node, 1));
      if (value.size() != 1 || clip.value_or(value[0]) != value[0]) {
        source_.Refuse("is no network of DeepSpeech: its layers are clipped at different values");
      }
      clip = value[0];
    }
    if (!clip) source_.Refuse("is no network of DeepSpeech: its layers do not end with a clipped ReLU");
    return *clip;
  }

  const ModelSource& source_;
  const std::map<std::string_view, Bytes> regions_;
  std::map<std::string_view, Node> nodes_;
  uint64_t version_ = 0;  // of graphs before metadata_version
  std::shared_ptr<ModelMemory> memory_;
};

}  // namespace

bool IsGraph(Bytes bytes) {
  size_t n_nodes = 0;
  Fields graph(bytes);
  while (graph.Next()) {
    if (graph.number > field::kDebugInfo) return false;
    if (graph.number != field::kNode) continue;
    Fields node(graph.bytes);
    if (!node.Next() || node.number != field::kName) return false;
    ++n_nodes;
  }
  // one that is cut short is still one
  return n_nodes > 0;
}

bool IsMappedGraph(Bytes bytes) { return ReadDirectory(bytes).has_value(); }

std::unique_ptr<ModelFile> ReadGraph(const ModelSource& source) { return Reader(source, source.bytes, {}).Read(); }

std::unique_ptr<ModelFile> ReadMappedGraph(const ModelSource& source) {
  const std::optional<Package> package = ReadDirectory(source.bytes);
  if (!package) source.Damaged("it has no directory");
  const std::map<std::string_view, Bytes> regions = ReadRegions(source, *package);
  const auto graph = regions.find("memmapped_package://.");
  if (graph == regions.end()) source.Damaged("it has no graph");
  return Reader(source, graph->second, regions).Read();
}

}  // namespace deepspeech
