#include "ctcdecode/scorer_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ctcdecode/error.h"
#include "ctcdecode/language_model.h"
#include "util/murmur_hash.hh"

namespace deepspeech {
namespace {

constexpr uint32_t kTrailerMagic = 0x54524945;  // "TRIE", as 0.9.3 writes it
constexpr uint32_t kTrailerVersion = 6;
constexpr uint64_t kTrailerSize = 25;
constexpr uint32_t kFstMagic = 2125659606;  // OpenFST 1.6: fst::kFstMagicNumber
constexpr uint32_t kFstAligned = 4, kFstSymbols = 3;
constexpr char kExtensionMagic[] = "DSSCORER", kEndMagic[] = "SCOREREN";
constexpr uint64_t kBlock = 1 << 20;

uint64_t RoundUp(uint64_t offset, uint64_t to) { return (offset + to - 1) / to * to; }

// Tells a file that is no scorer at all from a damaged one.
void RefuseOtherKinds(const InputFile& file) {
  char head[16] = {};
  file.Read(0, std::min<uint64_t>(sizeof(head), file.size()), head);
  const std::string begin(head, sizeof(head));
  const std::string path = file.path();
  if (begin.compare(0, 16, "mmap lm http://k") == 0) return;
  if (begin.compare(0, 10, "1414678853") == 0 || begin.compare(0, 4, "EIRT") == 0) {
    throw Error(path +
                " is the trie of a DeepSpeech before 0.7, which had its language model in a second file; scorers "
                "of 0.7 and later are read: build one from the text with bin/build_scorer.py.");
  }
  if (begin.compare(4, 4, "TFL3") == 0)
    throw Error(path + " is an acoustic model, not a scorer; give it as the model.");
  if (begin.find("\\data\\") != std::string::npos) {
    throw Error(path + " is a language model as text (ARPA), not a scorer: package it with bin/build_scorer.py.");
  }
  throw Error(path + " is no scorer: it does not begin with a KenLM model; build one with bin/build_scorer.py.");
}

class Reader {
 public:
  explicit Reader(const std::string& path) : file_(path) {}

  ScorerFile Read() {
    RefuseOtherKinds(file_);
    const LanguageModelExtent model = CheckLanguageModel(file_);
    at_ = model.size;
    result_.n_words = model.n_words;
    ReadTrailer();
    ReadDictionary();
    if (at_ < file_.size()) ReadExtension();
    return std::move(result_);
  }

 private:
  template <class T>
  T Next() {
    const T value = file_.Get<T>(at_);
    at_ += sizeof(T);
    return value;
  }

  std::string NextString(size_t size) {
    std::string text(size, '\0');
    file_.Read(at_, size, text.data());
    at_ += size;
    return text;
  }

  void ReadTrailer() {
    if (at_ == file_.size()) {
      throw Error(file_.path() +
                  " is a bare KenLM model without a dictionary: make a scorer of it with "
                  "data/lm/generate_scorer_package --lm.");
    }
    if (file_.size() - at_ < kTrailerSize) file_.Damaged("it ends behind its language model");
    if (Next<uint32_t>() != kTrailerMagic) file_.Damaged("no dictionary follows its language model");
    const uint32_t version = Next<uint32_t>();
    if (version != kTrailerVersion) {
      throw Error("The scorer " + file_.path() + " is of format " + std::to_string(version) + ", and format " +
                  std::to_string(kTrailerVersion) +
                  " (DeepSpeech 0.7 and later) is read: build it from its text with bin/build_scorer.py.");
    }
    const uint8_t is_bytes = Next<uint8_t>();
    result_.is_bytes = is_bytes != 0;
    result_.alpha = Next<double>();
    result_.beta = Next<double>();
    if (is_bytes > 1 || !std::isfinite(result_.alpha) || !std::isfinite(result_.beta)) {
      file_.Damaged("its default weights are no numbers");
    }
  }

