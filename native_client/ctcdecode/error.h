#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>

namespace deepspeech {

// What a user can cause; the message is one sentence that says what was found and what was expected.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Returns a text of the user's as it may stand in a message, control characters replaced.
inline std::string Quoted(std::string text) {
  std::replace_if(text.begin(), text.end(), [](unsigned char byte) { return byte < 0x20 || byte == 0x7F; }, '?');
  return "'" + text + "'";
}

}  // namespace deepspeech
