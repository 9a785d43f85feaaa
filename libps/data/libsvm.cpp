#include "libps/data/libsvm.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <deque>
#include <fstream>
#include <future>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "libps/data/gzip_reader.hpp"

namespace ringps {
namespace {

/// A line this long is no sample; it is refused before it fills the memory.
constexpr std::size_t line_bytes_max = 64U << 20U;

/// What a message shows of a word that is wrong, without what would upset a terminal.
std::string shown(std::string_view word) {
  constexpr std::size_t shown_bytes_max = 40;
  std::string text(word.substr(0, shown_bytes_max));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return fmt::format("'{}{}'", text, word.size() > shown_bytes_max ? "…" : "");
}

/// Takes the next word off the line; empty at its end.
std::string_view take_word(std::string_view& line) {
  constexpr std::string_view blanks = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

/// The whole word as a number; std::from_chars knows no plus sign.
template <class Number>
std::optional<Number> number_of(std::string_view word) {
  if (word.size() > 1 && word[0] == '+' && word[1] != '-') {
    word.remove_prefix(1);
  }
  Number number{};
  const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), number);
  return status == std::errc() && end == word.data() + word.size() ? std::optional(number) : std::nullopt;
}

/// Adds the sample in a line that is not blank. What is wrong with it, or empty.
std::string parse_line(std::string_view line, std::uint32_t index_max, SparseSamples& samples) {
  const std::string_view label_word = take_word(line);
  const auto label = number_of<double>(label_word);
  if (!label || (*label != 1.0 && *label != -1.0 && *label != 0.0)) {
    return fmt::format("the label is {}, expected +1 or 1, or -1 or 0", shown(label_word));
  }
  std::uint32_t last = 0;
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    const std::size_t colon = word.find(':');
    if (colon == std::string_view::npos) {
      return fmt::format("expected INDEX:VALUE, found {}", shown(word));
    }
    std::uint64_t index = 0;
    const auto [end, status] = std::from_chars(word.data(), word.data() + colon, index);
    if (colon == 0 || end != word.data() + colon ||
        (status != std::errc() && status != std::errc::result_out_of_range)) {
      return fmt::format("expected a whole number before the colon, found {}", shown(word));
    }
    if (status == std::errc::result_out_of_range || index > index_max) {
      return fmt::format("the index in {} is above the number of features, which is at most {}", shown(word),
                         index_max);
    }
    if (index == 0) {
      return fmt::format("the index in {} is 0, but they count from 1", shown(word));
    }
    if (index <= last) {
      return fmt::format("the index in {} comes after {}, but they have to ascend", shown(word), last);
    }
    const auto value = number_of<double>(word.substr(colon + 1));
    if (!value || !(std::abs(*value) <= std::numeric_limits<float>::max())) {  // NaN is not
      return fmt::format("expected a number that fits a float behind the colon, found {}", shown(word));
    }
    last = static_cast<std::uint32_t>(index);
    if (const auto rounded = static_cast<float>(*value); rounded != 0.0F) {
      samples.entries.push_back({last - 1, rounded});
    }
  }
  samples.features = std::max<std::size_t>(samples.features, last);
  samples.labels.push_back(*label > 0.0 ? 1 : 0);
  samples.row_begin.push_back(samples.entries.size());
  return "";
}

struct Chunk {
  SparseSamples samples;
  std::uint64_t lines = 0;  ///< up to the one that is wrong, if one is
  std::string problem;      ///< with the last of these lines; empty: none
};

/// Parses whole lines; the last one need not end in a line end.
Chunk parse_chunk(std::string_view text, std::uint32_t index_max) {
  Chunk chunk;
  while (!text.empty() && chunk.problem.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++chunk.lines;
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      chunk.problem = parse_line(line, index_max, chunk.samples);
    }
  }
  return chunk;
}

/// Cuts a stream into chunks of whole lines.
class LineChunks {
 public:
  LineChunks(std::istream& input, std::size_t chunk_bytes)
      : reader_(input), chunk_bytes_(std::max<std::size_t>(chunk_bytes, 1)) {}

