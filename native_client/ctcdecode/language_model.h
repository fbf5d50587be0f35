#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace deepspeech {

// A file whose every read is checked against its size. The messages of its errors begin with its path.
class InputFile {
 public:
  explicit InputFile(const std::string& path);  // throws Error
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // Copies bytes; throws Error when the file ends before.
  void Read(uint64_t offset, size_t size, void* to) const;

  template <class T>
  T Get(uint64_t offset) const {
    T value;
    Read(offset, sizeof(T), &value);
    return value;
  }

  // Throws Error: the file is damaged, `what` being what was found.
  [[noreturn]] void Damaged(const std::string& what) const;

 private:
  std::string path_;
  uint64_t size_ = 0;
  int handle_ = -1;
};

// Checks the KenLM binary at the beginning of a file: every table lies in the file and every pointer in its table, so
// that KenLM, which trusts its files, reads nothing outside. Linear in the size of the model, without mapping it.
//
// Throws Error.
struct LanguageModelExtent {
  uint64_t size;     // of the binary, bytes
  uint64_t n_words;  // of its vocabulary
};
LanguageModelExtent CheckLanguageModel(const InputFile& file);

}  // namespace deepspeech