  // The automaton is an OpenFST ConstFst over StdArc, as written by OpenFST 1.6.
  void ReadDictionary() {
    if (Next<uint32_t>() != kFstMagic) file_.Damaged("its dictionary does not begin as one");
    const std::string kinds[] = {"const", "standard"};
    for (const std::string& kind : kinds) {
      if (Next<uint32_t>() != kind.size() || NextString(kind.size()) != kind) {
        file_.Damaged("its dictionary is of an unknown kind");
      }
    }
    const uint32_t version = Next<uint32_t>(), flags = Next<uint32_t>();
    const bool aligned = flags & kFstAligned;
    Next<uint64_t>();  // properties, which follow from the content
    const uint64_t start = Next<uint64_t>(), n_states = Next<uint64_t>(), n_arcs = Next<uint64_t>();
    if (version < 1 || version > 2 || (flags & kFstSymbols)) file_.Damaged("its dictionary is of an unknown version");
    if (n_states > file_.size() / 20 || n_arcs > file_.size() / 16 || start >= n_states) {
      file_.Damaged("its dictionary claims more than there is");
    }
    result_.dictionary.start = static_cast<uint32_t>(start);
    if (aligned) at_ = RoundUp(at_, 16);
    ReadStates(n_states, n_arcs);
    if (aligned) at_ = RoundUp(at_, 16);
    ReadArcs(n_states, n_arcs);
  }

  void ReadStates(uint64_t n_states, uint64_t n_arcs) {
    struct Record {
      float final_weight;
      uint32_t first_arc, n_arcs, n_input_epsilons, n_output_epsilons;
    };
    std::vector<Record> records(n_states);
    file_.Read(at_, n_states * sizeof(Record), records.data());
    at_ += n_states * sizeof(Record);
    result_.dictionary.states.reserve(n_states);
    for (const Record& record : records) {
      if (record.n_arcs > n_arcs || record.first_arc > n_arcs - record.n_arcs) {
        file_.Damaged("a state of its dictionary has arcs that are not there");
      }
      result_.dictionary.states.push_back({std::isfinite(record.final_weight), record.first_arc, record.n_arcs});
    }
  }

  void ReadArcs(uint64_t n_states, uint64_t n_arcs) {
    struct Record {
      uint32_t input_label, output_label;
      float weight;
      uint32_t target;
    };
    std::vector<Record> records(n_arcs);
    file_.Read(at_, n_arcs * sizeof(Record), records.data());
    at_ += n_arcs * sizeof(Record);
    result_.dictionary.arcs.reserve(n_arcs);
    for (const Record& record : records) {
      if (record.input_label < 1 || record.target >= n_states) file_.Damaged("an arc of its dictionary leads nowhere");
      result_.dictionary.arcs.push_back({record.input_label - 1, record.target});
    }
    for (const Automaton::State& state : result_.dictionary.states) {
      const auto first = result_.dictionary.arcs.begin() + state.first_arc, last = first + state.n_arcs;
      const auto repeated = [](const Automaton::Arc& a, const Automaton::Arc& b) { return a.label >= b.label; };
      if (std::adjacent_find(first, last, repeated) != last)
        file_.Damaged("the arcs of its dictionary are out of order");
    }
  }

  void ReadExtension() {
    at_ = RoundUp(at_, 8);
    if (NextString(8) != kExtensionMagic) file_.Damaged("something unknown follows its dictionary");
    const uint32_t version = Next<uint32_t>();
    if (version != 1) {
      throw Error(
          "The scorer " + file_.path() + " has an extension of version " + std::to_string(version) +
          ", and version 1 is read: it was made by a newer DeepSpeech; use that one, or build it with this one.");
    }
    const uint32_t size = Next<uint32_t>();
    if (size > file_.size() - at_) file_.Damaged("its alphabet is longer than the file");
    result_.alphabet = NextString(size);
    const uint64_t end = at_;
    const uint64_t checksum = Next<uint64_t>();
    if (NextString(8) != kEndMagic || at_ != file_.size()) file_.Damaged("its end is not where it should be");
    if (Checksum(end) != checksum) file_.Damaged("its checksum is wrong");
  }

  uint64_t Checksum(uint64_t end) const {
    uint64_t hash = 0;
    std::vector<char> block;
    for (uint64_t begin = 0; begin < end; begin += kBlock) {
      block.resize(std::min(kBlock, end - begin));
      file_.Read(begin, block.size(), block.data());
      hash = util::MurmurHash64A(block.data(), block.size(), hash);
    }
    return hash;
  }

  const InputFile file_;
  uint64_t at_ = 0;
  ScorerFile result_;
};

}  // namespace

ScorerFile ReadScorerFile(const std::string& path) { return Reader(path).Read(); }

}  // namespace deepspeech
