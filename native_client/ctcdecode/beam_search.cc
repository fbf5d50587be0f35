#include "ctcdecode/beam_search.h"

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "ctcdecode/error.h"

namespace deepspeech {
namespace {

constexpr double kNegligible = 1e-290;  // relative to the best prefix; smaller numbers would lose their precision
constexpr double kSilence = 0.999;      // as in 0.9.3: until the blank is less probable than this, nothing begins
constexpr int kFramesBetweenCommits = 64;

double BoundedExp(double logarithm) { return std::exp(std::max(logarithm, -600.0)); }

// Returns how many bytes of UTF-8 are to come until the character is complete.
int MissingBytes(int missing_before, int32_t label) {
  const int byte = label + 1;
  if (byte < 0x80) return 0;
  if (byte < 0xC0) return std::max(0, missing_before - 1);
  return byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
}

}  // namespace

BeamSearch::BeamSearch(std::shared_ptr<const Alphabet> alphabet, SearchOptions options)
    : alphabet_(std::move(alphabet)),
      options_(std::move(options)),
      scorer_(options_.scorer.get()),
      weights_(options_.weights.get()),
      hot_words_(options_.hot_words.get()),
      blank_(alphabet_->blank()),
      space_(alphabet_->space()) {
  if (options_.beam_width < 1 || options_.beam_width > 1000000) {
    throw Error("The beam width is " + std::to_string(options_.beam_width) + "; expected 1 to 1000000.");
  }
  if (!(options_.cutoff_prob > 0 && options_.cutoff_prob <= 1)) {
    throw Error("cutoff_prob is " + std::to_string(options_.cutoff_prob) + "; expected more than 0 and at most 1.");
  }
  if (options_.cutoff_top_n < 1) throw Error("cutoff_top_n is 0; expected at least 1.");
  if (scorer_ && !weights_) throw Error("A scorer needs weights.");
  if (hot_words_) hot_bound_ = std::exp(hot_words_->max_step());
  if (scorer_) {
    is_strict_ = !weights_->oov_penalty;
    outside_penalty_ = is_strict_ ? 0 : BoundedExp(-*weights_->oov_penalty);
    outside_charge_ = weights_->outside_charge;
    word_bound_ = std::exp(weights_->beta);
    if (is_strict_ && weights_->letter_factor.empty()) least_added_ = 1 / std::max(1.0, word_bound_);
    is_plain_ = is_strict_ && !scorer_->is_bytes();
  }
  is_plain_ = is_plain_ && !hot_words_;
  label_probability_.resize(alphabet_->size());
  most_steps_ = 2 * options_.beam_width + 64;

  Restart();
}

void BeamSearch::Restart() {
  for (auto* numbers : {&free_prefixes_, &free_contexts_, &free_onsets_, &committed_tokens_, &committed_timesteps_}) {
    numbers->clear();
  }
  prefixes_.clear();
  contexts_.clear();
  onsets_.clear();
  frame_ = 0;
  has_begun_ = false;
  scale_ = 1;
  log_scale_ = 0;
  least_total_ = 0;
  root_ = NewPrefix();
  Prefix& root = prefixes_[root_];
  root.total = root.in_blank = 1;
  root.in_beam = true;
  root.onsets = root_onset_ = NewOnset(kNone, kNone);
  if (scorer_) root.context = NewContext(scorer_->begin_sentence());
  if (hot_words_) root.hot_state = hot_words_->start();
  beam_ = {root_};
}

// -------------------------------------------------------------------------------------------------------- a frame

void BeamSearch::Advance(const float* probabilities, size_t n_frames, size_t n_classes) {
  CheckFrames(probabilities, n_frames, n_classes);
  for (size_t i = 0; i < n_frames; ++i) AdvanceFrame(probabilities + i * n_classes);
}

void BeamSearch::CheckFrames(const float* probabilities, size_t n_frames, size_t n_classes) const {
  if (n_classes != static_cast<size_t>(blank_) + 1) {
    throw Error("The probabilities are of " + std::to_string(n_classes) + " classes, and the alphabet has " +
                std::to_string(blank_) + " labels, which with the blank make " + std::to_string(blank_ + 1) + ".");
  }
  for (size_t i = 0; i < n_frames * n_classes; ++i) {
    if (!(probabilities[i] >= 0 && probabilities[i] <= 1.001f)) {
      throw Error("The probability of class " + std::to_string(i % n_classes) + " in frame " +
                  std::to_string(frame_ + i / n_classes) + " is " + std::to_string(probabilities[i]) +
                  "; expected 0 to 1, as a softmax gives.");
    }
  }
}

void BeamSearch::AdvanceFrame(const float* frame) {
  has_begun_ |= frame[blank_] < kSilence;
  if (has_begun_) {
    log_scale_ -= std::log(scale_);
    ChooseLabels(frame);
    KeepPrefixes(frame);
    RankLabels();
    ExtendPrefixes();
    SelectBeam();
    if (frame_ % kFramesBetweenCommits == 0) CommitStart();
  }
  ++frame_;
}

// Cuts off the improbable labels: they begin nothing, but go on where they have begun.
void BeamSearch::ChooseLabels(const float* frame) {
  const size_t n_labels = label_probability_.size();
  if (options_.cutoff_prob >= 1 && options_.cutoff_top_n >= n_labels) {
    for (size_t label = 0; label < n_labels; ++label) label_probability_[label] = frame[label] * scale_;
    return;
  }
  ranked_.clear();
  for (size_t i = 0; i <= n_labels; ++i) ranked_.emplace_back(frame[i], static_cast<int32_t>(i));
  const size_t most = std::min(options_.cutoff_top_n, ranked_.size());
  std::partial_sort(ranked_.begin(), ranked_.begin() + most, ranked_.end(), std::greater<>());
  std::fill(label_probability_.begin(), label_probability_.end(), 0);
  double sum = 0;
  for (size_t i = 0; i < most && sum < options_.cutoff_prob; ++i) {
    const auto [probability, label] = ranked_[i];
    if (label != blank_) label_probability_[label] = probability * scale_;
    sum += probability;
  }
}

// Prefixes in the beam stay by a blank or by their last label again, or are reached from the one before.
void BeamSearch::KeepPrefixes(const float* frame) {
  const double blank = (frame[blank_] + static_cast<double>(FLT_MIN)) * scale_;
  double least = 1e300;
  best_total_ = 0;
  heard_again_.clear();
  kept_.clear();
  // As in 0.9.3: with a scorer and a full beam, what a prefix of small probability would add to another is left out.
  const double added = beam_.size() >= options_.beam_width ? least_total_ * blank * least_added_ : 0;
  for (const int32_t id : beam_) {
    const Prefix& prefix = prefixes_[id];
    const double stayed = prefix.total * blank;
    double repeated = 0, stepped = 0;
    if (prefix.label >= 0) {
      const double again = (frame[prefix.label] + static_cast<double>(FLT_MIN)) * scale_;
      repeated = prefix.total * again >= added ? prefix.in_label * again : 0;
      if (prefix.parent >= 0 && prefixes_[prefix.parent].in_beam) {
        const Prefix& parent = prefixes_[prefix.parent];
        if (parent.total * again >= added) {
          stepped = (parent.label == prefix.label ? parent.in_blank : parent.total) * label_probability_[prefix.label] *
                    prefix.factor;
        }
        // as in 0.9.3: the time of a label is that of its strongest beginning
        if (stepped > repeated && stepped + repeated >= stayed) heard_again_.emplace_back(id, parent.onsets);
      }
    }
    kept_.push_back({stayed, repeated + stepped, prefix.total, prefix.total * prefix.word_factor});
    least = std::min(least, kept_.back().total());
    best_total_ = std::max(best_total_, prefix.total);
  }
  threshold_ = std::max(beam_.size() >= options_.beam_width ? least : 0, kNegligible);
}

void BeamSearch::RankLabels() {
  ranked_.clear();
  const bool has_words = scorer_ && !scorer_->is_bytes();
  for (int32_t label = 0; label < blank_; ++label) {
    if (has_words && label == space_) continue;  // see ExtendBySpace
    const double probability = label_probability_[label];
    if (probability > 0 && (!is_plain_ || best_total_ * probability >= threshold_)) {
      ranked_.emplace_back(probability, label);
    }
  }
  std::sort(ranked_.begin(), ranked_.end(), std::greater<>());
}

// ------------------------------------------------------------------------------------------------- steps to labels

// Most prefixes are too improbable for any step; they are passed over without a look at them.
void BeamSearch::ExtendPrefixes() {
  const auto list_reaching = [this](double Kept::* probability, double factor) {
    reaching_.resize(beam_.size());
    size_t count = 0;
    for (size_t i = 0; i < beam_.size(); ++i) {
      reaching_[count] = beam_[i];
      count += kept_[i].*probability * factor >= threshold_;
    }
    reaching_.resize(count);
  };
  if (!ranked_.empty()) {
    list_reaching(&Kept::to_letters, is_plain_ ? ranked_[0].first : HUGE_VAL);
    for (const int32_t id : reaching_) scorer_ ? ExtendByDictionary(id) : ExtendFreely(id);
    if (scorer_ && (!is_strict_ || hot_words_)) {
      for (const int32_t id : reaching_) ExtendOutside(id);
    }
  }
  if (scorer_ && !scorer_->is_bytes()) {
    list_reaching(&Kept::to_space, label_probability_[space_] * hot_bound_);
    for (const int32_t id : reaching_) ExtendBySpace(id);
  }
}

void BeamSearch::ExtendFreely(int32_t id) {
  const double total = prefixes_[id].total;
  for (const auto& [probability, label] : ranked_) {
    if (total * probability * hot_bound_ < threshold_) break;
    ExtendTo(id, label, Dictionary::kRoot, 1, 1);
  }
}

void BeamSearch::ExtendByDictionary(int32_t id) {
  const Prefix& prefix = prefixes_[id];
  const bool is_bytes = scorer_->is_bytes();
  if (prefix.node == kOutside) return;
  const Dictionary& dictionary = scorer_->dictionary();
  const double total = prefix.total;
  const float* letter_factors = weights_->letter_factor.empty() ? nullptr : weights_->letter_factor.data();
  const auto extend = [&](uint32_t child, int32_t label) {
    const float factor = letter_factors ? letter_factors[child] : 1.0f;
    const double bound = is_bytes ? std::max(word_bound_, 1.0) / prefix.charged : factor;
    if (total * label_probability_[label] * std::max<double>(bound, factor) * hot_bound_ >= threshold_) {
      ExtendTo(id, label, child, factor, prefix.charged * factor);
    }
  };
  const uint32_t first = dictionary.first_child(prefix.node), last = dictionary.first_child(prefix.node + 1);
  if (last - first <= ranked_.size()) {
    for (uint32_t child = first; child < last; ++child) extend(child, static_cast<int32_t>(dictionary.label(child)));
    return;
  }
  for (const auto& [probability, label] : ranked_) {
    if (!is_bytes && total * probability * hot_bound_ < threshold_) break;
    const uint32_t child = dictionary.Child(prefix.node, static_cast<uint32_t>(label));
    if (child != Dictionary::kNone) extend(child, label);
  }
}

// Words outside the dictionary, where they are allowed: at a penalty, or as hot words.
void BeamSearch::ExtendOutside(int32_t id) {
  const Prefix& prefix = prefixes_[id];
  const bool was_outside = prefix.node == kOutside;
  const bool was_hot = hot_words_ && hot_words_->InPhrase(prefix.hot_state);
  const float charged = was_outside ? prefix.charged : outside_charge_;
  const double bound = prefix.total * charged / prefix.charged * hot_bound_;
  for (const auto& [probability, label] : ranked_) {
    if (!scorer_->is_bytes() && probability * bound < threshold_) break;
    if (!was_outside && scorer_->dictionary().Child(prefix.node, static_cast<uint32_t>(label)) != Dictionary::kNone) {
      continue;
    }
    const bool is_hot = hot_words_ && hot_words_->InPhrase(hot_words_->Next(prefix.hot_state, label));
    const bool is_charged_now = !is_hot && !(was_outside && !was_hot);
    if (is_strict_ && !is_hot) continue;
    ExtendTo(id, label, kOutside, (is_charged_now ? outside_penalty_ : 1) * charged / prefix.charged, charged);
  }
}

void BeamSearch::ExtendBySpace(int32_t id) {
  if (CompleteWord(id)) ExtendTo(id, space_, Dictionary::kRoot, prefixes_[id].word_factor, 1);
}

// Proposes the step of a prefix to a label, which leads to a node of the dictionary.
void BeamSearch::ExtendTo(int32_t id, int32_t label, uint32_t node, double factor, float charged) {
  const Prefix& prefix = prefixes_[id];
  Step step;
  step.parent = id;
  step.label = label;
  step.node = node;
  step.factor = factor;
  step.charged = charged;
  step.context = prefix.context;
  if (prefix.children >> (label % 64) & 1) {
    step.existing = FindChild(id, label);
    if (step.existing >= 0 && prefixes_[step.existing].in_beam) return;  // see KeepPrefixes
  }
  double base = (label == prefix.label ? prefix.in_blank : prefix.total) * label_probability_[label];
  double hot_factor = 1;
  if (hot_words_) {
    step.hot_state = hot_words_->Next(prefix.hot_state, label);
    hot_factor = std::exp(hot_words_->Step(prefix.hot_state, step.hot_state));
    base *= hot_factor;
  }
  if (scorer_ && scorer_->is_bytes()) {
    if (!CompleteBytes(base, &step)) return;
  } else if (scorer_ && label == space_) {
    step.context = prefix.word_context;
  }
  step.probability = base * step.factor;
  step.factor *= hot_factor;
  if (step.probability >= threshold_) Push(step);
}

// Scores the character that a byte completes, if it does; returns false where the step is too improbable for that.
bool BeamSearch::CompleteBytes(double base, Step* step) {
  const Prefix& prefix = prefixes_[step->parent];
  const bool is_outside = step->node == kOutside;
  step->missing_bytes = static_cast<int8_t>(MissingBytes(prefix.missing_bytes, step->label));
  const bool is_complete = step->missing_bytes == 0;
  // of what the step costs, only the charge of look-ahead is given back
  if (is_outside ? is_complete : scorer_->dictionary().is_word(step->node)) step->node = Dictionary::kRoot;
  if (!is_complete && step->node != Dictionary::kRoot) return true;
  step->factor /= step->charged;
  step->charged = 1;
  if (!is_complete) return true;  // a word of the dictionary that ends within a character
  Scorer::State next;
  step->factor *= BoundedExp(CharacterScore(step->parent, step->label, !is_outside, &next));
  if (base * step->factor < threshold_) return false;
  step->context = kNone;
  step->fresh_context = static_cast<int32_t>(fresh_contexts_.size());
  fresh_contexts_.push_back(next);
  return true;
}

void BeamSearch::Push(Step step) {
  steps_.push_back(step);
  if (steps_.size() >= most_steps_) RaiseThreshold();
}

// Finds what is at least needed to get into the beam, from all that is known so far.
void BeamSearch::RaiseThreshold() {
  scratch_.clear();
  for (const Kept& kept : kept_) scratch_.push_back(kept.total());
  for (const Step& step : steps_) scratch_.push_back(step.probability);
  const auto last = scratch_.begin() + static_cast<ptrdiff_t>(options_.beam_width - 1);
  std::nth_element(scratch_.begin(), last, scratch_.end(), std::greater<>());
  threshold_ = std::max(threshold_, *last);
  const auto too_small = [this](const Step& step) { return step.probability < threshold_; };
  steps_.erase(std::remove_if(steps_.begin(), steps_.end(), too_small), steps_.end());
  most_steps_ = std::max(most_steps_, 2 * steps_.size());  // ties are all kept
}

// -------------------------------------------------------------------------------------------------------- the beam

void BeamSearch::SelectBeam() {
  ranking_.clear();
  for (size_t i = 0; i < kept_.size(); ++i) ranking_.emplace_back(kept_[i].total(), static_cast<int32_t>(i));
  for (size_t i = 0; i < steps_.size(); ++i) ranking_.emplace_back(steps_[i].probability, ~static_cast<int32_t>(i));
  const size_t width = std::min(options_.beam_width, ranking_.size());
  if (width < ranking_.size()) {
    const auto is_better = [](const auto& a, const auto& b) { return a.first > b.first; };
    std::nth_element(ranking_.begin(), ranking_.begin() + static_cast<ptrdiff_t>(width), ranking_.end(), is_better);
  }
  double best = 0, least = 1e300;
  next_beam_.clear();
  for (size_t i = 0; i < width; ++i) {
    const auto [probability, index] = ranking_[i];
    best = std::max(best, probability);
    least = std::min(least, probability);
    if (index < 0) {
      next_beam_.push_back(Enter(steps_[static_cast<size_t>(~index)]));
    } else if (probability > kNegligible) {
      Prefix& prefix = prefixes_[beam_[static_cast<size_t>(index)]];
      prefix.in_blank = kept_[static_cast<size_t>(index)].in_blank;
      prefix.in_label = kept_[static_cast<size_t>(index)].in_label;
      prefix.total = probability;
      next_beam_.push_back(beam_[static_cast<size_t>(index)]);
      beam_[static_cast<size_t>(index)] = kNone;
    }
  }
  for (const int32_t id : beam_) {
    if (id >= 0) prefixes_[id].in_beam = false;
  }
  UpdateOnsets();
  for (const int32_t id : beam_) {
    if (id >= 0) Leave(id);
  }
  beam_.swap(next_beam_);
  steps_.clear();
  fresh_contexts_.clear();
  least_total_ = least;
  scale_ = 1 / best;
}

int32_t BeamSearch::Enter(const Step& step) {
  int32_t id = step.existing;
  if (id < 0) {
    id = NewPrefix();
    Prefix& prefix = prefixes_[id];
    Prefix& parent = prefixes_[step.parent];
    prefix.parent = step.parent;
    prefix.next_sibling = parent.first_child;
    parent.first_child = id;
    parent.children |= uint64_t{1} << (step.label % 64);
    prefix.label = step.label;
    prefix.node = step.node;
    prefix.factor = step.factor;
    prefix.charged = step.charged;
    prefix.hot_state = step.hot_state;
    prefix.missing_bytes = step.missing_bytes;
    if (scorer_ && step.label != space_) {
      const bool may_end = !is_strict_ || hot_words_ || scorer_->dictionary().is_word(step.node);
      prefix.word_factor = may_end ? word_bound_ / step.charged : 0;
    }
    if (step.fresh_context >= 0) {
      prefix.context = NewContext(fresh_contexts_[static_cast<size_t>(step.fresh_context)]);
    } else if (step.context >= 0) {
      prefix.context = step.context;
      UseContext(step.context);
    }
  }
  Prefix& prefix = prefixes_[id];
  prefix.in_blank = 0;
  prefix.in_label = prefix.total = step.probability;
  prefix.in_beam = true;
  prefix.onsets = NewOnset(prefixes_[step.parent].onsets, frame_);
  return id;
}

// Onsets are made before any is released, since they are made of each other.
void BeamSearch::UpdateOnsets() {
  for (auto& [id, before] : heard_again_) before = prefixes_[id].in_beam ? NewOnset(before, frame_) : kNone;
  for (const auto& [id, onsets] : heard_again_) {
    if (onsets < 0) continue;
    ReleaseOnset(prefixes_[id].onsets);
    prefixes_[id].onsets = onsets;
  }
}

void BeamSearch::Leave(int32_t id) {
  Prefix& prefix = prefixes_[id];
  prefix.total = prefix.in_blank = prefix.in_label = 0;
  ReleaseOnset(prefix.onsets);
  prefix.onsets = kNone;
  // a prefix with onsets is in the beam, or about to leave it by itself
  for (int32_t at = id; at != root_ && prefixes_[at].onsets < 0 && prefixes_[at].first_child < 0;) {
    const int32_t parent = prefixes_[at].parent;
    Free(at);
    at = parent;
  }
}

// Takes a prefix without children out of the tree.
void BeamSearch::Free(int32_t id) {
  Prefix& parent = prefixes_[prefixes_[id].parent];
  int32_t* link = &parent.first_child;
  while (*link != id) link = &prefixes_[*link].next_sibling;
  *link = prefixes_[id].next_sibling;
  parent.children &= ~(uint64_t{1} << (prefixes_[id].label % 64));
  for (int32_t child = parent.first_child; child >= 0 && blank_ > 64; child = prefixes_[child].next_sibling) {
    parent.children |= uint64_t{1} << (prefixes_[child].label % 64);
  }
  ReleaseContext(prefixes_[id].context);
  ReleaseContext(prefixes_[id].word_context);
  free_prefixes_.push_back(id);
}

// Takes what all prefixes begin with out of the tree, so that memory does not grow with the utterance.
void BeamSearch::CommitStart() {
  while (!prefixes_[root_].in_beam && prefixes_[prefixes_[root_].first_child].next_sibling < 0) {
    const int32_t next = prefixes_[root_].first_child;
    if (prefixes_[root_].label >= 0) committed_tokens_.push_back(prefixes_[root_].label);
    ReleaseContext(prefixes_[root_].context);
    ReleaseContext(prefixes_[root_].word_context);
    free_prefixes_.push_back(root_);
    prefixes_[next].parent = kNone;
    root_ = next;
  }
  std::vector<int32_t> path;
  for (int32_t at = prefixes_[beam_[0]].onsets; at != root_onset_; at = onsets_[at].before) path.push_back(at);
  while (!path.empty() && onsets_[root_onset_].users == 1) {
    free_onsets_.push_back(root_onset_);
    root_onset_ = path.back();
    path.pop_back();
    onsets_[root_onset_].before = kNone;
    committed_timesteps_.push_back(onsets_[root_onset_].frame);
  }
}

// ------------------------------------------------------------------------------------------------------- the scorer

// Asks what the end of the present word is worth; returns whether it can end here.
bool BeamSearch::CompleteWord(int32_t id) {
  if (prefixes_[id].word_context == kNone) {
    Scorer::State next;
    const std::optional<double> score = WordScore(prefixes_[id], &next);
    const int32_t context = score ? NewContext(next) : kImpossible;
    prefixes_[id].word_context = context;
    prefixes_[id].word_factor = score ? BoundedExp(*score) / prefixes_[id].charged : 0;
  }
  return prefixes_[id].word_context >= 0;
}

std::optional<double> BeamSearch::WordScore(const Prefix& prefix, Scorer::State* next) const {
  const Scorer::State& context = contexts_[prefix.context].state;
  const Dictionary& dictionary = scorer_->dictionary();
  const bool is_outside = prefix.node == kOutside;
  const uint32_t word = is_outside ? Dictionary::kNone : dictionary.word(prefix.node);
  if (word != Dictionary::kNone && (word != 0 || is_strict_)) {
    const double ln_p = scorer_->Score(context, word, next);
    return weights_->alpha * (word == 0 ? Scorer::kOutOfVocabulary : ln_p) + weights_->beta;
  }
  const bool is_hot = hot_words_ && hot_words_->IsWholeWord(prefix.hot_state);
  if (is_strict_ && !is_hot) return std::nullopt;
  const bool is_paid = is_hot || (is_outside && !(hot_words_ && hot_words_->InPhrase(prefix.hot_state)));
  return weights_->alpha * scorer_->Score(context, 0, next) + weights_->beta - (is_paid ? 0 : *weights_->oov_penalty);
}

// Returns the score of the character that a byte completes.
double BeamSearch::CharacterScore(int32_t id, int32_t label, bool is_known, Scorer::State* next) const {
  std::string reversed(1, static_cast<char>(label + 1));
  size_t n_committed = committed_tokens_.size();
  for (int32_t at = id; (reversed.back() & 0xC0) == 0x80 && reversed.size() < 4;) {
    int32_t before = kNone;
    if (at >= 0) {
      before = prefixes_[at].label;
      at = prefixes_[at].parent;
    } else if (n_committed > 0) {
      before = committed_tokens_[--n_committed];
    }
    if (before < 0) break;
    reversed.push_back(static_cast<char>(before + 1));
  }
  const uint32_t word = scorer_->Word(std::string(reversed.rbegin(), reversed.rend()));
  const double ln_p = scorer_->Score(contexts_[prefixes_[id].context].state, word, next);
  const bool is_out = word == 0 && is_strict_ && is_known;
  return weights_->alpha * (is_out ? Scorer::kOutOfVocabulary : ln_p) + weights_->beta;
}

// Returns ln of the probability of a prefix as the whole utterance.
double BeamSearch::FinalScore(int32_t id) {
  double score = std::log(prefixes_[id].total);
  const int32_t label = prefixes_[id].label;
  if (scorer_) {
    const bool is_open = scorer_->is_bytes() ? prefixes_[id].missing_bytes > 0 : label >= 0 && label != space_;
    if (is_open && !scorer_->is_bytes() && CompleteWord(id)) {
      score += std::log(prefixes_[id].word_factor);
    } else {
      score -= std::log(prefixes_[id].charged);
      if (is_open) score += weights_->alpha * Scorer::kOutOfVocabulary + weights_->beta;
    }
  }
  if (hot_words_) score += hot_words_->End(prefixes_[id].hot_state, label);
  return score;
}

std::vector<Candidate> BeamSearch::Decode(size_t count) {
  ranking_.clear();
  for (const int32_t id : beam_) ranking_.emplace_back(FinalScore(id), id);
  count = std::min(count, ranking_.size());
  std::partial_sort(ranking_.begin(), ranking_.begin() + static_cast<ptrdiff_t>(count), ranking_.end(),
                    std::greater<>());
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < count; ++i) {
    const auto [score, id] = ranking_[i];
    Candidate candidate{{}, {}, score + log_scale_};
    for (int32_t at = id; at >= 0; at = prefixes_[at].parent) {
      if (prefixes_[at].label >= 0) candidate.tokens.push_back(prefixes_[at].label);
    }
    for (int32_t at = prefixes_[id].onsets; at != root_onset_; at = onsets_[at].before) {
      candidate.timesteps.push_back(onsets_[at].frame);
    }
    const auto finish = [](const std::vector<int>& committed, std::vector<int>* reversed) {
      reversed->insert(reversed->end(), committed.rbegin(), committed.rend());
      std::reverse(reversed->begin(), reversed->end());
    };
    finish(committed_tokens_, &candidate.tokens);
    finish(committed_timesteps_, &candidate.timesteps);
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

// ------------------------------------------------------------------------------------------------------ the arenas

int32_t BeamSearch::FindChild(int32_t parent, int32_t label) const {
  int32_t child = prefixes_[parent].first_child;
  while (child >= 0 && prefixes_[child].label != label) child = prefixes_[child].next_sibling;
  return child;
}

int32_t BeamSearch::NewPrefix() {
  if (free_prefixes_.empty()) {
    prefixes_.emplace_back();
    return static_cast<int32_t>(prefixes_.size()) - 1;
  }
  const int32_t id = free_prefixes_.back();
  free_prefixes_.pop_back();
  prefixes_[id] = Prefix();
  return id;
}

int32_t BeamSearch::NewContext(const Scorer::State& state) {
  if (free_contexts_.empty()) {
    contexts_.push_back({state, 1});
    return static_cast<int32_t>(contexts_.size()) - 1;
  }
  const int32_t context = free_contexts_.back();
  free_contexts_.pop_back();
  contexts_[context] = {state, 1};
  return context;
}

void BeamSearch::ReleaseContext(int32_t context) {
  if (context >= 0 && --contexts_[context].users == 0) free_contexts_.push_back(context);
}

int32_t BeamSearch::NewOnset(int32_t before, int32_t frame) {
  if (before >= 0) ++onsets_[before].users;
  if (free_onsets_.empty()) {
    onsets_.push_back({before, frame, 1});
    return static_cast<int32_t>(onsets_.size()) - 1;
  }
  const int32_t onset = free_onsets_.back();
  free_onsets_.pop_back();
  onsets_[onset] = {before, frame, 1};
  return onset;
}

void BeamSearch::ReleaseOnset(int32_t onset) {
  while (onset >= 0 && --onsets_[onset].users == 0) {
    free_onsets_.push_back(onset);
    onset = onsets_[onset].before;
  }
}

// --------------------------------------------------------------------------------------------------------- batches

std::vector<std::vector<Candidate>> DecodeBatch(std::shared_ptr<const Alphabet> alphabet, const SearchOptions& options,
                                                const float* probabilities, const std::vector<size_t>& lengths,
                                                size_t n_frames, size_t n_classes, size_t count, size_t n_threads) {
  std::vector<std::vector<Candidate>> results(lengths.size());
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      BeamSearch search(alphabet, options);
      for (size_t i = next++; i < lengths.size(); i = next++) {
        search.Restart();
        search.Advance(probabilities + i * n_frames * n_classes, lengths[i], n_classes);
        results[i] = search.Decode(count);
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(n_threads, lengths.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
  return results;
}

}  // namespace deepspeech
