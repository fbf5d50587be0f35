#include "ctcdecode/scorer.h"

#include <algorithm>
#include <cmath>

#include "ctcdecode/error.h"

namespace deepspeech {
namespace {

constexpr double kLn10 = 2.302585092994045684;
constexpr double kMostWeight = 100;     // of alpha and beta, so that nothing leaves the range of a double
constexpr float kMostCharged = -80.0f;  // by look-ahead, as a logarithm, within the range of a float

std::string Join(const std::vector<std::string>& labels) {
  std::string text;
  for (const std::string& label : labels) text += (text.empty() ? "" : "\n") + label;
  return text;
}

// Returns what an exception says, for those of KenLM without the place in its sources, as part of a sentence.
std::string Reason(const std::exception& error) {
  std::string text = error.what();
  text.erase(0, text.find('\n') + 1);  // nothing where there is no second line
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.substr(0, text.find_last_not_of(" .") + 1);
}

void CheckAlphabet(const std::string& path, const ScorerFile& file, const Alphabet& alphabet) {
  const char* const kinds[] = {"words", "UTF-8 bytes"};
  if (file.is_bytes != alphabet.is_bytes()) {
    throw Error("The scorer " + path + " is made of " + kinds[file.is_bytes] + ", and the labels of the network are " +
                (alphabet.is_bytes() ? "UTF-8 bytes" : "those of an alphabet") + ": build a scorer for this network.");
  }
  if (!file.is_bytes && alphabet.space() < 0) {
    throw Error("The scorer " + path +
                " is made of words, and the alphabet has no space to part them: add it to the "
                "alphabet, or use a network with UTF-8 bytes.");
  }
  if (!file.is_bytes && file.alphabet && *file.alphabet != Join(alphabet.labels())) {
    throw Error("The scorer " + path + " was built for another alphabet of " +
                std::to_string(1 + std::count(file.alphabet->begin(), file.alphabet->end(), '\n')) +
                " labels, and the network's has " + std::to_string(alphabet.size()) +
                ": build it again with the network's alphabet.");
  }
}

}  // namespace

Scorer::Scorer(const std::string& path, const Alphabet& alphabet) {
  const ScorerFile file = ReadScorerFile(path);
  CheckAlphabet(path, file, alphabet);
  is_bytes_ = file.is_bytes;
  default_alpha_ = file.alpha;
  default_beta_ = file.beta;
  try {
    lm::ngram::Config config;
    config.messages = nullptr;
    config.load_method = util::LAZY;
    model_.reset(lm::ngram::LoadVirtual(path.c_str(), config));
    LoadDictionary(file, alphabet);
  } catch (const std::exception& error) {
    throw Error("The scorer " + path + " cannot be used: " + Reason(error) + "; build it again for this network.");
  }
}

void Scorer::LoadDictionary(const ScorerFile& file, const Alphabet& alphabet) {
  for (const Automaton::Arc& arc : file.dictionary.arcs) {
    if (arc.label >= static_cast<uint32_t>(alphabet.size())) {
      throw Error("its dictionary has the label " + std::to_string(arc.label) + ", and the alphabet has " +
                  std::to_string(alphabet.size()) + " labels");
    }
  }
  const uint32_t end_label = is_bytes_ ? Dictionary::kNone : static_cast<uint32_t>(alphabet.space());
  dictionary_ = std::make_unique<Dictionary>(file.dictionary, end_label,
                                             std::min<uint64_t>(64 * file.n_words + (1 << 16), uint64_t{1} << 31));
  uint64_t n_words = 0, n_known = 0;
  dictionary_->NumberWords([&](const std::vector<int>& labels) {
    const uint32_t word = Word(alphabet.Decode(labels));
    ++n_words;
    n_known += word != 0;
    return word;
  });
  if (2 * n_known < n_words) {
    throw Error("spelled with this alphabet, " + std::to_string(n_words - n_known) + " of the " +
                std::to_string(n_words) + " words of its dictionary are not in its language model");
  }
}

Scorer::State Scorer::begin_sentence() const {
  State state;
  model_->BeginSentenceWrite(&state);
  return state;
}

double Scorer::Score(const State& context, uint32_t word, State* next) const {
  const double ln_p = model_->BaseScore(&context, word, next) * kLn10;
  return ln_p > kOutOfVocabulary ? std::min(ln_p, 0.0) : kOutOfVocabulary;  // which a NaN becomes too
}

double Scorer::ScoreEnd(const State& context) const {
  State next;
  return Score(context, model_->BaseVocabulary().EndSentence(), &next);
}

std::shared_ptr<const Weights> Scorer::MakeWeights(double alpha, double beta, std::optional<double> oov_penalty,
                                                   bool look_ahead) const {
  if (!(alpha >= 0 && alpha <= kMostWeight && std::abs(beta) <= kMostWeight)) {
    throw Error("The weights of the scorer are alpha " + std::to_string(alpha) + " and beta " + std::to_string(beta) +
                "; expected alpha from 0 to 100 and beta from -100 to 100.");
  }
  if (oov_penalty && !(*oov_penalty >= 0 && std::isfinite(*oov_penalty))) {
    throw Error("The penalty of words outside the dictionary is " + std::to_string(*oov_penalty) +
                "; expected a finite number of at least 0.");
  }
  auto weights = std::make_shared<Weights>();
  weights->alpha = alpha;
  weights->beta = beta;
  weights->oov_penalty = oov_penalty;
  if (look_ahead) {
    const auto charged = [alpha](float ln_p) { return std::max(static_cast<float>(alpha) * ln_p, kMostCharged); };
    const std::vector<float>& best = BestWords();
    weights->letter_factor.resize(best.size(), 1.0f);
    for (uint32_t node = 0; node < dictionary_->size(); ++node) {
      const float before = node == Dictionary::kRoot ? 0.0f : charged(best[node]);
      for (uint32_t child = dictionary_->first_child(node); child < dictionary_->first_child(node + 1); ++child) {
        weights->letter_factor[child] = std::exp(charged(best[child]) - before);
      }
    }
    State ignored;
    weights->outside_charge = std::exp(charged(static_cast<float>(Score(null_context(), 0, &ignored))));
  }
  return weights;
}

const std::vector<float>& Scorer::BestWords() const {
  std::call_once(best_words_once_, [this] {
    State ignored;
    best_words_ = dictionary_->BestBelow([&](uint32_t word) {
      return static_cast<float>(word == 0 ? kOutOfVocabulary : Score(null_context(), word, &ignored));
    });
    for (float& best : best_words_) best = std::max(best, static_cast<float>(kOutOfVocabulary));  // below no word
  });
  return best_words_;
}

}  // namespace deepspeech
