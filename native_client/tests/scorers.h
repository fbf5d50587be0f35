#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ctcdecode/beam_search.h"

namespace deepspeech::tests {

// A folder that goes with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The labels of the golden scorers: space, a to z, apostrophe.
std::shared_ptr<const Alphabet> Letters();
std::shared_ptr<const Alphabet> Bytes();

struct TinyScorer {
  unsigned order = 3;
  bool is_bytes = false;
  std::string type = "trie";  // or "probing"
  int quantization_bits = 0, pointer_bits = 0;
};

// Builds a scorer of a few n-grams.
void Build(const TinyScorer& tiny, const TemporaryFolder& folder, const std::string& path);

// One of every kind that our builder writes.
std::vector<TinyScorer> AllKinds();

std::string ReadBytes(const std::string& path);
void WriteBytes(const std::string& path, const std::string& bytes);

// Returns a scorer without our extension, that is as the predecessors wrote it and without a checksum.
std::string WithoutExtension(const std::string& scorer);

// Loads a file as a scorer, asks the language model and decodes some frames, with and without look-ahead and with and
// without words outside the dictionary. Returns what the file was refused with, empty if it was not, and ends the
// process where that is no sentence about the file.
std::string LoadAndDecode(const std::string& path, uint32_t seed);

// Returns frames that spell words of a dictionary, with some noise.
std::vector<float> SpelledFrames(const Scorer& scorer, const Alphabet& alphabet, size_t n_frames, uint32_t seed);

// Looks whether candidates are in order, and in the range of the alphabet and the frames.
void CheckCandidates(const std::vector<Candidate>& candidates, const Alphabet& alphabet, size_t n_frames);

}  // namespace deepspeech::tests
