#include "scorer_builder/scorer_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>

#include "ctcdecode/error.h"
#include "lm/binary_format.hh"
#include "lm/model.hh"
#include "util/exception.hh"
#include "util/murmur_hash.hh"

namespace deepspeech::scorer_builder {
namespace {

constexpr size_t kBlock = 1 << 20;   // what one step of the checksum covers
constexpr size_t kKenlmHeader = 88;  // where a language model's parameters stand, behind the sanity checks

// Writes a file from its beginning and keeps the checksum of what was written.
class Writer {
 public:
  explicit Writer(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wb")) {
    Check(file_ != nullptr);
    block_.reserve(kBlock);
  }

  void Bytes(const void* data, size_t size) {
    const char* from = static_cast<const char*>(data);
    size_ += size;
    while (size > 0) {
      const size_t part = std::min(size, kBlock - block_.size());
      block_.append(from, part);
      from += part;
      size -= part;
      if (block_.size() == kBlock) Flush();
    }
  }

  // The machine is little endian, as the format is.
  template <class T>
  void Number(T value) {
    static_assert(std::is_arithmetic<T>::value, "only numbers have one way to be written");
    Bytes(&value, sizeof(value));
  }

  void PadTo(size_t multiple) {
    static constexpr char kZeros[16] = {};
    Bytes(kZeros, (multiple - size_ % multiple) % multiple);
  }

  // The checksum of everything so far: the hash of each block, seeded by the one before.
  uint64_t Checksum() const {
    return block_.empty() ? hash_ : util::MurmurHash64A(block_.data(), block_.size(), hash_);
  }

  uint64_t size() const { return size_; }

  void Close() {
    Flush();
    Check(std::fclose(file_.release()) == 0);
  }

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  void Flush() {
    hash_ = Checksum();
    Check(std::fwrite(block_.data(), 1, block_.size(), file_.get()) == block_.size());
    block_.clear();
  }

  void Check(bool good) const {
    if (!good) throw Error("The scorer cannot be written to " + path_ + ": " + std::strerror(errno) + ".");
  }

