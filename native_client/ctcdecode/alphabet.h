#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace deepspeech {

// The labels of a network in the order of their ids; the CTC blank comes after the last one.
class Alphabet {
 public:
  // Labels are UTF-8 strings of one or more characters. Throws Error when there are none, one is empty or one
  // occurs twice.
  explicit Alphabet(std::vector<std::string> labels);

  // The bytes 1 to 255 of UTF-8; the id is the byte less one.
  static Alphabet Bytes();

  // Reads one label a line; `#` begins a comment, `\#` is the label `#`, empty lines count for nothing. Throws Error.
  static Alphabet Read(const std::string& path);

  int size() const { return static_cast<int>(labels_.size()); }
  int blank() const { return size(); }
  int space() const { return space_; }  // -1: there is none
  bool is_bytes() const { return is_bytes_; }
  const std::vector<std::string>& labels() const { return labels_; }

  // Returns the ids of `text`, taking the longest label that fits from left to right. Throws Error.
  std::vector<int> Encode(std::string_view text) const;
  bool CanEncode(std::string_view text) const;

  // Returns the labels of `ids` one after the other. Throws Error for an id that is none.
  std::string Decode(const std::vector<int>& ids) const;

 private:
  // Returns the position up to which `text` could be encoded.
  size_t Scan(std::string_view text, std::vector<int>* ids) const;

  std::vector<std::string> labels_;
  std::unordered_map<std::string_view, int> ids_;  // views of labels_
  size_t longest_ = 0;
  int space_ = -1;
  bool is_bytes_ = false;

 public:
  Alphabet(const Alphabet& other) : Alphabet(other.labels_) { is_bytes_ = other.is_bytes_; }
  Alphabet& operator=(const Alphabet&) = delete;
};

}  // namespace deepspeech
