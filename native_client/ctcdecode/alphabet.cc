#include "ctcdecode/alphabet.h"

#include <algorithm>
#include <fstream>

#include "ctcdecode/error.h"

namespace deepspeech {

Alphabet::Alphabet(std::vector<std::string> labels) : labels_(std::move(labels)) {
  if (labels_.empty()) throw Error("The alphabet has no labels; expected at least one.");
  for (const std::string& label : labels_) {
    if (label.empty()) throw Error("The alphabet has an empty label; expected one or more characters each.");
    if (!ids_.emplace(label, static_cast<int>(ids_.size())).second) {
      throw Error("The alphabet has the label " + Quoted(label) + " twice; remove one of the two.");
    }
    longest_ = std::max(longest_, label.size());
  }
  const auto space = ids_.find(" ");
  if (space != ids_.end()) space_ = space->second;
}

Alphabet Alphabet::Bytes() {
  std::vector<std::string> labels;
  for (int byte = 1; byte < 256; ++byte) labels.emplace_back(1, static_cast<char>(byte));
  Alphabet bytes(std::move(labels));
  bytes.is_bytes_ = true;
  return bytes;
}

Alphabet Alphabet::Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error("Cannot read the alphabet " + path + ": give a text file with one label on each line.");
  std::vector<std::string> labels;
  bool first = true;
  for (std::string line; std::getline(file, line); first = false) {
    if (first && line.compare(0, 3, "\xEF\xBB\xBF") == 0) line.erase(0, 3);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    labels.push_back(line == "\\#" ? "#" : line);
  }
  if (file.bad() || labels.empty()) {
    throw Error("The alphabet " + path + " has no labels; expected one on each line.");
  }
  return Alphabet(std::move(labels));
}

size_t Alphabet::Scan(std::string_view text, std::vector<int>* ids) const {
  size_t at = 0;
  while (at < text.size()) {
    size_t length = std::min(longest_, text.size() - at);
    auto found = ids_.end();
    for (; length > 0 && found == ids_.end(); --length) found = ids_.find(text.substr(at, length));
    if (found == ids_.end()) break;
    ids->push_back(found->second);
    at += found->first.size();
  }
  return at;
}

std::vector<int> Alphabet::Encode(std::string_view text) const {
  std::vector<int> ids;
  const size_t end = Scan(text, &ids);
  if (end < text.size()) {
    size_t next = end + 1;
    while (next < text.size() && (text[next] & 0xC0) == 0x80) ++next;
    throw Error(Quoted(std::string(text)) + " has " + Quoted(std::string(text.substr(end, next - end))) +
                ", which the alphabet does not.");
  }
  return ids;
}

bool Alphabet::CanEncode(std::string_view text) const {
  std::vector<int> ids;
  return Scan(text, &ids) == text.size();
}

std::string Alphabet::Decode(const std::vector<int>& ids) const {
  std::string text;
  for (const int id : ids) {
    if (id < 0 || id >= size()) {
      throw Error("The label " + std::to_string(id) + " is outside 0.." + std::to_string(size() - 1) + ".");
    }
    text += labels_[id];
  }
  return text;
}

}  // namespace deepspeech
