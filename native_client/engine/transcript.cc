#include "engine/transcript.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace deepspeech {

Recognition::Recognition(std::shared_ptr<const Alphabet> alphabet, SearchOptions options, double frame_seconds)
    : alphabet_(alphabet), search_(std::move(alphabet), std::move(options)), frame_seconds_(frame_seconds) {}

void Recognition::Advance(const float* probabilities, size_t n_frames) {
  const size_t n_classes = alphabet_->size() + 1;
  search_.Advance(probabilities, n_frames, n_classes);
  probabilities_.insert(probabilities_.end(), probabilities, probabilities + n_frames * n_classes);
}

std::vector<Transcript> Recognition::Decode(size_t n_results) {
  std::vector<Transcript> transcripts;
  for (const Candidate& candidate : search_.Decode(n_results)) transcripts.push_back(Describe(candidate));
  return transcripts;
}

// Looks for a label between its onset and that of the next one.
Recognition::Span Recognition::FindSpan(int label, int begin, int end) const {
  const int n_classes = alphabet_->size() + 1;
  const auto at = [&](int frame) { return &probabilities_[size_t(frame) * n_classes]; };
  int best = begin;
  for (int frame = begin + 1; frame < end; ++frame) {
    if (at(frame)[label] > at(best)[label]) best = frame;
  }
  const auto is_likeliest = [&](int frame) {
    return std::max_element(at(frame), at(frame) + n_classes) == at(frame) + label;
  };
  Span span{best, best + 1, at(best)[label]};
  while (span.begin > begin && is_likeliest(span.begin - 1)) --span.begin;
  while (span.end < end && is_likeliest(span.end)) ++span.end;
  return span;
}

Transcript Recognition::Describe(const Candidate& candidate) const {
  const int n_frames = static_cast<int>(probabilities_.size() / (alphabet_->size() + 1));
  Transcript transcript{alphabet_->Decode(candidate.tokens), candidate.confidence, {}, {}};
  double log_sum = 0;
  int letters = 0;  // of the present word
  for (size_t i = 0; i < candidate.tokens.size(); ++i) {
    const int label = candidate.tokens[i], onset = candidate.timesteps[i];
    transcript.tokens.push_back({alphabet_->labels()[label], onset, onset * frame_seconds_});
    if (label == alphabet_->space()) {
      letters = 0;
      continue;
    }
    const int next = i + 1 < candidate.tokens.size() ? candidate.timesteps[i + 1] : n_frames;
    const Span span = FindSpan(label, onset, std::max(next, onset + 1));
    if (letters == 0) {
      transcript.words.push_back({"", span.begin * frame_seconds_, 0, 0});
      log_sum = 0;
    }
    log_sum += std::log(std::max(span.confidence, 1e-30f));
    Word& word = transcript.words.back();
    word.text += alphabet_->labels()[label];
    word.end = span.end * frame_seconds_;
    word.confidence = std::exp(log_sum / ++letters);
  }
  return transcript;
}

}  // namespace deepspeech
