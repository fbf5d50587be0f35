#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>

// Ends the process, sanitizers and the fuzzer having their say, where something is not as it must be.
#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      std::fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                            \
    }                                                                                          \
  } while (false)

#define CHECK_EQUAL(found, expected)                                                                                   \
  do {                                                                                                                 \
    const auto& found_ = (found);                                                                                      \
    const auto& expected_ = (expected);                                                                                \
    if (!(found_ == expected_)) {                                                                                      \
      std::cerr << __FILE__ << ":" << __LINE__ << ": " << #found << " is " << found_ << ", not " << expected_ << "\n"; \
      std::abort();                                                                                                    \
    }                                                                                                                  \
  } while (false)
