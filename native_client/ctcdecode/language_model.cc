#include "ctcdecode/language_model.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "ctcdecode/error.h"
#include "lm/max_order.hh"

namespace deepspeech {

InputFile::InputFile(const std::string& path) : path_(path), handle_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat about;
  if (handle_ < 0 || fstat(handle_, &about) != 0 || !S_ISREG(about.st_mode)) {
    const std::string reason = handle_ < 0 ? std::strerror(errno) : "it is no regular file";
    if (handle_ >= 0) close(handle_);
    throw Error("Cannot read the scorer " + path + ": " + reason + ".");
  }
  size_ = static_cast<uint64_t>(about.st_size);
}

InputFile::~InputFile() { close(handle_); }

void InputFile::Read(uint64_t offset, size_t size, void* to) const {
  if (offset > size_ || size > size_ - offset) {
    Damaged("it ends after " + std::to_string(size_) + " bytes and should go on");
  }
  char* at = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t got = pread(handle_, at, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Error(path_ + ": cannot be read: " + (got < 0 ? std::strerror(errno) : "it has shrunk") + ".");
    at += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
}

void InputFile::Damaged(const std::string& what) const {
  throw Error("The scorer " + path_ + " is damaged: " + what + "; copy or build it again.");
}

namespace {

// The layout is that of KenLM's lm/binary_format.cc, lm/search_trie.hh, lm/bhiksha.cc and lm/search_hashed.hh.
constexpr char kMagic[56] = "mmap lm http://kheafield.com/code format version 5\n";
constexpr uint64_t kFixedParameters = 88;
constexpr uint64_t kCounts = 108;
constexpr uint32_t kRestProbing = 1, kTrie = 2, kLastType = 5;

int RequiredBits(uint64_t greatest) {
  int bits = 0;
  for (; greatest; greatest >>= 1) ++bits;
  return bits;
}

// Bits of a file, read from front to back through a window.
class BitReader {
 public:
  BitReader(const InputFile& file, uint64_t begin) : file_(file), begin_(begin) {}

  // Returns up to 57 bits that begin `offset` bits behind the beginning.
  uint64_t Read(uint64_t offset, int bits) {
    const uint64_t byte = begin_ + offset / 8;
    if (byte < at_ || byte + 8 > at_ + window_.size()) {
      window_.resize(std::min<uint64_t>(kWindow, file_.size() - std::min(byte, file_.size())));
      if (window_.size() < 8) file_.Damaged("a table of its language model ends too early");
      at_ = byte;
      file_.Read(at_, window_.size(), window_.data());
    }
    uint64_t word;
    std::memcpy(&word, window_.data() + (byte - at_), 8);
    return (word >> (offset % 8)) & ((uint64_t{1} << bits) - 1);
  }

 private:
  static constexpr uint64_t kWindow = 1 << 20;
  const InputFile& file_;
  const uint64_t begin_;
  uint64_t at_ = 0;
  std::vector<char> window_;
};

class Checker {
 public:
  explicit Checker(const InputFile& file) : file_(file) {}

  LanguageModelExtent Check() {
    ReadHeader();
    if (type_ < kTrie) {
      CheckProbing();
    } else {
      CheckTrie();
    }
    return {at_, counts_[0]};
  }

 private:
  void ReadHeader() {
    if (file_.size() < kCounts) file_.Damaged("it is too short for a language model");
    char magic[sizeof(kMagic)];
    file_.Read(0, sizeof(magic), magic);
    if (std::memcmp(magic, kMagic, sizeof(magic)) != 0) file_.Damaged("it does not begin with a KenLM model");
    const float floats[] = {0.0f, 1.0f, -0.5f};
    const uint32_t words[] = {1, std::numeric_limits<uint32_t>::max(), 0};
    if (std::memcmp(Bytes(56, 12).data(), floats, 12) != 0 || std::memcmp(Bytes(68, 12).data(), words, 12) != 0 ||
        file_.Get<uint64_t>(80) != 1) {
      file_.Damaged("the test values of its KenLM model are wrong");
    }
    const unsigned order = file_.Get<uint8_t>(kFixedParameters);
    multiplier_ = file_.Get<float>(kFixedParameters + 4);
    type_ = file_.Get<uint32_t>(kFixedParameters + 8);
    if (order < 2 || order > KENLM_MAX_ORDER) {
      throw Error("The scorer " + file_.path() + " has a language model of order " + std::to_string(order) +
                  "; orders 2 to " + std::to_string(KENLM_MAX_ORDER) + " can be read.");
    }
    if (type_ > kLastType) file_.Damaged("its KenLM model is of the unknown type " + std::to_string(type_));
    if (file_.Get<uint8_t>(kFixedParameters + 12) != 0) {
      throw Error("The scorer " + file_.path() +
                  " has a language model with its words as text, which scorers go without: build it with -v.");
    }
    if (type_ < kTrie && !(multiplier_ >= 1 && multiplier_ <= 1000)) {
      file_.Damaged("its KenLM model has an impossible probing multiplier");
    }
    for (unsigned n = 0; n < order; ++n) {
      counts_.push_back(file_.Get<uint64_t>(kCounts + 8 * n));
      // every n-gram takes a bit at least; below this bound no size can overflow
      if (counts_[n] > 8 * std::min<uint64_t>(file_.size(), uint64_t{1} << 48)) {
        file_.Damaged("it claims " + std::to_string(counts_[n]) + " " + std::to_string(n + 1) + "-grams");
      }
    }
    if (counts_[0] == 0) file_.Damaged("its language model has no words");
    at_ = (kCounts + 8 * order + 7) / 8 * 8;
  }

  std::vector<char> Bytes(uint64_t offset, size_t size) const {
    std::vector<char> bytes(size);
    file_.Read(offset, size, bytes.data());
    return bytes;
  }

  // Returns where a table begins and goes on behind it.
  uint64_t Table(uint64_t size) {
    const uint64_t begin = at_;
    if (size > file_.size() || begin > file_.size() - size) file_.Damaged("it ends within its language model");
    at_ += size;
    return begin;
  }

  // ------------------------------------------------------------------------------------------------- probing

  uint64_t Buckets(uint64_t entries) const {
    return std::max(entries + 1, static_cast<uint64_t>(multiplier_ * static_cast<float>(entries)));
  }

  // A table without an empty bucket would let KenLM search for ever.
  template <class Visit>
  void CheckHashTable(uint64_t entries, uint64_t entry_size, Visit visit) {
    const uint64_t buckets = Buckets(entries);
    if (buckets > file_.size()) file_.Damaged("it ends within its language model");
    const uint64_t begin = Table(buckets * entry_size);
    bool has_empty = false;
    std::vector<char> block;
    constexpr uint64_t kBlock = 1 << 16;  // entries
    for (uint64_t done = 0; done < buckets; done += kBlock) {
      block = Bytes(begin + done * entry_size, std::min(kBlock, buckets - done) * entry_size);
      for (const char* entry = block.data(); entry < block.data() + block.size(); entry += entry_size) {
        uint64_t key;
        std::memcpy(&key, entry, 8);
        has_empty |= key == 0;
        visit(entry);
      }
    }
    if (!has_empty) file_.Damaged("a hash table of its language model is full");
  }

  void CheckProbing() {
    const uint64_t header = Table(8);
    const uint32_t bound = file_.Get<uint32_t>(header + 4);
    if (bound > counts_[0] + 1) file_.Damaged("its vocabulary has more words than its language model");
    const uint64_t weights = type_ == kRestProbing ? 12 : 8;
    CheckHashTable(counts_[0], 12, [&](const char* entry) {
      uint32_t word;
      std::memcpy(&word, entry + 8, 4);
      if (word > counts_[0]) file_.Damaged("its vocabulary names a word outside its language model");
    });
    Table((counts_[0] + 1) * weights);
    for (size_t n = 1; n < counts_.size(); ++n) {
      const bool longest = n + 1 == counts_.size();
      CheckHashTable(counts_[n], 8 + (longest ? 4 : weights), [](const char*) {});
    }
  }

  // ---------------------------------------------------------------------------------------------------- trie

  void CheckTrie() {
    const bool quantised = type_ == 3 || type_ == 5;
    has_arrays_ = type_ >= 4;
    const uint64_t vocabulary = Table(8 + 8 * counts_[0]);
    n_words_ = file_.Get<uint64_t>(vocabulary);
    if (n_words_ > counts_[0]) file_.Damaged("its vocabulary has more words than its language model");
    int middle_bits = 63, longest_bits = 31;
    if (quantised) ReadQuantisation(&middle_bits, &longest_bits);
    CheckUnigrams(Table((counts_[0] + 2) * 16));
    for (size_t n = 1; n + 1 < counts_.size(); ++n) CheckMiddle(n, middle_bits);
    Table(((1 + counts_.back()) * (RequiredBits(counts_[0]) + longest_bits) + 7) / 8 + 8);
  }

  void ReadQuantisation(int* middle_bits, int* longest_bits) {
    const int prob_bits = file_.Get<uint8_t>(at_ + 1), backoff_bits = file_.Get<uint8_t>(at_ + 2);
    if (file_.Get<uint8_t>(at_) != 2 || prob_bits < 1 || prob_bits > 25 || backoff_bits < 1 || backoff_bits > 25) {
      file_.Damaged("the quantisation of its language model is none that KenLM writes");
    }
    const uint64_t probs = uint64_t{1} << prob_bits, backoffs = uint64_t{1} << backoff_bits;
    Table(8 + 4 * ((counts_.size() - 2) * (probs + backoffs) + probs));
    *middle_bits = prob_bits + backoff_bits;
    *longest_bits = prob_bits;
  }

  // The n-grams behind a word or an n-gram are those from its pointer to the next one's.
  void CheckPointer(uint64_t pointer, uint64_t* last, size_t n) const {
    if (pointer < *last || pointer > counts_[n + 1]) {
      file_.Damaged("a " + std::to_string(n + 1) + "-gram of its language model points to no " + std::to_string(n + 2) +
                    "-gram");
    }
    *last = pointer;
  }

  void CheckUnigrams(uint64_t begin) {
    uint64_t last = 0;
    constexpr uint64_t kBlock = 1 << 16;
    for (uint64_t done = 0; done < n_words_ + 2; done += kBlock) {
      const std::vector<char> block = Bytes(begin + 16 * done, 16 * std::min(kBlock, n_words_ + 2 - done));
      for (const char* entry = block.data(); entry < block.data() + block.size(); entry += 16) {
        uint64_t pointer;
        std::memcpy(&pointer, entry + 8, 8);
        CheckPointer(pointer, &last, 0);
      }
    }
  }

  void CheckMiddle(size_t n, int weight_bits) {
    const uint64_t entries = counts_[n] + 1;  // the last one only ends the one before
    int inline_bits = RequiredBits(counts_[n + 1]);
    std::vector<uint64_t> offsets;
    if (has_arrays_) offsets = ReadOffsets(entries, counts_[n + 1], &inline_bits);
    const int total_bits = RequiredBits(counts_[0]) + weight_bits + inline_bits;
    const uint64_t begin = Table((entries * total_bits + 7) / 8 + 8);
    if (inline_bits > 57) file_.Damaged("its language model has too many n-grams");
    BitReader bits(file_, begin);
    uint64_t last = 0, high = 0;
    for (uint64_t i = 0; i < entries; ++i) {
      while (high + 1 < offsets.size() && offsets[high + 1] <= i) ++high;
      const uint64_t low = bits.Read((i + 1) * total_bits - inline_bits, inline_bits);
      CheckPointer((high << inline_bits) | low, &last, n);
    }
  }

  // Pointers without their high bits: a table says from which entry on these have which value (Raj and Whittaker 2003).
  std::vector<uint64_t> ReadOffsets(uint64_t entries, uint64_t greatest, int* inline_bits) {
    if (file_.Get<uint8_t>(at_) != 0) file_.Damaged("the pointer arrays of its language model are of another version");
    const int most = std::min<int>(*inline_bits, file_.Get<uint8_t>(at_ + 1));
    int chopped = 0;
    int64_t least = std::numeric_limits<int64_t>::max();
    for (int chop = 0; chop <= most; ++chop) {
      const int64_t change =
          static_cast<int64_t>((greatest >> (*inline_bits - chop)) * 64) - static_cast<int64_t>(entries) * chop;
      if (change < least) {
        least = change;
        chopped = chop;
      }
    }
    const uint64_t count = (greatest >> (*inline_bits - chopped)) + 1;
    *inline_bits -= chopped;
    const uint64_t begin = (Table(8 * (1 + count) + 7) + 7) / 8 * 8 + 8;  // KenLM aligns in memory, mapped at a page
    std::vector<uint64_t> offsets(count);
    file_.Read(begin, 8 * count, offsets.data());
    if (offsets[0] != 0 || !std::is_sorted(offsets.begin(), offsets.end())) {
      file_.Damaged("the pointer arrays of its language model are out of order");
    }
    return offsets;
  }

  const InputFile& file_;
  uint64_t at_ = 0;
  float multiplier_ = 0;
  uint32_t type_ = 0;
  std::vector<uint64_t> counts_;
  uint64_t n_words_ = 0;
  bool has_arrays_ = false;
};

}  // namespace

LanguageModelExtent CheckLanguageModel(const InputFile& file) { return Checker(file).Check(); }

}  // namespace deepspeech