  /// Empty at the end.
  Result<std::string> next() {
    std::string text = std::move(rest_);
    rest_.clear();
    for (std::size_t searched = 0; !ended_;) {
      const std::size_t before = text.size();
      text.resize(before + chunk_bytes_);
      const auto count =
          reader_.read({reinterpret_cast<std::uint8_t*>(text.data()) + before, chunk_bytes_});  // NOLINT: char is byte
      if (!count) {
        return count.failure();
      }
      text.resize(before + *count);
      ended_ = *count < chunk_bytes_;
      const std::size_t line_end = std::string_view(text).substr(searched).rfind('\n');
      if (!ended_ && line_end != std::string::npos) {
        rest_ = text.substr(searched + line_end + 1);
        text.resize(searched + line_end + 1);
        return text;
      }
      searched = text.size();
      if (!ended_ && searched > line_bytes_max) {
        return Error{fmt::format("a line is longer than {} MiB", line_bytes_max >> 20U)};
      }
    }
    return text;
  }

 private:
  GzipReader reader_;
  std::size_t chunk_bytes_;
  std::string rest_;  ///< the beginning of the line that the last chunk left out
  bool ended_ = false;
};

/// Puts the chunks together again, in their order.
class Assembly {
 public:
  explicit Assembly(std::string_view name) : name_(name) {}

  Result<void> add(const Chunk& chunk) {
    lines_ += chunk.lines;
    if (!chunk.problem.empty()) {
      return Error{fmt::format("{}:{}: {}", name_, lines_, chunk.problem)};
    }
    append(samples_, chunk.samples);
    return {};
  }
  /// Of the line behind the last chunk.
  Error error(const std::string& text) const { return Error{fmt::format("{}:{}: {}", name_, lines_ + 1, text)}; }

  Result<SparseSamples> finish() {
    if (samples_.count() == 0) {
      return Error{fmt::format("{}: there is no sample in it", name_)};
    }
    if (samples_.count() > std::numeric_limits<std::uint32_t>::max()) {
      return Error{fmt::format("{}: {} samples are more than can be numbered", name_, samples_.count())};
    }
    return std::move(samples_);
  }

 private:
  std::string_view name_;
  SparseSamples samples_;
  std::uint64_t lines_ = 0;
};

Result<SparseSamples> read_file(const std::filesystem::path& file, const LibsvmOptions& options) {
  std::ifstream input(file, std::ios::binary);
  if (!input) {
    return Error{fmt::format("{}: cannot be read: {}", file.string(), std::generic_category().message(errno))};
  }
  return read_libsvm(input, file.string(), options);
}

}  // namespace

Result<SparseSamples> read_libsvm(std::istream& input, std::string_view name, const LibsvmOptions& options) {
  const std::size_t threads =
      options.threads != 0 ? options.threads : std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
  const auto policy = threads == 1 ? std::launch::deferred : std::launch::async;  // one: it may as well be this one
  LineChunks chunks(input, options.chunk_bytes);
  Assembly assembly(name);
  std::deque<std::future<Chunk>> parsing;  // bounds what is in memory; each one's destructor waits for its thread
  const auto add_oldest = [&] {
    const Chunk chunk = parsing.front().get();
    parsing.pop_front();
    return assembly.add(chunk);
  };
  std::optional<Error> unreadable;
  for (;;) {
    auto text = chunks.next();
    if (!text) {
      unreadable = text.failure();
      break;
    }
    if (text->empty()) {
      break;
    }
    if (parsing.size() >= threads) {
      if (auto added = add_oldest(); !added) {
        return added.failure();
      }
    }
    parsing.push_back(std::async(policy, [index_max = options.features_max, chunk_text = std::move(*text)] {
      return parse_chunk(chunk_text, index_max);
    }));
  }
  while (!parsing.empty()) {
    if (auto added = add_oldest(); !added) {
      return added.failure();
    }
  }
  return unreadable ? Result<SparseSamples>(assembly.error(unreadable->message)) : assembly.finish();
}

Result<SparseDataset> load_libsvm(const LibsvmFiles& files, const LibsvmOptions& options) {
  auto train = read_file(files.train, options);
  if (!train) {
    return train.failure();
  }
  auto test = read_file(files.test, options);
  if (!test) {
    return test.failure();
  }
  return SparseDataset{std::move(*train), std::move(*test)};
}

}  // namespace ringps
