#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ctcdecode/alphabet.h"
#include "ctcdecode/dictionary.h"
#include "ctcdecode/scorer_file.h"
#include "lm/model.hh"

namespace deepspeech {

// How a scorer counts in a search. Immutable, so that searches may share it.
//
// A word adds alpha * ln P(word | words before) + beta. With look-ahead the best unigram probability of the words below
// a node of the dictionary is charged, letter by letter, as soon as the node is reached, and the rest with the word's
// end: sums over whole words are the same, but unlikely words are seen earlier (Ortmanns et al. 1996).
struct Weights {
  double alpha = 0, beta = 0;
  std::optional<double> oov_penalty;  // subtracted for a word outside the dictionary; none: there are no such words
  std::vector<float> letter_factor;   // [node], by which look-ahead multiplies on the step to it; empty: no look-ahead
  float outside_charge = 1;           // what look-ahead charges outside the dictionary
};

// A language model with the dictionary of its words, or (bytes mode) characters.
class Scorer {
 public:
  using State = lm::ngram::State;
  static constexpr double kOutOfVocabulary = -1000.0;  // ln P of what the model does not know, as in 0.9.3

  // Loads a scorer for the labels of an alphabet. Throws Error.
  Scorer(const std::string& path, const Alphabet& alphabet);

  bool is_bytes() const { return is_bytes_; }
  int order() const { return model_->Order(); }
  double default_alpha() const { return default_alpha_; }
  double default_beta() const { return default_beta_; }
  const Dictionary& dictionary() const { return *dictionary_; }

  // Makes weights. Throws Error when a number is not finite or the penalty is negative.
  std::shared_ptr<const Weights> MakeWeights(double alpha, double beta, std::optional<double> oov_penalty,
                                             bool look_ahead) const;

  // Returns the model's number of a word, 0 for one it does not know.
  uint32_t Word(std::string_view text) const {
    return model_->BaseVocabulary().Index(StringPiece(text.data(), text.size()));
  }

  // Returns ln P(word | context), `context` being at most `order` - 1 words, and the context behind the word.
  double Score(const State& context, uint32_t word, State* next) const;
  double ScoreEnd(const State& context) const;

  State begin_sentence() const;
  State null_context() const { return State(); }

 private:
  void LoadDictionary(const ScorerFile& file, const Alphabet& alphabet);
  const std::vector<float>& BestWords() const;

  std::unique_ptr<lm::base::Model> model_;
  std::unique_ptr<Dictionary> dictionary_;
  mutable std::once_flag best_words_once_;
  mutable std::vector<float> best_words_;  // [node], ln P of the best word at or below it
  bool is_bytes_ = false;
  double default_alpha_ = 0, default_beta_ = 0;
};

}  // namespace deepspeech