  const std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::string block_;
  uint64_t hash_ = 0;
  uint64_t size_ = 0;
};

// Reads the numbers of n-grams from a language model's header, and has KenLM look whether the rest fits them.
std::vector<uint64_t> CheckLanguageModel(const std::string& path) {
  try {
    lm::ngram::ModelType type;
    if (!lm::ngram::RecognizeBinary(path.c_str(), type)) {
      throw Error(path + " is not a language model in KenLM's binary form: make one of it with build_binary -v.");
    }
    std::ifstream file(path, std::ios::binary);
    lm::ngram::FixedWidthParameters header;
    file.seekg(kKenlmHeader).read(reinterpret_cast<char*>(&header), sizeof(header));
    std::vector<uint64_t> counts(header.order);
    file.read(reinterpret_cast<char*>(counts.data()), counts.size() * sizeof(counts[0]));
    if (header.has_vocabulary) {
      throw Error(path +
                  " has the words in it, where a scorer's own part must stand: make it anew with build_binary -v.");
    }
    std::unique_ptr<lm::base::Model> model(lm::ngram::LoadVirtual(path.c_str()));
    return counts;
  } catch (const util::Exception& error) {
    const char* told = std::strstr(error.what(), ".\n");  // before it stands the place in KenLM's sources
    throw Error("KenLM cannot read " + path + ": " + (told ? told + 2 : error.what()));
  }
}

void CopyLanguageModel(const std::string& path, Writer& out) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> buffer(kBlock);
  while (file.read(buffer.data(), buffer.size()) || file.gcount() > 0) {
    out.Bytes(buffer.data(), file.gcount());
  }
  if (!file.eof()) throw Error("The language model " + path + " cannot be read: " + std::strerror(errno) + ".");
}

void WriteTrailer(const ScorerParts& parts, Writer& out) {
  out.Number(int32_t{0x54524945});
  out.Number(int32_t{6});  // the version of the format
  out.Number(parts.alphabet.empty());
  out.Number(parts.alpha);
  out.Number(parts.beta);
}

// OpenFST's properties of an acceptor without epsilons, deterministic, sorted by label, unweighted, acyclic, numbered
// in topological order, every state on the way from the start to an end.
constexpr uint64_t kProperties = 0x856A5A950001;
constexpr uint64_t kIsOneString = 0x100000000000, kIsNoString = 0x200000000000;

// Writes the words as OpenFST 1.6 writes a ConstFst<StdArc> for being mapped into memory.
void WriteDictionary(const Dictionary& dictionary, Writer& out) {
  const bool is_string = dictionary.arcs.size() + 1 == dictionary.states.size() &&
                         std::all_of(dictionary.states.begin(), dictionary.states.end(),
                                     [](const auto& state) { return state.final == (state.arc_count == 0); });
  out.Number(int32_t{2125659606});
  for (const std::string name : {"const", "standard"}) {
    out.Number(static_cast<int32_t>(name.size()));
    out.Bytes(name.data(), name.size());
  }
  out.Number(int32_t{1});  // the aligned version
  out.Number(int32_t{4});  // is aligned, has no symbol tables
  out.Number(kProperties | (is_string ? kIsOneString : kIsNoString));
  out.Number(int64_t{0});  // the start
  out.Number(static_cast<int64_t>(dictionary.states.size()));
  out.Number(static_cast<int64_t>(dictionary.arcs.size()));
  out.PadTo(16);
  for (const Dictionary::State& state : dictionary.states) {
    out.Number(state.final ? 0.0f : std::numeric_limits<float>::infinity());
    out.Number(state.first_arc);
    out.Number(state.arc_count);
    out.Number(uint64_t{0});  // epsilons in and out
  }
  out.PadTo(16);
  for (const Dictionary::Arc& arc : dictionary.arcs) {
    out.Number(arc.label);  // in
    out.Number(arc.label);  // out
    out.Number(0.0f);
    out.Number(arc.target);
  }
}

void WriteExtension(const std::vector<std::string>& alphabet, Writer& out) {
  std::string text;
  for (const std::string& label : alphabet) {
    text += (text.empty() ? "" : "\n") + label;
  }
  out.PadTo(8);
  out.Bytes("DSSCORER", 8);
  out.Number(uint32_t{1});  // the version of the extension
  out.Number(static_cast<uint32_t>(text.size()));
  out.Bytes(text.data(), text.size());
  out.Number(out.Checksum());
  out.Bytes("SCOREREN", 8);
}

// Labels as the dictionary has them: from 1, each word ended by a space where there is one.
std::vector<Spelling> Spellings(const ScorerParts& parts) {
  std::vector<Spelling> spellings = parts.words;
  const int labels = parts.alphabet.empty() ? 255 : static_cast<int>(parts.alphabet.size());
  for (Spelling& word : spellings) {
    if (!parts.alphabet.empty()) word.push_back(parts.space);
    for (int32_t& label : word) {
      if (label < 0 || label >= labels) {
        throw Error("A word has the label " + std::to_string(label) + ", expected 0 to " + std::to_string(labels - 1) +
                    ".");
      }
      ++label;
    }
  }
  return spellings;
}

}  // namespace

ScorerSummary WriteScorer(const ScorerParts& parts, const std::string& path) {
  ScorerSummary summary;
  summary.ngrams = CheckLanguageModel(parts.language_model);
  const Dictionary dictionary = MakeDictionary(Spellings(parts));
  Writer out(path);
  CopyLanguageModel(parts.language_model, out);
  WriteTrailer(parts, out);
  WriteDictionary(dictionary, out);
  WriteExtension(parts.alphabet, out);
  out.Close();
  summary.states = dictionary.states.size();
  summary.arcs = dictionary.arcs.size();
  summary.bytes = out.size();
  return summary;
}

}  // namespace deepspeech::scorer_builder
