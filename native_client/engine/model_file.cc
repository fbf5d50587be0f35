#include "engine/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <map>

#include "engine/graph_file.h"
#include "engine/model_source.h"
#include "engine/tflite_file.h"

namespace deepspeech {
namespace {

constexpr size_t kMaxInputs = 65536;  // of a matrix: so many products of int8 fit into 32 bits

// A file in memory, read-only. A file that is cut while it is in use ends the process, as with every mapped file.
class Mapping {
 public:
  Mapping(const std::string& name, const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat about;
    const bool is_there = file >= 0 && fstat(file, &about) == 0;
    std::string failure = is_there ? "" : std::strerror(errno);
    if (is_there && S_ISDIR(about.st_mode)) {
      failure = "it is a folder; give the model file in it";
    } else if (is_there && !S_ISREG(about.st_mode)) {
      failure = "it is no regular file";
    } else if (is_there && about.st_size > 0) {
      size_ = static_cast<size_t>(about.st_size);
      address_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
      if (address_ == MAP_FAILED) failure = std::strerror(errno);
    }
    if (file >= 0) close(file);
    if (!failure.empty()) throw Error(name + " cannot be read as a model: " + failure + ".");
  }
  ~Mapping() {
    if (address_ != nullptr) munmap(address_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  Bytes bytes() const { return {static_cast<const uint8_t*>(address_), size_}; }

 private:
  void* address_ = nullptr;
  size_t size_ = 0;
};

std::string Number(int64_t value) { return std::to_string(value); }

bool IsText(Bytes bytes) {
  const Bytes head = bytes.substr(0, 512);
  return std::all_of(head.begin(), head.end(), [](uint8_t byte) { return byte >= 0x20 || (byte >= 8 && byte <= 13); });
}

// Says what a file is that is no model.
[[noreturn]] void RefuseOtherKind(const ModelSource& source) {
  struct Kind {
    size_t at;
    std::string_view magic;
    const char* sentence;
  };
  const Kind kinds[] = {
      {0, "mmap lm http://k",
       "is a scorer or another language model of KenLM, not an acoustic model; give it as the "
       "scorer"},
      {0, "\\data\\",
       "is a language model as text (ARPA), not an acoustic model; make a scorer of it with "
       "bin/build_scorer.py"},
      {0, "version https://git-lfs",
       "is the pointer that git leaves for a large file, not the file itself; fetch that "
       "with 'git lfs pull'"},
      {8, "WAVE", "is a recording (WAV), not a model; give it as the audio"},
      {0, "fLaC", "is a recording (FLAC), not a model; give it as the audio"},
      {0, "OggS", "is a recording (Ogg), not a model; give it as the audio"},
      {0, "PK\x03\x04", "is a zip archive; unpack it and give the model file in it"},
      {0, "\x1f\x8b", "is compressed (gzip); unpack it and give the model file in it"},
      {0, "\x89HDF", "is a file of HDF5 or Keras, not an export of DeepSpeech; give a .tflite, .pb or .pbmm file"},
      {0, std::string_view("\x08\x01\x12", 3),
       "is a SavedModel of TensorFlow, which is not read; give a .tflite, .pb or "
       ".pbmm file"},
  };
  const std::string_view head(reinterpret_cast<const char*>(source.bytes.data()),
                              std::min<size_t>(source.bytes.size(), 4096));
  for (const Kind& kind : kinds) {
    if (head.size() >= kind.at && head.substr(kind.at, kind.magic.size()) == kind.magic) source.Refuse(kind.sentence);
  }
  const size_t first = head.find_first_not_of(" \t\r\n");
  if (IsText(source.bytes)) {
    source.Refuse(first != head.npos && head[first] == '<'
                      ? "is a web page, not a model: the download went wrong; download the file itself"
                      : "is a text, not a model; give a .tflite, .pb or .pbmm file");
  }
  source.Refuse(
      "is no model that is known here, or is damaged; give a .tflite, .pb or .pbmm file of "
      "DeepSpeech or Coqui STT");
}

// Labels are serialised as a count and, for each, id, length and text, in any order.
std::vector<std::string> ReadLabels(const ModelSource& source, const std::string& bytes) {
  size_t at = 0;
  const auto next = [&]() -> size_t {
    if (bytes.size() - at < 2) source.Damaged("its alphabet ends too early");
    const auto low = static_cast<uint8_t>(bytes[at]), high = static_cast<uint8_t>(bytes[at + 1]);
    at += 2;
    return low + size_t{256} * high;
  };
  const size_t n_labels = next();
  if (n_labels == 0) source.Damaged("its alphabet has no labels");
  std::vector<std::string> labels(n_labels);
  for (size_t i = 0; i < n_labels; ++i) {
    const size_t id = next(), size = next();
    if (size > bytes.size() - at) source.Damaged("its alphabet ends too early");
    if (size == 0) source.Damaged("label " + Number(static_cast<int64_t>(id)) + " of its alphabet is empty");
    if (id >= n_labels || !labels[id].empty()) {
      source.Damaged("its alphabet numbers its labels otherwise than from 0, each once");
    }
    labels[id] = bytes.substr(at, size);
    at += size;
  }
  std::map<std::string_view, size_t> known;
  for (size_t id = 0; id < n_labels; ++id) {
    const auto [same, is_new] = known.emplace(labels[id], id);
    if (is_new) continue;
    source.Damaged("labels " + std::to_string(same->second) + " and " + std::to_string(id) +
                   " of its alphabet are the same");
  }
  return labels;
}

bool AreBytes(const std::vector<std::string>& labels) {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].size() != 1 || static_cast<uint8_t>(labels[i][0]) != i + 1) return false;
  }
  return labels.size() == 255;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const auto lead = static_cast<uint8_t>(text[0]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (size == 0 || size > text.size()) return false;
    uint32_t code = size == 1 ? lead : lead & (0x7F >> size);
    for (size_t i = 1; i < size; ++i) {
      if ((text[i] & 0xC0) != 0x80) return false;
      code = code << 6 | (text[i] & 0x3F);
    }
    const bool is_surrogate = code >= 0xD800 && code < 0xE000;
    if (is_surrogate || code > 0x10FFFF || (size == 3 && code < 0x800) || (size == 4 && code < 0x10000)) return false;
    text.remove_prefix(size);
  }
  return true;
}

// Looks whether the layers fit together.
class NetworkCheck {
 public:
  NetworkCheck(const ModelSource& source, const ModelFile& model) : source_(source), model_(model) {}

