// Decodes what the fuzzer invents as the output of a network, options and hot words; in pieces and at once.

#include <fuzzer/FuzzedDataProvider.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "ctcdecode/error.h"
#include "scorers.h"

namespace {

using namespace deepspeech;
using namespace deepspeech::tests;

struct Fixture {
  std::shared_ptr<const Alphabet> alphabet;
  std::shared_ptr<const Scorer> scorer;
};

Fixture Make(bool is_bytes) {
  const TemporaryFolder folder;
  Fixture fixture;
  fixture.alphabet = is_bytes ? Bytes() : Letters();
  Build({3, is_bytes, "trie", 0, 0}, folder, folder / "scorer");
  fixture.scorer = std::make_shared<const Scorer>(folder / "scorer", *fixture.alphabet);
  return fixture;
}

double Number(FuzzedDataProvider& data, double usual) {
  if (data.ConsumeBool()) return usual;
  return data.ConsumeBool() ? data.ConsumeFloatingPointInRange<double>(-8, 8) : data.ConsumeFloatingPoint<double>();
}

SearchOptions MakeOptions(FuzzedDataProvider& data, const Fixture& fixture) {
  SearchOptions options;
  options.beam_width = data.ConsumeIntegralInRange<size_t>(0, 24);
  options.cutoff_top_n = data.ConsumeIntegralInRange<size_t>(0, 300);
  options.cutoff_prob = Number(data, 1);
  const double alpha = Number(data, 1), beta = Number(data, 1);
  std::optional<double> oov_penalty;
  if (data.ConsumeBool()) oov_penalty = Number(data, 5);
  const bool look_ahead = data.ConsumeBool();
  if (data.ConsumeBool()) {
    options.scorer = fixture.scorer;
    options.weights = fixture.scorer->MakeWeights(alpha, beta, oov_penalty, look_ahead);
  }
  std::vector<std::pair<std::string, double>> boosts;
  for (int i = data.ConsumeIntegralInRange<int>(0, 3); i > 0; --i) {
    const std::string phrases[] = {"the cat", "cat", "zoo", "a", "h", "\xC3\xA9"};
    const std::string phrase = data.ConsumeBool() ? data.PickValueInArray(phrases) : data.ConsumeRandomLengthString(6);
    boosts.emplace_back(phrase, Number(data, 4));
  }
  if (!boosts.empty()) {
    options.hot_words = std::make_shared<const HotWords>(boosts, *fixture.alphabet, options.scorer ? alpha : 1);
  }
  return options;
}

// Mostly a few labels that stand out, so that there is something to search.
std::vector<float> MakeFrames(FuzzedDataProvider& data, size_t n_classes) {
  std::vector<float> frames;
  while (data.remaining_bytes() > 0 && frames.size() < 200 * n_classes) {
    const float floor = static_cast<float>(data.ConsumeIntegral<uint8_t>() % 4) * 1e-3f;
    const size_t begin = frames.size();
    frames.resize(begin + n_classes, floor);
    for (int i = 0; i < 3; ++i) {
      const size_t at = begin + data.ConsumeIntegral<uint8_t>() % n_classes;
      frames[at] = static_cast<float>(data.ConsumeIntegral<uint8_t>()) / 255;
    }
    if (data.ConsumeProbability<float>() > 0.99f) frames[begin] = data.ConsumeFloatingPoint<float>();
  }
  return frames;
}

void Search(FuzzedDataProvider& data, const Fixture& fixture) {
  const SearchOptions options = MakeOptions(data, fixture);
  const size_t n_classes = static_cast<size_t>(fixture.alphabet->size()) + (data.ConsumeIntegral<uint8_t>() != 7);
  const size_t piece = data.ConsumeIntegralInRange<size_t>(1, 40);
  const std::vector<float> frames = MakeFrames(data, n_classes);
  const size_t n_frames = frames.size() / n_classes;
  BeamSearch at_once(fixture.alphabet, options), in_pieces(fixture.alphabet, options);
  at_once.Advance(frames.data(), n_frames, n_classes);
  for (size_t begin = 0; begin < n_frames; begin += piece) {
    in_pieces.Advance(frames.data() + begin * n_classes, std::min(piece, n_frames - begin), n_classes);
    CheckCandidates(in_pieces.Decode(2), *fixture.alphabet, n_frames);
  }
  const auto expected = at_once.Decode(30), found = in_pieces.Decode(30);
  CheckCandidates(expected, *fixture.alphabet, n_frames);
  CHECK(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) CHECK(found[i].confidence == expected[i].confidence);
  CHECK(found[0].tokens == expected[0].tokens && found[0].timesteps == expected[0].timesteps);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const Fixture letters = Make(false), characters = Make(true);
  FuzzedDataProvider data(bytes, size);
  try {
    Search(data, data.ConsumeBool() ? characters : letters);
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message.size() > 20 && message.back() == '.');
  }
  return 0;
}
