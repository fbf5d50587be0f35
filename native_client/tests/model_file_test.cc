// Tests that models of every kind are read with their values, and that damaged ones and other files are refused in a
// sentence.

#include "engine/model_file.h"

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>

#include "check.h"
#include "ctcdecode/error.h"
#include "models.h"

namespace {

using namespace deepspeech;
using namespace deepspeech::tests;

bool Says(const std::string& refusal, const std::string& words) {
  if (refusal.find(words) == std::string::npos) std::cerr << "'" << words << "' not in '" << refusal << "'\n";
  return refusal.find(words) != std::string::npos;
}

std::shared_ptr<const ModelFile> FromMemory(const std::string& bytes) {
  return ReadModelBuffer(std::make_shared<const std::string>(bytes));
}

// Values
// --------------------------------------------------------------------------------------------------------------------

void CheckSame(const WeightMatrix& found, const WeightMatrix& expected) {
  CHECK_EQUAL(found.n_outputs, expected.n_outputs);
  CHECK_EQUAL(found.n_inputs, expected.n_inputs);
  CHECK(found.scales == expected.scales);
  CHECK((found.ints != nullptr) == (expected.ints != nullptr));
  for (size_t row = 0; row < found.n_outputs; ++row) {
    for (size_t column = 0; column < found.n_inputs; ++column) {
      const size_t i = row * found.stride + column, j = row * expected.stride + column;
      CHECK(found.ints ? found.ints[i] == expected.ints[j] : found.floats[i] == expected.floats[j]);
    }
  }
}

void CheckSame(const DenseLayer& found, const DenseLayer& expected) {
  CheckSame(found.weights, expected.weights);
  CHECK(found.bias == expected.bias);
  CHECK(found.gamma == expected.gamma && found.beta == expected.beta);
}

void CheckSame(const LstmLayer& found, const LstmLayer& expected) {
  CheckSame(found.input, expected.input);
  CheckSame(found.recurrent, expected.recurrent);
  CHECK(found.bias == expected.bias);
}

void CheckSame(const ModelFile& found, const ModelFile& expected) {
  CHECK_EQUAL(found.version, expected.version);
  CHECK(found.features == expected.features);
  CHECK_EQUAL(found.sample_rate, expected.sample_rate);
  CHECK_EQUAL(found.window, expected.window);
  CHECK_EQUAL(found.step, expected.step);
  CHECK_EQUAL(found.n_input, expected.n_input);
  CHECK_EQUAL(found.n_context, expected.n_context);
  CHECK_EQUAL(found.n_steps, expected.n_steps);
  CHECK_EQUAL(found.beam_width, expected.beam_width);
  CHECK(found.labels == expected.labels);
  CHECK(!found.is_bytes);
  CHECK_EQUAL(found.language, expected.language);
  CHECK_EQUAL(found.relu_clip, expected.relu_clip);
  CheckSame(found.layer_1, expected.layer_1);
  CheckSame(found.layer_2, expected.layer_2);
  CheckSame(found.layer_3, expected.layer_3);
  CheckSame(found.forward, expected.forward);
  CHECK(found.backward.has_value() == expected.backward.has_value());
  if (found.backward) CheckSame(*found.backward, *expected.backward);
  CheckSame(found.layer_5, expected.layer_5);
  CheckSame(found.layer_6, expected.layer_6);
}

void TestEveryKind() {
  for (const Example& example : AllModels()) {
    std::cerr << example.name << ": " << example.bytes.size() << " bytes\n";
    CHECK_EQUAL(LoadAndLook(example.bytes), "");
    CheckSame(*FromMemory(example.bytes), *example.model);
  }
}

void TestScalesAreSharedWhereTheyWere() {
  for (const Example& example : AllModels()) {
    const bool is_joint = example.name.find("joint") != std::string::npos || example.name.find("legacy") == 0;
    const auto model = FromMemory(example.bytes);
    CHECK_EQUAL(model->forward.shares_scale, is_joint && model->forward.input.ints != nullptr);
  }
}

void TestBytes() {
  const auto model = Make({});
  model->labels.clear();
  for (int byte = 1; byte < 256; ++byte) model->labels.emplace_back(1, static_cast<char>(byte));
  const std::vector<float> weights(256 * 2), bias(256);
  model->layer_6.weights.n_outputs = 256;
  model->layer_6.weights.floats = weights.data();
  model->layer_6.bias = bias;
  const auto found = FromMemory(AsTflite(*model, {}));
  CHECK(found->is_bytes && found->labels == model->labels);
  std::swap(model->labels[64], model->labels[65]);
  CHECK(Says(LoadAndLook(AsTflite(*model, {})), "labels that are not in UTF-8"));
}

// Damage
// --------------------------------------------------------------------------------------------------------------------

// One of each format, with all that one can have.
std::vector<std::string> SomeModels() {
  std::vector<std::string> some;
  for (const Example& example : AllModels()) {
    for (const char* name : {"ours_7", "legacy_apart_int8", "graph_lists", "mapped"}) {
      if (example.name == name) some.push_back(example.bytes);
    }
  }
  CHECK_EQUAL(some.size(), size_t{4});
  return some;
}

void TestTruncation() {
  for (const std::string& whole : SomeModels()) {
    for (size_t size = 0; size < whole.size(); ++size) {
      // padding may go, and a node at the end that is only there for TensorFlow
      CHECK(!LoadAndLook(whole.substr(0, size)).empty() || size + 64 > whole.size());
    }
  }
}

// A changed byte may go unnoticed, but does no harm.
void TestFlippedBits() {
  for (const std::string& whole : SomeModels()) {
    for (size_t byte = 0; byte < whole.size(); ++byte) {
      std::string changed = whole;
      changed[byte] = static_cast<char>(changed[byte] ^ (byte % 2 ? 0xFF : 1 << byte / 2 % 8));
      LoadAndLook(changed);
    }
  }
}

// Looks what every kind of file is refused with that can hold a model.
void Refused(const std::function<void(ModelFile*)>& damage, const std::string& words, const TinyModel& tiny = {}) {
  const auto model = Make(tiny);
  damage(model.get());
  TfliteForm legacy;
  legacy.names = Names::kLegacy;
  GraphForm mapped;
  mapped.is_mapped = true;
  CHECK(Says(LoadAndLook(AsTflite(*model, {})), words));
  if (tiny.version != 6) return;
  CHECK(Says(LoadAndLook(AsTflite(*model, legacy)), words));
  if (tiny.is_int8) return;
  CHECK(Says(LoadAndLook(AsGraph(*model, {})), words));
  CHECK(Says(LoadAndLook(AsGraph(*model, mapped)), words));
}

void TestWrongMetadata() {
  Refused([](ModelFile* model) { model->version = 5; }, "graph version 5 (DeepSpeech 0.6 or before)");
  Refused([](ModelFile* model) { model->version = 8; }, "graph version 8, and versions 6 and 7 are read");
  Refused([](ModelFile* model) { model->version = -1; }, "graph version -1");
  Refused([](ModelFile* model) { model->sample_rate = 999; }, "'metadata_sample_rate' in it is 999, outside 1000 to");
  Refused([](ModelFile* model) { model->sample_rate = 384001; }, "384001, outside 1000 to 384000");
  Refused([](ModelFile* model) { model->sample_rate = 1001; }, "16 ms, which at 1001 Hz are not");
  Refused([](ModelFile* model) { model->window = 0; }, "'metadata_feature_win_len' in it is 0");
  Refused([](ModelFile* model) { model->step = 1 << 30; }, "'metadata_feature_win_step' in it is 1073741824");
  Refused([](ModelFile* model) { model->beam_width = 0; }, "'metadata_beam_width' in it is 0");
  Refused([](ModelFile* model) { model->n_context = 65; }, "'input_node' is not of the shape");
  Refused([](ModelFile* model) { model->n_input = 513; }, "'input_node' is not of the shape");
  Refused([](ModelFile* model) { model->n_steps = 0; }, "'input_node' is not of the shape");
  Refused([](ModelFile* model) { model->labels.clear(); }, "alphabet has no labels");
  Refused([](ModelFile* model) { model->labels[0] = ""; }, "label 0 of its alphabet is empty");
  Refused([](ModelFile* model) { model->labels[1] = "a"; }, "labels 0 and 1 of its alphabet are the same");
  for (const char* label : {"\xFF", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE0\x80\x80", "a\x80"}) {
    Refused([label](ModelFile* model) { model->labels[1] = label; }, "labels that are not in UTF-8");
  }
  Refused([](ModelFile* model) { model->labels.push_back("c"); }, "3 classes apart, and its alphabet has 3 labels");
  const auto model = Make({});
  GraphForm old;
  old.has_version_constant = false;
  model->version = 1;
  CHECK(Says(LoadAndLook(AsGraph(*model, old)), "graph version 1 (DeepSpeech 0.6 or before)"));
  std::string ours = AsTflite(*Make({}), {});
  for (size_t at; (at = ours.find("metadata_version")) != ours.npos;) ours[at] = 'M';
  CHECK(Says(LoadAndLook(ours), "does not say which version"));
  std::string twice = AsTflite(*Make({}), {});
  const size_t alphabet = twice.find(std::string("\x02\0\x01\0\x02\0\xC3\xA9", 8));
  CHECK(alphabet != twice.npos);
  twice[alphabet + 2] = 0;
  CHECK(Says(LoadAndLook(twice), "numbers its labels otherwise"));
  twice[alphabet + 2] = 2;
  CHECK(Says(LoadAndLook(twice), "numbers its labels otherwise"));
  twice[alphabet + 5] = 9;
  CHECK(Says(LoadAndLook(twice), "its alphabet ends too early"));
}

void TestWrongNetworks() {
  const float infinite = std::numeric_limits<float>::infinity();
  Refused([](ModelFile* model) { --model->layer_2.weights.n_outputs; }, "the biases of its layer 2 are 4, and 3 fit");
  Refused([](ModelFile* model) { --model->layer_3.weights.n_inputs; }, "the inputs of its layer 3 are 3, and 4 fit");
  Refused([](ModelFile* model) { --model->layer_1.weights.n_inputs; }, "the inputs of its layer 1 are 5, and 6 fit");
  Refused([](ModelFile* model) { --model->layer_5.weights.n_inputs; }, "the inputs of its layer 5 are 1, and 2 fit");
  Refused([](ModelFile* model) { model->layer_6.bias.push_back(0); }, "the biases of its layer 6 are 4, and 3 fit");
  Refused([](ModelFile* model) { model->layer_5.beta.pop_back(); },
          "the shifts in the layer normalisation of its layer 5 are 1, and 2 fit", {6, false, false, true});
  Refused([](ModelFile* model) { model->relu_clip = -1; }, "clipped at a value that is not positive");
  Refused([&](ModelFile* model) { model->relu_clip = infinite; }, "are no numbers");
  Refused([&](ModelFile* model) { model->layer_5.bias[1] = -infinite; }, "are no numbers");
  Refused([](ModelFile* model) { model->forward.bias[1] = std::nanf(""); }, "are no numbers");
  Refused([&](ModelFile* model) { model->layer_1.weights.scales[1] = infinite; }, "are no numbers", {6, true});
  Refused([](ModelFile* model) { model->layer_1.weights.scales.push_back(7); }, "leads astray", {6, true});
  Refused([](ModelFile* model) { model->layer_1.weights.scales.clear(); }, "is of int8 without a scale", {6, true});
  Refused([](ModelFile* model) { model->n_input = 4; }, "no window of vectors of 4 cepstra", {7});
  Refused([](ModelFile* model) { --model->backward->input.n_inputs; },
          "the inputs of its backward LSTM are 2, and 3 fit", {7});
}

std::string Refusal(Flaw flaw, Names names, bool is_int8 = false) {
  TfliteForm form;
  form.names = names;
  form.flaw = flaw;
  return LoadAndLook(AsTflite(*Make({6, is_int8}), form));
}

void TestFlawsOfTflite() {
  for (const Names names : {Names::kOurs, Names::kLegacy}) {
    CHECK(Says(Refusal(Flaw::kFloat16, names), "is neither of float32 nor of int8"));
    CHECK(Says(Refusal(Flaw::kZeroPoints, names, true), "quantised neither as a whole nor by rows"));
    CHECK(Says(Refusal(Flaw::kScalesOfColumns, names, true), "quantised neither as a whole nor by rows"));
    CHECK(Says(Refusal(Flaw::kUnknownOperand, names), "an operator of it has a wrong operand"));
    CHECK(Says(Refusal(Flaw::kUnknownBuffer, names), "a tensor of it has a wrong buffer"));
    CHECK(Says(Refusal(Flaw::kUnknownOperator, names), "an operator of it is of no kind"));
  }
  CHECK(Says(Refusal(Flaw::kNoSoftmax, Names::kLegacy), "'logits' does not come from a softmax"));
  CHECK(Says(Refusal(Flaw::kOtherClip, Names::kLegacy), "clipped at different values"));
  CHECK(Says(Refusal(Flaw::kOtherGates, Names::kLegacy), "gates of its LSTM are in another order"));
  CHECK(Says(Refusal(Flaw::kOtherKernel, Names::kLegacy), "the steps of its LSTM differ"));
  CHECK(Says(Refusal(Flaw::kOtherState, Names::kLegacy), "its LSTM is put together in another way"));
  CHECK(Says(Refusal(Flaw::kCircle, Names::kLegacy), "its operators go in a circle"));
  CHECK(Says(Refusal(Flaw::kOneStep, Names::kLegacy), "another number of steps than 'input_node'"));
}

std::string Refusal(Flaw flaw, bool is_mapped) {
  GraphForm form;
  form.is_mapped = is_mapped;
  form.flaw = flaw;
  return LoadAndLook(AsGraph(*Make({}), form));
}

void TestFlawsOfGraphs() {
  for (const bool is_mapped : {false, true}) {
    CHECK(Says(Refusal(Flaw::kFloat16, is_mapped), "float32"));
    CHECK(Says(Refusal(Flaw::kOtherClip, is_mapped), "clipped at different values"));
    CHECK(Says(Refusal(Flaw::kPeepholes, is_mapped), "peepholes"));
    CHECK(Says(Refusal(Flaw::kClippedCells, is_mapped), "clips its cells"));
    CHECK(Says(Refusal(Flaw::kTwoLstms, is_mapped), "it has several LSTMs"));
    CHECK(Says(Refusal(Flaw::kNoLstm, is_mapped), "has no LSTM of the kind"));
    CHECK(Says(Refusal(Flaw::kNoConstant, is_mapped), "'layer_2/bias' is no constant"));
    CHECK(Says(Refusal(Flaw::kCircle, is_mapped), "its nodes go in a circle"));
  }
  CHECK(Says(Refusal(Flaw::kNoRegion, true), "it has no region 'memmapped_package://layer_2/weights'"));
  CHECK(Says(Refusal(Flaw::kShortRegion, true), "'layer_2/weights' has not as many values"));
  CHECK(Says(Refusal(Flaw::kNoGraph, true), "it has no graph"));
  CHECK(Says(LoadAndLook(AsGraph(*Make({7}), {})), "is a graph of version 7, which is read as .tflite only"));
}

// Other files
// --------------------------------------------------------------------------------------------------------------------

void TestOtherFiles() {
  const auto refusal = [](const std::string& path) -> std::string {
    try {
      ReadModelFile(path);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  CHECK(Says(refusal("/no/such\nfile"), "'/no/such?file' cannot be read as a model: No such file"));
  CHECK(Says(refusal(std::filesystem::temp_directory_path()), "it is a folder; give the model file in it"));
  CHECK(Says(refusal("/dev/null"), "it is no regular file"));
  CHECK(Says(LoadAndLook(""), "is empty"));
  CHECK(Says(LoadAndLook("mmap lm http://kheafield.com/code format version 5\n"), "give it as the scorer"));
  CHECK(Says(LoadAndLook("\\data\\\nngram 1=3\n"), "language model as text (ARPA)"));
  CHECK(Says(LoadAndLook("RIFF\x24\x08\1\1WAVEfmt "), "is a recording (WAV)"));
  CHECK(Says(LoadAndLook("fLaC\1\2\3"), "is a recording (FLAC)"));
  CHECK(Says(LoadAndLook("OggS\1\2\3"), "is a recording (Ogg)"));
  CHECK(Says(LoadAndLook("PK\x03\x04\x14\1\1\1"), "is a zip archive; unpack it"));
  CHECK(Says(LoadAndLook("\x1f\x8b\x08\1\1\1"), "is compressed (gzip); unpack it"));
  CHECK(Says(LoadAndLook("\x89HDF\r\n\x1a\n"), "is a file of HDF5 or Keras"));
  CHECK(Says(LoadAndLook("\x08\x01\x12\x02\x0a\x01"), "is a SavedModel"));
  CHECK(Says(LoadAndLook("version https://git-lfs.github.com/spec/v1\n"), "fetch that with 'git lfs pull'"));
  CHECK(Says(LoadAndLook("\n<!DOCTYPE html>\n"), "is a web page, not a model"));
  CHECK(Says(LoadAndLook("Not found\n"), "is a text, not a model"));
  CHECK(Says(LoadAndLook(std::string(100, '\1')), "is no model that is known here"));
  CHECK(Says(LoadAndLook(std::string("\x1c\0\0\0TFL3", 8)), "is damaged"));
  try {
    FromMemory("");
    CHECK(false);
  } catch (const Error& error) {
    CHECK(Says(error.what(), "The model in memory is empty"));
  }
}

// A published model of Coqui STT, that of the package armspeech 0.1.4, if it is here: DEEPSPEECH_ARMSPEECH is its path.
// The numbers are those of TensorFlow's reader (tensorflow.lite.tools.flatbuffer_utils).
void TestPublishedModel() {
  const char* path = std::getenv("DEEPSPEECH_ARMSPEECH");
  if (path == nullptr) return;
  const auto sum = [](const WeightMatrix& matrix) {
    int64_t total = 0;
    for (size_t row = 0; row < matrix.n_outputs; ++row) {
      for (size_t i = 0; i < matrix.n_inputs; ++i) total += matrix.ints[row * matrix.stride + i];
    }
    return total;
  };
  const auto model = ReadModelFile(path);
  CHECK_EQUAL(sum(model->layer_1.weights), 52109);
  CHECK_EQUAL(sum(model->layer_2.weights), -2650305);
  CHECK_EQUAL(sum(model->layer_3.weights), -8936901);
  CHECK_EQUAL(sum(model->forward.input), 353143);
  CHECK_EQUAL(sum(model->forward.recurrent), 45432);
  CHECK_EQUAL(sum(model->layer_5.weights), -134136);
  CHECK_EQUAL(sum(model->layer_6.weights), -338081);
  CHECK_EQUAL(model->forward.input.scales.back(), 0.06317476f);
  CHECK_EQUAL(model->layer_1.bias[57], 0.01636457f);  // 12345 % 2048
  CHECK_EQUAL(model->forward.bias[4153], 0.046685733f);
  CHECK(model->labels.size() == 40 && model->labels[1] == "\xD5\xA1" && model->relu_clip == 20);
  CHECK(model->n_steps == 16 && model->n_context == 9 && model->n_input == 26 && model->window == 512);
}

}  // namespace

int main() {
  TestEveryKind();
  TestScalesAreSharedWhereTheyWere();
  TestBytes();
  TestWrongMetadata();
  TestWrongNetworks();
  TestFlawsOfTflite();
  TestFlawsOfGraphs();
  TestOtherFiles();
  TestPublishedModel();
  TestTruncation();
  TestFlippedBits();
}
