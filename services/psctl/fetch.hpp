// What `psctl data fetch` does: downloads files of data over HTTP, and trusts nothing but their digests.
#pragma once

#include <chrono>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps {

struct FetchFile {
  std::string name;    ///< at the mirror and on disk; gzipped
  std::string sha256;  ///< of the uncompressed contents, hexadecimal
};

/// The four files of MNIST.
std::vector<FetchFile> mnist_files();

inline constexpr const char* mnist_mirror = "https://ossci-datasets.s3.amazonaws.com/mnist";

struct FetchOptions {
  std::filesystem::path into;         ///< made if it is not there
  std::string mirror = mnist_mirror;  ///< http or https; the files' names are appended to it
  bool terminal = false;              ///< whether progress may rewrite its line
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds silence_timeout{30'000};  ///< longest time without a byte
};

/// Downloads what is not there with the right digest. A file has its name only when it is whole and right; until then
/// it is `<name>.part`, which the next call goes on with. Progress, for people, goes to `progress`.
Result<void> fetch(const std::vector<FetchFile>& files, const FetchOptions& options, std::ostream& progress);

}  // namespace ringps
