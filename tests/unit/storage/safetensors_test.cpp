#include "libps/storage/safetensors.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/unit/storage/fixtures.hpp"

using namespace ringps;

namespace {

struct Input {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::vector<float> values;
};

Result<FileDigest> write(const std::filesystem::path& path, const std::vector<Input>& inputs,
                         const SafetensorsMetadata& metadata = {}) {
  std::vector<NamedShape> tensors;
  for (const Input& input : inputs) {
    tensors.push_back({input.name, input.shape});
  }
  auto writer = SafetensorsWriter::create(path, tensors, metadata);
  if (!writer) {
    return writer.failure();
  }
  for (const Input& input : inputs) {
    if (auto appended = writer->append(std::as_bytes(std::span(input.values))); !appended) {
      return appended.failure();
    }
  }
  return writer->publish();
}

/// A file with this header, its length in front, and `data_bytes` zeros behind.
std::string file_with(const std::string& header, std::size_t data_bytes) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, '\0');
}

std::string refusal(const std::string& header, std::uint64_t data_bytes) {
  const auto parsed = parse_safetensors_header(header, data_bytes);
  return parsed ? "accepted" : parsed.error();
}

}  // namespace

TEST_CASE("a written file reads back by the rules of the format alone") {
  const TempDir dir;
  const std::vector<Input> inputs{{"weights", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"scalar", {}, {7}}, {"b", {1}, {8}}};
  const auto digest = write(dir / "f", inputs, {{"iteration", "60"}});
  REQUIRE(digest);

  const std::string bytes = read_bytes(dir / "f");
  CHECK(digest->bytes == bytes.size());
  CHECK(digest->sha256 == sha256_hex(bytes));
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  CHECK(header_bytes % 8 == 0);
  const auto header = nlohmann::json::parse(bytes.substr(8, header_bytes));
  CHECK(header.size() == 4);
  CHECK(header["__metadata__"] == nlohmann::json{{"iteration", "60"}});
  const std::string data = bytes.substr(8 + header_bytes);
  CHECK(data.size() == 8 * sizeof(float));
  for (const Input& input : inputs) {
    const auto& tensor = header[input.name];
    CHECK(tensor["dtype"] == "F32");
    CHECK(tensor["shape"].get<std::vector<std::uint64_t>>() == input.shape);
    const auto begin = tensor["data_offsets"][0].get<std::size_t>();
    const auto end = tensor["data_offsets"][1].get<std::size_t>();
    REQUIRE(end - begin == input.values.size() * sizeof(float));
    CHECK(std::memcmp(data.data() + begin, input.values.data(), end - begin) == 0);
  }
}

TEST_CASE("whatever is written reads back bit for bit") {
  const TempDir dir;
  const bool held = rc::check([&](const std::vector<std::vector<std::uint32_t>>& patterns) {
    std::vector<Input> inputs;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      std::vector<float> values;
      for (const std::uint32_t bits : patterns[i]) {
        values.push_back(std::bit_cast<float>(bits));
      }
      inputs.push_back({std::to_string(i), {values.size()}, values});
    }
    RC_ASSERT(write(dir / "f", inputs).ok());
    const auto file = SafetensorsFile::open(dir / "f");
    RC_ASSERT(file.ok());
    RC_ASSERT(file->tensors().size() == inputs.size());
    for (const Input& input : inputs) {
      const TensorEntry* tensor = file->find(input.name);
      RC_ASSERT(tensor != nullptr);
      std::vector<float> values(input.values.size());
      RC_ASSERT(file->read(*tensor, std::as_writable_bytes(std::span(values))).ok());
      RC_ASSERT(std::ranges::equal(values, input.values, {}, std::bit_cast<std::uint32_t, float>,
                                   std::bit_cast<std::uint32_t, float>));
    }
  });
  CHECK(held);
}

