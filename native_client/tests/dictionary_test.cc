// Tests how an automaton becomes a trie.

#include "ctcdecode/dictionary.h"

#include <string>

#include "check.h"
#include "ctcdecode/error.h"

namespace {

using deepspeech::Automaton;
using deepspeech::Dictionary;

constexpr uint32_t kSpace = 0;

std::string Refusal(const Automaton& automaton, uint32_t end_label, uint64_t max_nodes) {
  try {
    Dictionary dictionary(automaton, end_label, max_nodes);
    dictionary.NumberWords([](const std::vector<int>&) { return 1; });
    return "";
  } catch (const deepspeech::Error& error) {
    return error.what();
  }
}

// The words 12, 132 and 2, which share the state before their end.
Automaton ThreeWords() {
  Automaton automaton;
  automaton.states = {{false, 0, 2}, {false, 2, 2}, {false, 4, 1}, {false, 5, 1}, {true, 6, 0}};
  automaton.arcs = {{1, 1}, {2, 3}, {2, 3}, {3, 2}, {2, 3}, {kSpace, 4}};
  return automaton;
}

void TestUnfolding() {
  Dictionary dictionary(ThreeWords(), kSpace, 100);
  CHECK_EQUAL(dictionary.size(), 6u);  // the root, 1, 2, 12, 13, 132
  const uint32_t one = dictionary.Child(Dictionary::kRoot, 1), two = dictionary.Child(Dictionary::kRoot, 2);
  CHECK(!dictionary.is_word(one) && dictionary.is_word(two) && !dictionary.is_word(Dictionary::kRoot));
  CHECK_EQUAL(dictionary.Child(Dictionary::kRoot, 3), Dictionary::kNone);
  CHECK_EQUAL(dictionary.Child(two, 2), Dictionary::kNone);
  CHECK_EQUAL(dictionary.first_child(two), dictionary.first_child(two + 1));
  dictionary.NumberWords([](const std::vector<int>& labels) {
    uint32_t number = 0;
    for (const int label : labels) number = 10 * number + static_cast<uint32_t>(label);
    return number;
  });
  const uint32_t deep = dictionary.Child(dictionary.Child(one, 3), 2);
  CHECK_EQUAL(dictionary.word(deep), 132u);
  CHECK_EQUAL(dictionary.word(dictionary.Child(one, 2)), 12u);
  const std::vector<float> best = dictionary.BestBelow([](uint32_t word) { return -static_cast<float>(word); });
  CHECK_EQUAL(best[Dictionary::kRoot], -2.0f);
  CHECK_EQUAL(best[one], -12.0f);
  CHECK_EQUAL(best[dictionary.Child(one, 3)], -132.0f);
}

void TestWordsThatEndWithTheirState() {
  Automaton automaton = ThreeWords();
  automaton.states[3].is_final = true;
  const Dictionary dictionary(automaton, Dictionary::kNone, 100);
  const uint32_t two = dictionary.Child(Dictionary::kRoot, 2);
  CHECK(dictionary.is_word(two));
  CHECK_EQUAL(dictionary.first_child(two), dictionary.first_child(two + 1));  // what follows is another word
}

void TestBounds() {
  Automaton circle;
  circle.states = {{false, 0, 1}};
  circle.arcs = {{1, 0}};
  CHECK(Refusal(circle, kSpace, 100000).find("more words than its language model") != std::string::npos);
  Automaton doubling;  // 2^40 words in 41 states
  for (uint32_t i = 0; i < 40; ++i) {
    doubling.states.push_back({false, 2 * i, 2});
    doubling.arcs.push_back({1, i + 1});
    doubling.arcs.push_back({2, i + 1});
  }
  doubling.states.push_back({true, 80, 0});
  CHECK(Refusal(doubling, Dictionary::kNone, 100000).find("more words than its language model") != std::string::npos);
  Automaton chain;
  for (uint32_t i = 0; i < 2000; ++i) {
    chain.states.push_back({false, i, 1});
    chain.arcs.push_back({1, i + 1});
  }
  chain.states.push_back({true, 2000, 0});
  CHECK_EQUAL(Refusal(chain, Dictionary::kNone, 100000), "a word of its dictionary has more than 1000 labels");
  Automaton nothing;
  nothing.states = {{false, 0, 0}};
  CHECK_EQUAL(Refusal(nothing, kSpace, 100), "its dictionary has no words");
}

}  // namespace

int main() {
  TestUnfolding();
  TestWordsThatEndWithTheirState();
  TestBounds();
}
