#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctcdecode/error.h"
#include "engine/model_file.h"

namespace deepspeech {

// Of tensors, operators, nodes...; far above what any export has. Keeps in bounds what a hostile file costs, whose
// parts may overlap.
constexpr size_t kMaxParts = 100000;

// A part of the file's bytes.
using Bytes = std::basic_string_view<uint8_t>;

// The bytes of a model file and what messages call it. The readers of the formats begin with one.
struct ModelSource {
  std::string name;  // at the beginning of a sentence: the path, quoted
  Bytes bytes;
  std::shared_ptr<const void> memory;  // what `bytes` is part of

  // Throw Error: the file is damaged, or cannot be used. `what` goes on from the name, without a full stop.
  [[noreturn]] void Damaged(const std::string& what) const {
    throw Error(name + " is damaged: " + what + "; copy or download it again.");
  }
  [[noreturn]] void Refuse(const std::string& what) const { throw Error(name + " " + what + "."); }
};

// Returns a name that stands in a file as it may stand in a message: ASCII, as all genuine ones are, and not too long.
inline std::string QuotedName(std::string_view name) {
  std::string text(name.substr(0, 100));
  std::replace_if(text.begin(), text.end(), [](unsigned char byte) { return byte >= 0x80; }, '?');
  return Quoted(text);
}

// What the matrices of a model point into.
struct ModelMemory {
  std::shared_ptr<const void> file;
  std::vector<std::unique_ptr<float[]>> floats;
};

// Returns the constants of a graph by name; none where there is none of that type.
struct Constants {
  std::function<std::optional<int>(const std::string&)> integer;
  std::function<std::optional<std::string>(const std::string&)> text;
};

// Reads version, audio settings and alphabet. Throws Error, in particular for a graph of another version.
void ReadMetadata(const ModelSource& source, const Constants& constants, ModelFile* model);

// Looks whether `values` are numbers. Throws Error.
void CheckFinite(const ModelSource& source, const std::vector<float>& values, std::string_view name);

// The axes of the inputs, as the graph declares them.
using Shape = std::vector<int64_t>;

// Takes n_steps, n_context and n_input from the shape of input_node: [1, n_steps, 2 n_context + 1, n_input], and
// compares the shape of input_samples: [window]. Throws Error.
void ReadInputShapes(const ModelSource& source, const Shape& input_node, const Shape& input_samples, ModelFile* model);

}  // namespace deepspeech