  void Run() const {
    const auto n_window = static_cast<size_t>(2 * model_.n_context + 1) * static_cast<size_t>(model_.n_input);
    size_t n = Dense("layer 1", model_.layer_1, n_window);
    n = Dense("layer 2", model_.layer_2, n);
    n = Dense("layer 3", model_.layer_3, n);
    const size_t n_forward = Lstm("LSTM", model_.forward, n);
    n = n_forward + (model_.backward ? Lstm("backward LSTM", *model_.backward, n) : 0);
    n = Dense("layer 5", model_.layer_5, n);
    Dense("layer 6", model_.layer_6, n);
    const size_t n_classes = model_.layer_6.weights.n_outputs;
    if (n_classes != model_.labels.size() + 1) {
      source_.Damaged("its network tells " + std::to_string(n_classes) + " classes apart, and its alphabet has " +
                      std::to_string(model_.labels.size()) + " labels, which should be one less");
    }
    if (!(model_.relu_clip > 0) || !std::isfinite(model_.relu_clip)) {
      source_.Damaged("its layers are clipped at a value that is not positive");
    }
  }

 private:
  void Expect(const std::string& name, const std::string& what, size_t found, size_t expected) const {
    if (found == expected) return;
    source_.Damaged("the " + what + " its " + name + " are " + std::to_string(found) + ", and " +
                    std::to_string(expected) + " fit");
  }

  size_t Dense(const std::string& name, const DenseLayer& layer, size_t n_inputs) const {
    const size_t n = layer.weights.n_outputs;
    Expect(name, "inputs of", layer.weights.n_inputs, n_inputs);
    Expect(name, "biases of", layer.bias.size(), n);
    if (n == 0 || n > kMaxInputs) source_.Damaged("its " + name + " has " + std::to_string(n) + " units");
    if (layer.gamma.empty() && layer.beta.empty()) return n;
    Expect(name, "scales in the layer normalisation of", layer.gamma.size(), n);
    Expect(name, "shifts in the layer normalisation of", layer.beta.size(), n);
    return n;
  }

  size_t Lstm(const std::string& name, const LstmLayer& lstm, size_t n_inputs) const {
    const size_t n = lstm.recurrent.n_inputs;
    if (n == 0 || 2 * n > kMaxInputs) source_.Damaged("its " + name + " has " + std::to_string(n) + " units");
    Expect(name, "inputs of", lstm.input.n_inputs, n_inputs);
    Expect(name, "gates for the input of", lstm.input.n_outputs, 4 * n);
    Expect(name, "gates for the state of", lstm.recurrent.n_outputs, 4 * n);
    Expect(name, "biases of", lstm.bias.size(), 4 * n);
    return n;
  }

