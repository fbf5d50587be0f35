// Tests searches that are long, in pieces, extreme, or share a scorer between threads. That they find what they should
// is tested in tests/test_ds_ctcdecoder.py.

#include "ctcdecode/beam_search.h"

#include <cmath>
#include <random>
#include <thread>

#include "check.h"
#include "ctcdecode/error.h"
#include "scorers.h"

namespace {

using namespace deepspeech;
using namespace deepspeech::tests;

struct Fixture {
  std::shared_ptr<const Alphabet> alphabet;
  SearchOptions options;
};

Fixture Make(const TemporaryFolder& folder, bool is_bytes, std::optional<double> oov_penalty) {
  Fixture fixture;
  fixture.alphabet = is_bytes ? Bytes() : Letters();
  Build({3, is_bytes, "trie", 3, 2}, folder, folder / "scorer");
  const auto scorer = std::make_shared<const Scorer>(folder / "scorer", *fixture.alphabet);
  fixture.options.beam_width = 32;
  fixture.options.cutoff_top_n = 300;
  fixture.options.scorer = scorer;
  fixture.options.weights = scorer->MakeWeights(0.75, 1.25, oov_penalty, true);
  return fixture;
}

bool AreEqual(const std::vector<Candidate>& a, const std::vector<Candidate>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Candidate& x, const Candidate& y) {
    return x.tokens == y.tokens && x.timesteps == y.timesteps && x.confidence == y.confidence;
  });
}

std::vector<Candidate> Decode(const Fixture& fixture, const std::vector<float>& frames, size_t piece) {
  const auto n_classes = static_cast<size_t>(fixture.alphabet->size()) + 1;
  const size_t n_frames = frames.size() / n_classes;
  BeamSearch search(fixture.alphabet, fixture.options);
  for (size_t begin = 0; begin < n_frames; begin += piece) {
    search.Advance(frames.data() + begin * n_classes, std::min(piece, n_frames - begin), n_classes);
    if (piece < n_frames) CheckCandidates(search.Decode(3), *fixture.alphabet, n_frames);
  }
  const std::vector<Candidate> candidates = search.Decode(8);
  CheckCandidates(candidates, *fixture.alphabet, n_frames);
  return candidates;
}

void TestPieces(const TemporaryFolder& folder) {
  for (const bool is_bytes : {false, true}) {
    for (const std::optional<double> oov_penalty : {std::optional<double>(), std::optional<double>(4)}) {
      Fixture fixture = Make(folder, is_bytes, oov_penalty);
      const std::vector<float> frames = SpelledFrames(*fixture.options.scorer, *fixture.alphabet, 1500, 3);
      for (const bool has_hot_words : {false, true}) {
        if (has_hot_words && !is_bytes) {
          const std::vector<std::pair<std::string, double>> boosts = {{"paw", 3}, {"a zoo", 5}, {"the", -2}};
          fixture.options.hot_words = std::make_shared<const HotWords>(boosts, *fixture.alphabet, 0.75);
        }
        const std::vector<Candidate> whole = Decode(fixture, frames, 1500);
        CHECK(whole[0].tokens.size() > 300);
        CHECK(AreEqual(Decode(fixture, frames, 7), whole));
        CHECK(AreEqual(Decode(fixture, frames, 640), whole));
      }
    }
  }
}

void TestExtremes(const TemporaryFolder& folder) {
  const Fixture plain = Make(folder, false, {});
  const std::vector<float> frames = SpelledFrames(*plain.options.scorer, *plain.alphabet, 60, 5);
  for (const double alpha : {0.0, 100.0}) {
    for (const double beta : {-100.0, 100.0}) {
      for (const std::optional<double> oov_penalty : {std::optional<double>(), std::optional<double>(1e9)}) {
        for (const bool look_ahead : {false, true}) {
          Fixture fixture = plain;
          fixture.options.weights = fixture.options.scorer->MakeWeights(alpha, beta, oov_penalty, look_ahead);
          CHECK(std::isfinite(Decode(fixture, frames, 60)[0].confidence));
        }
      }
    }
  }
  for (const std::vector<float>& row : {std::vector<float>(29, 0.0f), std::vector<float>(29, 1.0f)}) {
    std::vector<float> same;
    for (int i = 0; i < 300; ++i) same.insert(same.end(), row.begin(), row.end());
    CHECK(std::isfinite(Decode(plain, same, 300)[0].confidence));
  }
}

void TestThreads(const TemporaryFolder& folder) {
  const Fixture fixture = Make(folder, false, 4);
  std::vector<std::vector<float>> frames;
  std::vector<std::vector<Candidate>> expected, found(4);
  for (uint32_t seed = 0; seed < 4; ++seed) {
    frames.push_back(SpelledFrames(*fixture.options.scorer, *fixture.alphabet, 200, seed));
    expected.push_back(Decode(fixture, frames[seed], 200));
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 4; ++i) threads.emplace_back([&, i] { found[i] = Decode(fixture, frames[i], 9); });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < 4; ++i) CHECK(AreEqual(found[i], expected[i]));
}

void TestHotWordsThatGoTooFar() {
  const std::vector<std::pair<std::string, double>> boosts = {{"a", 100}, {"b a", 100}};
  const HotWords fine(boosts, *Letters(), 1);
  CHECK(fine.max_step() >= 200);
  try {
    const HotWords too_much(boosts, *Letters(), 10);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("add up to") != std::string::npos);
  }
}

}  // namespace

int main() {
  const TemporaryFolder folder;
  TestPieces(folder);
  TestExtremes(folder);
  TestThreads(folder);
  TestHotWordsThatGoTooFar();
}
