#include "scorers.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "check.h"
#include "ctcdecode/error.h"
#include "scorer_builder/language_model.h"
#include "scorer_builder/scorer_file.h"

namespace deepspeech::tests {
namespace {

const std::vector<std::string> kSentences = {"a cat saw the cat", "the cat's paw then saw a cat", "then a paw"};
const std::vector<std::string> kCharacters = {"h \xC3\xA9 \xE5\xB1\xB1 h",
                                              "\xE6\xB0\xB4 \xE5\xB1\xB1 \xF0\x9F\x98\x80"};

std::vector<std::string> Split(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// Writes the n-grams of some sentences, with numbers that are no probabilities but differ.
void WriteArpa(const std::vector<std::string>& sentences, unsigned order, const std::string& path) {
  std::vector<std::set<std::string>> ngrams(order);
  ngrams[0] = {"<unk>"};
  for (const std::string& sentence : sentences) {
    const std::vector<std::string> words = Split("<s> " + sentence + " </s>");
    for (size_t begin = 0; begin < words.size(); ++begin) {
      std::string ngram;
      for (size_t n = 0; n < order && begin + n < words.size(); ++n) {
        ngram += (n ? " " : "") + words[begin + n];
        ngrams[n].insert(ngram);
      }
    }
  }
  std::ofstream out(path);
  out << "\\data\\\n";
  for (unsigned n = 0; n < order; ++n) out << "ngram " << n + 1 << "=" << ngrams[n].size() << "\n";
  for (unsigned n = 0; n < order; ++n) {
    out << "\n\\" << n + 1 << "-grams:\n";
    int i = 0;
    for (const std::string& ngram : ngrams[n]) {
      out << -0.25 - 0.0625 * ++i << "\t" << ngram;
      const bool is_end = ngram.find("</s>") != std::string::npos;
      if (n + 1 < order) out << "\t" << (is_end ? 0 : -0.125 - 0.03125 * i);
      out << "\n";
    }
  }
  out << "\n\\end\\\n";
}

std::vector<float> Rows(std::vector<float> frames, size_t n_classes) {
  for (auto row = frames.begin(); row != frames.end(); row += static_cast<ptrdiff_t>(n_classes)) {
    float sum = 0;
    for (size_t i = 0; i < n_classes; ++i) sum += row[static_cast<ptrdiff_t>(i)];
    for (size_t i = 0; i < n_classes; ++i) row[static_cast<ptrdiff_t>(i)] /= sum;
  }
  return frames;
}

// Asks for words of the dictionary and others, one after the other.
void AskLanguageModel(const Scorer& scorer, uint32_t seed) {
  std::minstd_rand random(seed);
  const Dictionary& dictionary = scorer.dictionary();
  std::vector<uint32_t> words = {0};
  for (uint32_t node = 0; node < dictionary.size() && words.size() < 300; ++node) {
    if (dictionary.is_word(node)) words.push_back(dictionary.word(node));
  }
  Scorer::State context = scorer.begin_sentence();
  for (int i = 0; i < 200; ++i) {
    Scorer::State next;
    CHECK(scorer.Score(context, words[random() % words.size()], &next) <= 0);
    CHECK(scorer.ScoreEnd(next) <= 0);
    context = next;
  }
}

void DecodeSome(const std::shared_ptr<const Scorer>& scorer, const std::shared_ptr<const Alphabet>& alphabet,
                uint32_t seed) {
  constexpr size_t kFrames = 12;
  const std::vector<float> frames = SpelledFrames(*scorer, *alphabet, kFrames, seed);
  for (const bool look_ahead : {false, true}) {
    for (const std::optional<double> oov_penalty : {std::optional<double>(), std::optional<double>(3)}) {
      SearchOptions options;
      options.beam_width = 16;
      options.scorer = scorer;
      options.weights = scorer->MakeWeights(1.25, 0.5, oov_penalty, look_ahead);
      BeamSearch search(alphabet, options);
      search.Advance(frames.data(), kFrames, static_cast<size_t>(alphabet->size()) + 1);
      CheckCandidates(search.Decode(16), *alphabet, kFrames);
    }
  }
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string path = (std::filesystem::temp_directory_path() / "deepspeech-XXXXXX").string();
  CHECK(mkdtemp(path.data()) != nullptr);
  path_ = path;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

std::shared_ptr<const Alphabet> Letters() {
  std::vector<std::string> labels = {" "};
  for (char letter = 'a'; letter <= 'z'; ++letter) labels.emplace_back(1, letter);
  labels.emplace_back("'");
  return std::make_shared<const Alphabet>(labels);
}

std::shared_ptr<const Alphabet> Bytes() { return std::make_shared<const Alphabet>(Alphabet::Bytes()); }

void Build(const TinyScorer& tiny, const TemporaryFolder& folder, const std::string& path) {
  const std::vector<std::string>& sentences = tiny.is_bytes ? kCharacters : kSentences;
  const std::string arpa = folder / "arpa", binary = folder / "binary";
  WriteArpa(sentences, tiny.order, arpa);
  scorer_builder::WriteBinary(
      {arpa, binary, folder.path(), tiny.type, tiny.quantization_bits, tiny.pointer_bits, uint64_t{1} << 20});
  const auto alphabet = tiny.is_bytes ? Bytes() : Letters();
  std::vector<scorer_builder::Spelling> words;
  for (const std::string& sentence : sentences) {
    for (const std::string& word : Split(sentence)) words.push_back(alphabet->Encode(word));
  }
  const auto labels = tiny.is_bytes ? std::vector<std::string>() : alphabet->labels();
  scorer_builder::WriteScorer({binary, words, labels, alphabet->space(), 0.75, 1.25}, path);
}

std::vector<TinyScorer> AllKinds() {
  std::vector<TinyScorer> kinds;
  for (const bool is_bytes : {false, true}) {
    for (const unsigned order : {2, 3, 5}) {
      kinds.push_back({order, is_bytes, "probing", 0, 0});
      for (const int quantization_bits : {0, 3}) {
        for (const int pointer_bits : {0, 2, 64}) {
          kinds.push_back({order, is_bytes, "trie", quantization_bits, pointer_bits});
        }
      }
    }
  }
  return kinds;
}

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  CHECK(file.good());
}

std::string WithoutExtension(const std::string& scorer) { return scorer.substr(0, scorer.find("DSSCORER")); }

std::string LoadAndDecode(const std::string& path, uint32_t seed) {
  try {
    const auto alphabet = ReadScorerFile(path).is_bytes ? Bytes() : Letters();
    const auto scorer = std::make_shared<const Scorer>(path, *alphabet);
    AskLanguageModel(*scorer, seed);
    DecodeSome(scorer, alphabet, seed);
    return "";
  } catch (const Error& error) {
    const std::string message = error.what();
    std::cerr << (std::getenv("DEEPSPEECH_SHOW_ERRORS") ? message + "\n" : "");
    CHECK(message.find(path) != std::string::npos);
    CHECK(message.back() == '.' && message.find('\n') == std::string::npos);
    return message;
  }
}

std::vector<float> SpelledFrames(const Scorer& scorer, const Alphabet& alphabet, size_t n_frames, uint32_t seed) {
  std::minstd_rand random(seed);
  const Dictionary& dictionary = scorer.dictionary();
  const auto n_classes = static_cast<size_t>(alphabet.size()) + 1;
  std::vector<float> frames(n_frames * n_classes);
  for (float& probability : frames) probability = 1e-4f * static_cast<float>(random() % 1000);
  uint32_t node = Dictionary::kRoot;
  for (size_t frame = 0; frame < n_frames; ++frame) {
    const uint32_t first = dictionary.first_child(node), children = dictionary.first_child(node + 1) - first;
    const bool is_end = children == 0 || (dictionary.is_word(node) && random() % 2);
    const uint32_t child = is_end ? 0 : first + static_cast<uint32_t>(random() % children);
    int label = is_end ? alphabet.space() : static_cast<int>(dictionary.label(child));
    if (label < 0) label = alphabet.blank();
    frames[frame * n_classes + static_cast<size_t>(label)] = 0.1f * static_cast<float>(n_classes);
    node = child;
  }
  return Rows(std::move(frames), n_classes);
}

void CheckCandidates(const std::vector<Candidate>& candidates, const Alphabet& alphabet, size_t n_frames) {
  CHECK(!candidates.empty());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    CHECK(!std::isnan(candidate.confidence));
    CHECK(i == 0 || candidate.confidence <= candidates[i - 1].confidence);
    CHECK(candidate.tokens.size() == candidate.timesteps.size());
    alphabet.Decode(candidate.tokens);  // throws
    for (size_t j = 0; j < candidate.timesteps.size(); ++j) {
      CHECK(candidate.timesteps[j] >= (j ? candidate.timesteps[j - 1] : 0));
      CHECK(candidate.timesteps[j] < static_cast<int>(n_frames));
    }
  }
}

}  // namespace deepspeech::tests