  const ModelSource& source_;
  const ModelFile& model_;
};

std::shared_ptr<const ModelFile> ReadModel(const ModelSource& source) {
  if (source.bytes.empty()) source.Refuse("is empty; copy or download it again");
  std::unique_ptr<ModelFile> model;
  if (IsTflite(source.bytes)) {
    model = ReadTflite(source);
  } else if (IsMappedGraph(source.bytes)) {
    model = ReadMappedGraph(source);
  } else if (IsGraph(source.bytes)) {
    model = ReadGraph(source);
  } else {
    RefuseOtherKind(source);
  }
  NetworkCheck(source, *model).Run();
  return model;
}

}  // namespace

void CheckFinite(const ModelSource& source, const std::vector<float>& values, std::string_view name) {
  const auto is_finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(values.begin(), values.end(), is_finite)) {
    source.Damaged("values of " + QuotedName(name) + " in it are no numbers");
  }
}

void ReadMetadata(const ModelSource& source, const Constants& constants, ModelFile* model) {
  const std::optional<int> version = constants.integer("metadata_version");
  if (!version) {
    source.Refuse(
        "does not say which version it is of (metadata_version): it is a model of something else or of DeepSpeech 0.6 "
        "or before; give an export of DeepSpeech 0.7 or later or of Coqui STT 1.x");
  }
  if (*version < 6) {
    source.Refuse("is of graph version " + Number(*version) +
                  " (DeepSpeech 0.6 or before), and versions 6 and 7 are read; export it again from its checkpoint");
  }
  if (*version > 7) {
    source.Refuse("is of graph version " + Number(*version) +
                  ", and versions 6 and 7 are read: it was made by a newer DeepSpeech; use that one");
  }
  const auto integer = [&](const std::string& name, int least, int most) {
    const std::optional<int> value = constants.integer(name);
    if (!value) source.Damaged("it has no constant " + Quoted(name));
    if (*value < least || *value > most) {
      source.Damaged(Quoted(name) + " in it is " + Number(*value) + ", outside " + Number(least) + " to " +
                     Number(most));
    }
    return *value;
  };
  model->version = *version;
  model->features = *version == 6 ? FeatureKind::kStreaming : FeatureKind::kClassic;
  model->sample_rate = integer("metadata_sample_rate", 1000, 384000);
  const auto samples = [&](const std::string& name) {
    const int64_t ms = integer(name, 1, 65536), product = ms * model->sample_rate;
    if (product % 1000 != 0 || product / 1000 > 65536) {
      source.Damaged(Quoted(name) + " in it is " + Number(ms) + " ms, which at " + Number(model->sample_rate) +
                     " Hz are not 1 to 65536 whole samples");
    }
    return static_cast<int>(product / 1000);
  };
  model->window = samples("metadata_feature_win_len");
  model->step = samples("metadata_feature_win_step");
  model->beam_width = integer("metadata_beam_width", 1, 1 << 20);
  const std::optional<std::string> alphabet = constants.text("metadata_alphabet");
  if (!alphabet) source.Damaged("it has no constant 'metadata_alphabet'");
  model->labels = ReadLabels(source, *alphabet);
  model->is_bytes = AreBytes(model->labels);
  if (!model->is_bytes && !std::all_of(model->labels.begin(), model->labels.end(), IsUtf8)) {
    source.Damaged("its alphabet has labels that are not in UTF-8");
  }
  model->language = constants.text("metadata_language").value_or("");
  if (!IsUtf8(model->language)) model->language.clear();  // nothing depends on it
}

void ReadInputShapes(const ModelSource& source, const Shape& input_node, const Shape& input_samples, ModelFile* model) {
  if (input_node.size() != 4 || input_node[0] != 1 || input_node[1] < 1 || input_node[1] > 4096 || input_node[2] < 1 ||
      input_node[2] > 2 * 63 + 1 || input_node[2] % 2 == 0 || input_node[3] < 1 || input_node[3] > 512) {
    source.Damaged("its input 'input_node' is not of the shape [1, steps, 2 context + 1, cepstra]");
  }
  if (input_samples != Shape{model->window}) {
    source.Damaged("its input 'input_samples' is not as long as its window, which is " + Number(model->window) +
                   " samples");
  }
  model->n_steps = static_cast<int>(input_node[1]);
  model->n_context = static_cast<int>(input_node[2] / 2);
  model->n_input = static_cast<int>(input_node[3]);
}

std::shared_ptr<const ModelFile> ReadModelFile(const std::string& path) {
  const auto mapping = std::make_shared<const Mapping>(Quoted(path), path);
  return ReadModel({Quoted(path), mapping->bytes(), mapping});
}

std::shared_ptr<const ModelFile> ReadModelBuffer(std::shared_ptr<const std::string> bytes) {
  const auto data = reinterpret_cast<const uint8_t*>(bytes->data());
  return ReadModel({"The model in memory", {data, bytes->size()}, bytes});
}

}  // namespace deepspeech
