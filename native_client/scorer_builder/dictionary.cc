#include "scorer_builder/dictionary.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "ctcdecode/error.h"

namespace deepspeech::scorer_builder {
namespace {

// Minimises while it reads sorted words (Daciuk, Mihov, Watson and Watson 2000): once the next word leaves a branch,
// nothing can be added to it, so its states are looked up from the leaf up among those already finished. Finished
// states are numbered as they come, targets before sources; the caller turns the numbers around.
class Minimizer {
 public:
  Minimizer() : finished_(0, Hash{this}, Equal{this}), path_(1) {}

  void Add(const Spelling& word) {
    const size_t shared = std::mismatch(word.begin(), word.end(), last_.begin(), last_.end()).first - word.begin();
    Finish(shared);
    path_.resize(word.size() + 1);
    for (size_t i = shared; i < word.size(); ++i) {
      path_[i].arcs.push_back({word[i], 0});
      path_[i + 1] = {};
    }
    path_.back().final = true;
    last_ = word;
  }

  Dictionary Take() {
    Finish(0);
    Number(path_[0]);
    return std::move(built_);
  }

 private:
  struct Open {
    std::vector<Dictionary::Arc> arcs;
    bool final = false;
  };
  struct Hash {
    const Minimizer* of;
    size_t operator()(uint32_t state) const {
      const Dictionary::State& s = of->built_.states[state];
      uint64_t hash = s.final;
      for (uint32_t i = s.first_arc; i < s.first_arc + s.arc_count; ++i) {
        const Dictionary::Arc& arc = of->built_.arcs[i];
        hash = (hash ^ (uint64_t{arc.target} << 32 | static_cast<uint32_t>(arc.label))) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
      }
      return hash;
    }
  };
  struct Equal {
    const Minimizer* of;
    bool operator()(uint32_t a, uint32_t b) const {
      const Dictionary::State &s = of->built_.states[a], &t = of->built_.states[b];
      const auto arc = of->built_.arcs.begin();
      return s.final == t.final && s.arc_count == t.arc_count &&
             std::equal(arc + s.first_arc, arc + s.first_arc + s.arc_count, arc + t.first_arc,
                        [](const auto& x, const auto& y) { return x.label == y.label && x.target == y.target; });
    }
  };

  // Finishes the states of the last word that lie deeper than `depth`.
  void Finish(size_t depth) {
    while (path_.size() > depth + 1) {
      const uint32_t state = Number(path_.back());
      const auto [first, is_new] = finished_.insert(state);
      if (!is_new) {
        built_.arcs.resize(built_.states[state].first_arc);
        built_.states.pop_back();
      }
      path_.pop_back();
      path_.back().arcs.back().target = *first;
    }
  }

  uint32_t Number(const Open& open) {
    built_.states.push_back(
        {static_cast<uint32_t>(built_.arcs.size()), static_cast<uint32_t>(open.arcs.size()), open.final});
    built_.arcs.insert(built_.arcs.end(), open.arcs.begin(), open.arcs.end());
    if (built_.arcs.size() >= std::numeric_limits<int32_t>::max()) {
      throw Error("The dictionary of these words has more than 2^31 arcs: give fewer words.");
    }
    return static_cast<uint32_t>(built_.states.size() - 1);
  }

  Dictionary built_;
  std::unordered_set<uint32_t, Hash, Equal> finished_;
  std::vector<Open> path_;  // the states of the last word, from the start
  Spelling last_;
};

// Puts the start, which was finished last, first.
Dictionary Reversed(const Dictionary& built) {
  Dictionary out;
  out.states.reserve(built.states.size());
  out.arcs.reserve(built.arcs.size());
  const auto last = static_cast<uint32_t>(built.states.size() - 1);
  for (auto state = built.states.rbegin(); state != built.states.rend(); ++state) {
    out.states.push_back({static_cast<uint32_t>(out.arcs.size()), state->arc_count, state->final});
    for (uint32_t i = state->first_arc; i < state->first_arc + state->arc_count; ++i) {
      out.arcs.push_back({built.arcs[i].label, last - built.arcs[i].target});
    }
  }
  return out;
}

}  // namespace

Dictionary MakeDictionary(std::vector<Spelling> words) {
  if (words.empty()) {
    throw Error("There are no words, expected at least one that the alphabet can write.");
  }
  std::sort(words.begin(), words.end());
  if (words.front().empty()) {
    throw Error("A word is empty, expected at least one label.");
  }
  Minimizer minimizer;
  for (const Spelling& word : words) {
    minimizer.Add(word);
  }
  return Reversed(minimizer.Take());
}

}  // namespace deepspeech::scorer_builder
