#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/model_source.h"

namespace deepspeech {

// A table of a FlatBuffer (https://flatbuffers.dev/internals): fields, which have numbers in the schema, are found
// through a table of their offsets. Every offset and length is checked against the file: all functions throw Error
// where one leads outside.
class Table {
 public:
  // The table that begins with the byte `at`.
  Table(const ModelSource* source, uint64_t at) : source_(source), at_(at) {
    const int64_t vtable = static_cast<int64_t>(at) - Read<int32_t>(at);
    if (vtable < 0) Damaged();
    vtable_ = static_cast<uint64_t>(vtable);
    vtable_size_ = Read<uint16_t>(vtable_);
    size_ = Read<uint16_t>(vtable_ + 2);
    Span(vtable_, vtable_size_);
    Span(at_, size_);
  }

  static Table Root(const ModelSource* source) { return Table(source, Table(source).Read<uint32_t>(0)); }

  template <class T>
  T Get(int field, T fallback) const {
    const uint16_t offset = Offset(field);
    if (offset == 0) return fallback;
    if (offset + sizeof(T) > size_) Damaged();
    return Read<T>(at_ + offset);
  }

  // The elements of a vector, at most `most` of them. A field that is not there has none.
  template <class T>
  std::vector<T> Values(int field, size_t most) const {
    const Bytes bytes = Elements(field, sizeof(T));
    if (bytes.size() / sizeof(T) > most) Damaged();
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  Bytes Data(int field) const { return Elements(field, 1); }

  std::string_view Text(int field) const {
    const Bytes bytes = Data(field);
    if (bytes.size() > kMaxText) Damaged();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::vector<Table> Tables(int field) const {
    const Bytes offsets = Elements(field, 4);
    if (offsets.size() / 4 > kMaxParts) source_->Damaged("it claims more parts than any model has");
    std::vector<Table> tables;
    for (size_t i = 0; i < offsets.size(); i += 4) {
      const uint64_t at = static_cast<uint64_t>(offsets.data() + i - source_->bytes.data());
      tables.emplace_back(source_, at + Read<uint32_t>(at));
    }
    return tables;
  }

  std::optional<Table> Child(int field) const {
    const uint64_t at = Target(field);
    return at == 0 ? std::optional<Table>() : Table(source_, at);
  }

 private:
  explicit Table(const ModelSource* source) : source_(source) {}

  [[noreturn]] void Damaged() const { source_->Damaged("an offset in it leads astray"); }

  Bytes Span(uint64_t at, uint64_t size) const {
    if (at > source_->bytes.size() || size > source_->bytes.size() - at) Damaged();
    return source_->bytes.substr(at, size);
  }

  template <class T>
  T Read(uint64_t at) const {
    T value;
    std::memcpy(&value, Span(at, sizeof(T)).data(), sizeof(T));
    return value;
  }

  uint16_t Offset(int field) const {
    const uint64_t entry = 4 + 2 * static_cast<uint64_t>(field);
    return entry + 2 > vtable_size_ ? uint16_t{0} : Read<uint16_t>(vtable_ + entry);
  }

  // Returns where a field points to, 0 if it is not there.
  uint64_t Target(int field) const {
    const uint32_t offset = Get<uint32_t>(field, 0);
    return offset == 0 ? 0 : at_ + Offset(field) + offset;
  }

  Bytes Elements(int field, uint64_t element_size) const {
    const uint64_t at = Target(field);
    return at == 0 ? Bytes() : Span(at + 4, Read<uint32_t>(at) * element_size);
  }

  static constexpr size_t kMaxText = 1024;

  const ModelSource* source_;
  uint64_t at_ = 0, vtable_ = 0;
  uint16_t vtable_size_ = 0, size_ = 0;
};

}  // namespace deepspeech
