#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace deepspeech {

// Reads a WAV file of 8, 16, 24 or 32 bits or floating point and mixes its channels down.
//
// Args:
//   bytes: the file's content.
//   sample_rate: Hz, which the file must have.
// Returns int16 samples. Throws std::runtime_error.
std::vector<int16_t> ParseWav(const std::string& bytes, int sample_rate);

// The same for a file, `-` being standard input.
std::vector<int16_t> ReadWav(const std::string& path, int sample_rate);

}  // namespace deepspeech
