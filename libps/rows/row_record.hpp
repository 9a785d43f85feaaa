// How a row lies in a block's memory: a record of 32-bit words. Only for the sources of RowBlock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ringps::row_record {

constexpr std::size_t id_word = 0;  ///< two words
constexpr std::size_t place_word = 2;
constexpr std::size_t touched_word = 3;  ///< only where rows expire

template <class T>
T load(const float* words) {
  T value{};
  std::memcpy(&value, words, sizeof value);
  return value;
}
template <class T>
void store(float* words, T value) {
  std::memcpy(words, &value, sizeof value);
}

inline std::uint64_t id_of(const float* record) {
  return load<std::uint64_t>(record + id_word);
}
inline std::uint32_t touched_of(const float* record) {
  return load<std::uint32_t>(record + touched_word);
}

}  // namespace ringps::row_record
