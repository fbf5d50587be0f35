#include "ctcdecode/hot_words.h"

#include <algorithm>
#include <cmath>

#include "ctcdecode/error.h"

namespace deepspeech {
namespace {

constexpr int kMostAtOnce = 300;  // so that no probability leaves the range of a double

}  // namespace

HotWords::HotWords(const std::vector<std::pair<std::string, double>>& boosts, const Alphabet& alphabet, double scale)
    : space_(alphabet.is_bytes() ? -1 : alphabet.space()), states_(1) {
  for (const auto& [phrase, boost] : boosts) {
    if (!std::isfinite(boost) || std::abs(boost) > 100) {
      throw Error("The boost of the hot word " + Quoted(phrase) + " is " + std::to_string(boost) +
                  "; expected a number from -100 to 100.");
    }
    if (phrase.empty() || phrase.front() == ' ' || phrase.back() == ' ' || phrase.find("  ") != std::string::npos) {
      throw Error("The hot word " + Quoted(phrase) +
                  " is empty or has spaces to spare; expected words with one space between.");
    }
    std::vector<int> pattern = alphabet.Encode(phrase);
    if (space_ >= 0) {
      pattern.insert(pattern.begin(), space_);
      pattern.push_back(space_);
    }
    Add(pattern, boost * scale);
  }
  Link();
  start_ = space_ >= 0 ? Next(0, space_) : 0;
  for (const State& state : states_) max_step_ = std::max(max_step_, state.gain + state.credit);
  if (!(max_step_ <= kMostAtOnce)) {
    throw Error("The boosts of hot words that end together add up to " + std::to_string(max_step_) + "; expected " +
                std::to_string(kMostAtOnce) + " at most: give smaller ones.");
  }
}

int32_t HotWords::FindNext(int32_t state, int label) const {
  for (const auto& [next_label, next] : states_[state].next) {
    if (next_label == label) return next;
  }
  return -1;
}

void HotWords::Add(const std::vector<int>& pattern, double boost) {
  const int boundaries = space_ >= 0 ? 1 : 0;  // the space before is no progress yet
  int32_t state = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    int32_t next = FindNext(state, pattern[i]);
    if (next < 0) {
      next = static_cast<int32_t>(states_.size());
      states_[state].next.emplace_back(pattern[i], next);
      states_.emplace_back();
      states_[next].depth = static_cast<int>(i) + 1;
    }
    state = next;
    const bool complete = i + 1 == pattern.size();
    if (!complete) {
      const double progress = static_cast<double>(i + 1 - boundaries) / (pattern.size() - boundaries);
      states_[state].credit = std::max(states_[state].credit, boost * progress);
    }
  }
  states_[state].gain += boost;
}

// Breadth first, so that the failure of a state is complete before those of its children.
void HotWords::Link() {
  std::vector<int32_t> queue = {0};
  for (size_t i = 0; i < queue.size(); ++i) {
    const int32_t state = queue[i];
    for (const auto& [label, next] : states_[state].next) {
      states_[next].failure = state == 0 ? 0 : Next(states_[state].failure, label);
      states_[next].gain += states_[states_[next].failure].gain;
      queue.push_back(next);
    }
  }
}

int32_t HotWords::Next(int32_t state, int label) const {
  for (;; state = states_[state].failure) {
    const int32_t next = FindNext(state, label);
    if (next >= 0) return next;
    if (state == 0) return 0;
  }
}

bool HotWords::IsWholeWord(int32_t state) const {
  for (; InPhrase(state); state = states_[state].failure) {
    if (FindNext(state, space_) >= 0) return true;
  }
  return false;
}

double HotWords::End(int32_t state, int last_label) const {
  if (space_ < 0 || last_label == space_) return -states_[state].credit;
  return states_[Next(state, space_)].gain - states_[state].credit;
}

}  // namespace deepspeech
