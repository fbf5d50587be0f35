#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/model_source.h"

namespace deepspeech {

// Takes an integer from the beginning of `bytes`, seven bits a byte. Returns none where it does not end.
inline std::optional<uint64_t> TakeVarint(Bytes* bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes->empty(); shift += 7) {
    const uint8_t byte = bytes->front();
    bytes->remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return {};
}

// The fields of a message of Protocol Buffers, one after the other
// (https://protobuf.dev/programming-guides/encoding).
class Fields {
 public:
  explicit Fields(Bytes message) : rest_(message) {}

  // Goes to the next field; false at the end and where the message is damaged.
  bool Next() {
    if (rest_.empty() || is_damaged_) return false;
    const uint64_t key = Integer();
    number = key >> 3;
    bytes = Bytes();
    value = 0;
    switch (key & 7) {
      case kVarint:
        value = Integer();
        break;
      case kFixed64:
        Take(8);
        break;
      case kLengthDelimited:
        Take(Integer());
        break;
      case kFixed32:
        Take(4);
        break;
      default:
        is_damaged_ = true;
    }
    is_damaged_ |= number == 0;
    return !is_damaged_;
  }

  bool is_damaged() const { return is_damaged_; }

  uint64_t number = 0;
  uint64_t value = 0;  // of an integer
  Bytes bytes;         // of any other field

 private:
  enum WireType { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

  uint64_t Integer() {
    const std::optional<uint64_t> taken = TakeVarint(&rest_);
    is_damaged_ |= !taken;
    return taken.value_or(0);
  }

  void Take(uint64_t size) {
    is_damaged_ |= size > rest_.size();
    bytes = rest_.substr(0, size);
    rest_.remove_prefix(bytes.size());
  }

  Bytes rest_;
  bool is_damaged_ = false;
};

inline std::string_view Text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace deepspeech
