#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ctcdecode/alphabet.h"
#include "ctcdecode/hot_words.h"
#include "ctcdecode/scorer.h"

namespace deepspeech {

struct SearchOptions {
  size_t beam_width = 500;
  double cutoff_prob = 1.0;  // new labels are taken from the most probable ones that together have this probability,
  size_t cutoff_top_n = 40;  // and from this many at most
  std::shared_ptr<const Scorer> scorer;    // none: any sequence of labels, all equally likely before they are heard
  std::shared_ptr<const Weights> weights;  // with a scorer
  std::shared_ptr<const HotWords> hot_words;
};

struct Candidate {
  std::vector<int> tokens;     // label ids
  std::vector<int> timesteps;  // frame in which each was first heard
  double confidence;           // ln of the probability of all alignments, weighted by the scorer
};

// Finds the most probable label sequences of CTC output (Graves et al. 2006) by prefix beam search (Hannun et al. 2014,
// arXiv:1408.2873), with a language model that is asked at the end of every word.
//
// Probabilities are kept as such, relative to the best of the frame, so that no logarithm is taken on the way. A frame
// costs time proportional to the beam, however long the utterance already is.
class BeamSearch {
 public:
  // Throws Error when the options contradict each other.
  BeamSearch(std::shared_ptr<const Alphabet> alphabet, SearchOptions options);

  // Begins another utterance, with the memory of the one before.
  void Restart();

  // Takes the next frames: probabilities [n_frames, n_classes], each of 0 to 1, blank last. Throws Error.
  void Advance(const float* probabilities, size_t n_frames, size_t n_classes);

  // Returns up to `count` of the best sequences so far, best first. The search can go on afterwards.
  std::vector<Candidate> Decode(size_t count);

 private:
  static constexpr int32_t kNone = -1, kImpossible = -2;
  static constexpr uint32_t kOutside = Dictionary::kNone;

  // A label sequence, as its last label and the sequence before. One that has left the beam stays as long as longer
  // ones need it. What every frame looks at comes first, in one line of the cache.
  struct alignas(64) Prefix {
    double total = 0;        // probability of being here: in_blank + in_label
    double in_blank = 0;     // of the alignments that end with a blank
    double in_label = 0;     // of those that end with the last label
    double factor = 1;       // of language model and hot words, on the step from the parent
    double word_factor = 0;  // of the language model, for a space behind; a bound as long as nobody has asked
    int32_t parent = kNone;
    int32_t label = kNone;
    uint32_t node = Dictionary::kRoot;  // or kOutside
    float charged = 1;                  // by look-ahead, since the present word began
    int32_t onsets = kNone;
    int8_t missing_bytes = 0;  // until the character is complete, in bytes mode
    bool in_beam = false;

    uint64_t children = 0;  // labels of the children modulo 64; where the bit is clear there is no child
    int32_t first_child = kNone, next_sibling = kNone;
    int32_t context = kNone;       // of the present word
    int32_t word_context = kNone;  // of the next word: kNone: nobody has asked, kImpossible: no word ends here
    int32_t hot_state = 0;
  };

  // What a prefix in the beam has after a frame, and what it gives to others.
  struct Kept {
    double in_blank, in_label;
    double to_letters, to_space;  // greatest probability of a step, but for that of the label
    double total() const { return in_blank + in_label; }
  };

  // From a prefix in the beam to one that is not.
  struct Step {
    double probability = 0;
    double factor = 1;
    float charged = 1;
    int32_t parent = kNone, label = kNone;
    int32_t existing = kNone;
    uint32_t node = Dictionary::kRoot;
    int32_t context = kNone;        // kNone: a new one, which is
    int32_t fresh_context = kNone;  // here
    int32_t hot_state = 0;
    int8_t missing_bytes = 0;
  };

  struct Context {
    Scorer::State state;
    int32_t users;
  };

  // When the labels of a prefix were first heard, last one first; prefixes share the beginnings.
  struct Onset {
    int32_t before;
    int32_t frame;
    int32_t users;
  };

