#include "libps/data/libsvm.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <numeric>
#include <sstream>
#include <string>

#include "tests/support/temp_dir.hpp"
#include "tests/unit/data/idx_files.hpp"

namespace ringps {
namespace {

using Catch::Matchers::Contains;

Result<SparseSamples> read(const std::string& text, const LibsvmOptions& options = {}) {
  std::istringstream input(text);
  return read_libsvm(input, "data", options);
}

SparseSamples samples_of(const std::string& text, const LibsvmOptions& options = {}) {
  auto samples = read(text, options);
  INFO((samples ? "" : samples.error()));
  REQUIRE(samples);
  return std::move(samples).value();
}

std::string libsvm_error(const std::string& text, const LibsvmOptions& options = {}) {
  const auto samples = read(text, options);
  REQUIRE_FALSE(samples);
  return samples.error();
}

std::vector<SparseEntry> row(const SparseSamples& samples, std::size_t index) {
  const auto entries = samples.row(index);
  return {entries.begin(), entries.end()};
}

TEST_CASE("rows are read with their labels, and indices count from 1 in the file and from 0 in memory") {
  const auto samples = samples_of("+1 1:0.5 7:-2\n-1 3:1e1\n1 2:+3\n0\n");
  CHECK(samples.count() == 4);
  CHECK(samples.labels == std::vector<std::uint8_t>{1, 0, 1, 0});
  CHECK(samples.features == 7);
  CHECK(row(samples, 0) == std::vector<SparseEntry>{{0, 0.5F}, {6, -2.0F}});
  CHECK(row(samples, 1) == std::vector<SparseEntry>{{2, 10.0F}});
  CHECK(row(samples, 2) == std::vector<SparseEntry>{{1, 3.0F}});
  CHECK(row(samples, 3).empty());
}

TEST_CASE("an explicit zero is no entry, but counts as a feature") {
  const auto samples = samples_of("-1 2:1 123:0\n+1 4:0.0 5:-0 6:1\n");
  CHECK(samples.features == 123);
  CHECK(row(samples, 0) == std::vector<SparseEntry>{{1, 1.0F}});
  CHECK(row(samples, 1) == std::vector<SparseEntry>{{5, 1.0F}});
}

TEST_CASE("comments, blank lines, tabs, trailing blanks, CRLF and a missing last line end do not matter") {
  const auto plain = samples_of("+1 1:1 2:1\n-1 3:1\n");
  CHECK(samples_of("# head\n\n+1 1:1 2:1 \n \t\n-1\t3:1") == plain);
  CHECK(samples_of("+1 1:1  2:1\r\n-1 3:1\r\n\r\n") == plain);
  CHECK(samples_of("+1 1:1 2:1 # the first\n-1 3:1#the second\n") == plain);
  CHECK(samples_of("+1.0 1:1 2:1\n-1.0 3:1\n") == plain);
}

TEST_CASE("a gzipped stream is read as what it holds") {
  CHECK(samples_of(gzipped("+1 1:1\n-1 2:1\n")) == samples_of("+1 1:1\n-1 2:1\n"));
}

TEST_CASE("what is wrong is said with file and line") {
  const auto [line, expected] = GENERATE(table<std::string, std::string>({
      {"2 1:1", "the label is '2', expected +1 or 1, or -1 or 0"},
      {"+ 1:1", "the label is '+'"},
      {"+-1 1:1", "the label is '+-1'"},
      {"nan 1:1", "the label is 'nan'"},
      {"1:1 2:1", "the label is '1:1'"},
      {"+1 5", "expected INDEX:VALUE, found '5'"},
      {"+1 1 :1", "expected INDEX:VALUE, found '1'"},
      {"+1 :1", "expected a whole number before the colon, found ':1'"},
      {"+1 -3:1", "expected a whole number before the colon, found '-3:1'"},
      {"+1 qid:3", "expected a whole number before the colon, found 'qid:3'"},
      {"+1 1.5:1", "expected a whole number before the colon, found '1.5:1'"},
      {"+1 0:1", "the index in '0:1' is 0, but they count from 1"},
      {"+1 3:1 2:1", "the index in '2:1' comes after 3, but they have to ascend"},
      {"+1 3:1 3:1", "the index in '3:1' comes after 3"},
      {"+1 2:0 1:1", "the index in '1:1' comes after 2"},
      {"+1 68000000:1", "the index in '68000000:1' is above the number of features, which is at most 67108864"},
      {"+1 99999999999999999999:1", "is above the number of features"},
      {"+1 1:", "expected a number that fits a float behind the colon, found '1:'"},
      {"+1 1:x", "expected a number that fits a float behind the colon, found '1:x'"},
      {"+1 1:1e39", "expected a number that fits a float"},
      {"+1 1:nan", "expected a number that fits a float"},
      {"+1 1:inf", "expected a number that fits a float"},
      {"+1 1:1:1", "expected a number that fits a float"},
      {"+1 1:\x01", "found '1:?'"},
  }));
  CAPTURE(line);
  CHECK_THAT(libsvm_error("+1 1:1\n\n" + line + "\n+1 x\n"), Catch::StartsWith("data:3: ") && Contains(expected));
}

TEST_CASE("an index above the number of features that was agreed on is refused") {
  CHECK_THAT(libsvm_error("+1 3:1\n-1 4:1\n", {.features_max = 3}), Catch::StartsWith("data:2: the index in '4:1'"));
}

TEST_CASE("a file without samples, and one that ends within its gzip data, are refused") {
  CHECK(libsvm_error("# nothing\n\n") == "data: there is no sample in it");
  CHECK(libsvm_error("") == "data: there is no sample in it");
  const std::string zipped = gzipped("+1 1:1\n-1 2:1\n");
  CHECK_THAT(libsvm_error(zipped.substr(0, zipped.size() - 6)), Contains("truncated"));
}

/// Lines of samples, blank ones and, perhaps, one that is wrong.
std::string any_text() {
  std::string text;
  const int lines = *rc::gen::inRange(1, 60);
  for (int i = 0; i < lines; ++i) {
    text += *rc::gen::element<std::string>("+1 1:2 9:1", "-1", "", "# no", "0 3:0.25 4:1", "1 2:1 77:0", "-1 5:7 \r");
    text += "\n";
  }
  return text + *rc::gen::element<std::string>("+1 1:1", "-1 3:1\n", "+1 2:1 1:1\n-1\n", "+1 3:3\n\n-1 x");
}

TEST_CASE("neither the number of threads nor where the text is cut changes the result, or the error") {
  CHECK(rc::check([] {
    const std::string text = any_text();
    const auto whole = read(text, {.threads = 1, .chunk_bytes = 1U << 20U});
    const auto cut = read(
        text, {.threads = *rc::gen::inRange<std::size_t>(1, 5), .chunk_bytes = *rc::gen::inRange<std::size_t>(1, 40)});
    RC_ASSERT(whole.ok() == cut.ok());
    if (whole) {
      RC_ASSERT(*whole == *cut);
    } else {
      RC_ASSERT(whole.error() == cut.error());
    }
  }));
}

TEST_CASE("sparse samples can be cut to the first, and keep their number of features") {
  auto samples = samples_of("+1 1:1 2:2\n-1 9:1\n");
  keep_first(samples, 5);
  CHECK(samples.count() == 2);
  keep_first(samples, 1);
  CHECK(samples.count() == 1);
  CHECK(samples.features == 9);
  CHECK(samples.entries.size() == 2);
  CHECK(row(samples, 0) == std::vector<SparseEntry>{{0, 1.0F}, {1, 2.0F}});
}

TEST_CASE("a data set is two files, and a missing one is named") {
  const TempDir dir;
  write_file(dir / "train", "+1 1:1\n");
  CHECK_THAT(load_libsvm({dir / "train", dir / "test"}).error(),
             Catch::StartsWith(dir / "test") && Contains("No such file"));
  write_file(dir / "test", "+1 1:1\n-1 6:0\n");
  const auto dataset = load_libsvm({dir / "train", dir / "test"});
  REQUIRE(dataset);
  CHECK(dataset->train.count() == 1);
  CHECK(dataset->test.count() == 2);
  CHECK(dataset->features() == 6);
}

TEST_CASE("the real a9a files load") {
  const char* folder = std::getenv("RINGPS_DATA");
  if (folder == nullptr) {
    WARN("skipped: set RINGPS_DATA to a folder that has a9a/a9a and a9a/a9a.t");
    return;
  }
  const auto a9a = std::filesystem::path(folder) / "a9a";
  const auto dataset = load_libsvm({a9a / "a9a", a9a / "a9a.t"});
  INFO((dataset ? "" : dataset.error()));
  REQUIRE(dataset);
  const auto positives = [](const SparseSamples& samples) {
    return std::accumulate(samples.labels.begin(), samples.labels.end(), 0);
  };
  CHECK(dataset->train.count() == 32561);
  CHECK(dataset->test.count() == 16281);
  CHECK(dataset->train.features == 123);
  CHECK(dataset->test.features == 123);  // only by a row that ends in 123:0
  CHECK(dataset->train.entries.size() == 451592);
  CHECK(dataset->test.entries.size() == 225731);
  CHECK(positives(dataset->train) == 7841);
  CHECK(positives(dataset->test) == 3846);
}

}  // namespace
}  // namespace ringps