TEST_CASE("the metadata and names with quotes and beyond ASCII survive") {
  const TempDir dir;
  REQUIRE(write(dir / "f", {{"a \"b\"\\ é", {1}, {1}}}, {{"key", "välue\n"}}));
  const auto file = SafetensorsFile::open(dir / "f");
  REQUIRE(file);
  CHECK(file->find("a \"b\"\\ é") != nullptr);
  CHECK(file->find("a") == nullptr);
  CHECK(file->metadata() == SafetensorsMetadata{{"key", "välue\n"}});
}

TEST_CASE("a name that is used twice, reserved or not text is refused before anything is written") {
  const TempDir dir;
  CHECK_FALSE(write(dir / "f", {{"a", {1}, {1}}, {"a", {1}, {1}}}));
  CHECK_FALSE(write(dir / "f", {{"__metadata__", {1}, {1}}}));
  CHECK_FALSE(write(dir / "f", {{"\xFF", {1}, {1}}}));
  CHECK(names_in(dir.path()).empty());
}

TEST_CASE("a disk that fills up while tensors are written leaves no file") {
  const TempDir dir;
  const std::vector<float> values(1'000'000);
  Result<FileDigest> digest = FileDigest{};
  {
    const FullDisk full(1'000'000);
    digest = write(dir / "f", {{"a", {values.size()}, values}});
  }
  REQUIRE_FALSE(digest);
  CHECK(digest.error() == (dir / ".f.tmp").string() + ": cannot write: File too large");
  CHECK(names_in(dir.path()).empty());
}

TEST_CASE("each rule of the header is enforced") {
  using Catch::Contains;
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  CHECK(refusal(good, 8) == "accepted");
  CHECK(refusal(good + "   ", 8) == "accepted");
  CHECK(refusal("{}", 0) == "accepted");

  CHECK_THAT(refusal("", 0), Contains("does not start with '{'"));
  CHECK_THAT(refusal(" " + good, 8), Contains("does not start with '{'"));
  CHECK_THAT(refusal(good + "x", 8), Contains("not valid JSON"));
  CHECK_THAT(refusal("{\"\xFF\":1}", 0), Contains("not valid JSON"));
  CHECK_THAT(refusal(R"({"a":[[[[[[1]]]]]]})", 0), Contains("nested deeper"));
  CHECK_THAT(refusal(R"({"a":1})", 0), Contains("expected an object of dtype"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2]}})", 8), Contains("expected an object of dtype"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}})", 8),
             Contains("dtype is \"F16\", expected \"F32\""));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), Contains("shape is not"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8), Contains("shape is not"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8), Contains("shape is not"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8), Contains("data_offsets is not"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), Contains("behind their end"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), Contains("its shape has 12"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
             Contains("64 bits"));
  CHECK_THAT(refusal(good, 4), Contains("the data has 4 bytes"));
  CHECK_THAT(refusal(good, 12), Contains("the data has 12 bytes"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8), Contains("leave holes"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                         "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                     12),
             Contains("overlap"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                         "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                     8),
             Contains("the key \"a\" twice"));
  CHECK_THAT(refusal(R"({"__metadata__":{"a":1}})", 0), Contains("expected a string"));
  CHECK_THAT(refusal(R"({"__metadata__":[]})", 0), Contains("__metadata__ is not an object"));
}

TEST_CASE("a torn or false file is refused, and the error names it") {
  using Catch::Contains;
  const TempDir dir;
  const auto refused = [&](const std::string& bytes) {
    write_bytes(dir / "f", bytes);
    const auto file = SafetensorsFile::open(dir / "f");
    REQUIRE_FALSE(file);
    CHECK_THAT(file.error(), Contains((dir / "f").string()));
    return file.error();
  };
  const std::string whole = file_with(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  write_bytes(dir / "f", whole);
  REQUIRE(SafetensorsFile::open(dir / "f"));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    refused(whole.substr(0, length));
  }
  refused(whole + "x");
  CHECK_THAT(refused(std::string(8, '\xFF') + "{}"), Contains("claims 18446744073709551615 bytes"));
}