  void CheckFrames(const float* probabilities, size_t n_frames, size_t n_classes) const;
  void AdvanceFrame(const float* frame);
  void ChooseLabels(const float* frame);
  void KeepPrefixes(const float* frame);
  void RankLabels();
  void ExtendPrefixes();
  void ExtendFreely(int32_t id);
  void ExtendByDictionary(int32_t id);
  void ExtendOutside(int32_t id);
  void ExtendBySpace(int32_t id);
  void ExtendTo(int32_t id, int32_t label, uint32_t node, double factor, float charged);
  bool CompleteBytes(double base, Step* step);
  void Push(Step step);
  void RaiseThreshold();
  void SelectBeam();
  int32_t Enter(const Step& step);
  void UpdateOnsets();
  void CommitStart();

  bool CompleteWord(int32_t id);
  std::optional<double> WordScore(const Prefix& prefix, Scorer::State* next) const;
  double CharacterScore(int32_t id, int32_t label, bool is_known, Scorer::State* next) const;
  double FinalScore(int32_t id);

  int32_t FindChild(int32_t parent, int32_t label) const;
  int32_t NewPrefix();
  void Leave(int32_t id);
  void Free(int32_t id);
  int32_t NewContext(const Scorer::State& state);
  void UseContext(int32_t context) { ++contexts_[context].users; }
  void ReleaseContext(int32_t context);
  int32_t NewOnset(int32_t before, int32_t frame);
  void ReleaseOnset(int32_t onset);

  const std::shared_ptr<const Alphabet> alphabet_;
  const SearchOptions options_;
  const Scorer* const scorer_;
  const Weights* const weights_;
  const HotWords* const hot_words_;
  const int blank_, space_;
  bool is_strict_ = true;       // only words of the dictionary
  bool is_plain_ = true;        // letters have factors of at most 1: neither hot words nor bytes nor words outside
  double outside_penalty_ = 0;  // a factor
  float outside_charge_ = 1;    // what look-ahead charges outside the dictionary
  double hot_bound_ = 1;        // greatest factor of hot words on a step
  double least_added_ = 0;      // a factor, see KeepPrefixes
  double word_bound_ = 1;       // and of the language model at the end of a word, look-ahead aside

  std::vector<Prefix> prefixes_;
  std::vector<Context> contexts_;
  std::vector<Onset> onsets_;
  std::vector<int32_t> free_prefixes_, free_contexts_, free_onsets_;

  std::vector<int32_t> beam_, next_beam_;
  int32_t root_ = 0, root_onset_ = 0;
  int32_t frame_ = 0;
  bool has_begun_ = false;
  double scale_ = 1;      // what the next frame's probabilities are multiplied with, so that the best stay near 1
  double log_scale_ = 0;  // ln of what those before were divided by

  // Of the present frame:
  std::vector<double> label_probability_;           // [label], 0 for those that are cut off
  std::vector<std::pair<double, int32_t>> ranked_;  // probability and label, most probable first
  double least_total_ = 0;                          // of the beam before the frame
  double best_total_ = 0;                           // of the beam before the frame
  std::vector<int32_t> reaching_;                   // prefixes with steps that may get into the beam
  double threshold_ = 0;                            // below it nothing gets into the beam
  std::vector<Kept> kept_;                          // by the place in the beam
  std::vector<Step> steps_;
  size_t most_steps_ = 0;  // before the threshold is raised
  std::vector<Scorer::State> fresh_contexts_;
  std::vector<std::pair<int32_t, int32_t>> heard_again_;  // prefix, and the onsets before its last label
  std::vector<std::pair<double, int32_t>> ranking_;
  std::vector<double> scratch_;

  // What all prefixes begin with; no longer in the tree.
  std::vector<int> committed_tokens_, committed_timesteps_;
};

// Decodes the utterances of a batch, each by itself, on several threads.
//
// Args:
//   probabilities: [batch, time, n_classes].
//   lengths: [batch], valid frames.
// Returns up to `count` candidates for each. Throws Error.
std::vector<std::vector<Candidate>> DecodeBatch(std::shared_ptr<const Alphabet> alphabet, const SearchOptions& options,
                                                const float* probabilities, const std::vector<size_t>& lengths,
                                                size_t n_frames, size_t n_classes, size_t count, size_t n_threads);

}  // namespace deepspeech
