#pragma once

#include <stdexcept>

namespace deepspeech {

// What a user can cause; the message is one sentence that says what was found and what was expected.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace deepspeech
