// Tests that models of every kind are read with their values, and that damaged ones and other files are refused in a
// sentence.

#include "engine/model_file.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "check.h"
#include "ctcdecode/error.h"
#include "models.h"
#include "scorers.h"

namespace {

using namespace deepspeech;
using namespace deepspeech::tests;

bool Says(const std::string& refusal, const std::string& words) {
  if (refusal.find(words) == std::string::npos) std::cerr << "'" << words << "' not in '" << refusal << "'\n";
  return refusal.find(words) != std::string::npos;
}

std::string Copy(const std::string& text) { return {text.begin(), text.end()}; }

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

void TestEveryKind(const TemporaryFolder& folder) {
  for (const Example& example : AllModels()) {
    std::cerr << example.name << ": " << example.bytes.size() << " bytes\n";
    WriteBytes(folder / "model", example.bytes);
    CheckSame(*ReadModelFile(folder / "model"), *example.model);
    CheckSame(*FromMemory(example.bytes), *example.model);
    CHECK_EQUAL(LoadAndLook(example.bytes), "");
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
  CHECK(!FromMemory(AsTflite(*model, {}))->is_bytes);
}

// Damage
// --------------------------------------------------------------------------------------------------------------------

void TestTruncation() {
  for (const Example& example : AllModels()) {
    for (size_t size = 0; size < example.bytes.size(); ++size) {
      const std::string refusal = LoadAndLook(example.bytes.substr(0, size));
      // what ends a FlatBuffer may be padding or a part that is not needed
      CHECK(!refusal.empty() || size + 64 > example.bytes.size());
    }
  }
}

// A changed byte may go unnoticed, but does no harm.
void TestFlippedBits() {
  for (const Example& example : AllModels()) {
    for (size_t byte = 0; byte < example.bytes.size(); ++byte) {
      for (const int flip : {0x01, 0x80, 0xFF}) {
        std::string changed = example.bytes;
        changed[byte] = static_cast<char>(changed[byte] ^ flip);
        LoadAndLook(changed);
      }
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
  Refused([](ModelFile* model) { model->labels[1] = "a"; }, "label 'a' twice");
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
  const size_t alphabet = twice.find("\x02\0\x01\0\x02\0\xC3\xA9"s);
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
  Refused([](ModelFile* model) { --model->layer_2.weights.n_outputs; }, "layer 2 has 4 biases, and 3 fit");
  Refused([](ModelFile* model) { --model->layer_3.weights.n_inputs; }, "layer 3 has 3 inputs, and 4 fit");
  Refused([](ModelFile* model) { --model->layer_1.weights.n_inputs; }, "layer 1 has 5 inputs, and 6 fit");
  Refused([](ModelFile* model) { --model->layer_5.weights.n_inputs; }, "layer 5 has 1 inputs, and 2 fit");
  Refused([](ModelFile* model) { model->layer_6.bias.push_back(0); }, "layer 6 has 4 biases, and 3 fit");
  Refused([](ModelFile* model) { model->layer_5.beta.pop_back(); }, "2 scales of layer normalisation",
          {6, false, false, true});
  Refused([](ModelFile* model) { model->relu_clip = -1; }, "clipped at a value that is not positive");
  Refused([&](ModelFile* model) { model->relu_clip = infinite; }, "are no numbers");
  Refused([&](ModelFile* model) { model->layer_5.bias[1] = -infinite; }, "are no numbers");
  Refused([](ModelFile* model) { model->forward.bias[1] = std::nanf(""); }, "are no numbers");
  Refused([&](ModelFile* model) { model->layer_1.weights.scales[1] = infinite; }, "are no numbers", {6, true});
  Refused([](ModelFile* model) { model->layer_1.weights.scales.push_back(7); }, "leads astray", {6, true});
  Refused([](ModelFile* model) { model->layer_1.weights.scales.clear(); }, "is of int8 without a scale", {6, true});
  Refused([](ModelFile* model) { model->n_input = 4; }, "no window of vectors of 4 cepstra", {7});
  Refused([](ModelFile* model) { --model->backward->input.n_inputs; }, "backward LSTM has 2 inputs, and 3 fit", {7});
}

}  // namespace

int main() {
  const TemporaryFolder folder;
  TestEveryKind(folder);
  TestScalesAreSharedWhereTheyWere();
  TestBytes();
  TestTruncation();
  TestFlippedBits();
  TestWrongMetadata();
  TestWrongNetworks();
}
