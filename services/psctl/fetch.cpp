#include "services/psctl/fetch.hpp"

#include <fcntl.h>
#include <httplib.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <span>
#include <system_error>

#include "libps/base/sha256.hpp"
#include "libps/data/gzip_reader.hpp"
#include "libps/storage/file.hpp"
#include "services/psctl/size_text.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t file_bytes_max = std::uint64_t{1} << 30U;  ///< compressed or not: more is no data set of ours
constexpr int http_ok = 200;
constexpr int http_partial_content = 206;
constexpr int http_range_not_satisfiable = 416;

/// Digest of what a gzipped file holds.
Result<std::string> gunzipped_sha256(const fs::path& path) {
  std::ifstream input(path, std::ios::binary);
  if (!input) {
    return Error{path.string() + ": cannot open"};
  }
  GzipReader reader(input);
  Sha256 sha256;
  std::array<std::uint8_t, 65536> buffer;
  for (std::uint64_t bytes = 0;;) {
    const auto count = reader.read(buffer);
    if (!count) {
      return Error{path.string() + ": " + count.error()};
    }
    if (*count == 0) {
      return sha256.hex();
    }
    bytes += *count;
    if (bytes > file_bytes_max) {
      return Error{path.string() + ": holds more than " + size_text(file_bytes_max)};
    }
    sha256.update(std::as_bytes(std::span(buffer).first(*count)));
  }
}

Result<void> check_contents(const fs::path& path, const FetchFile& expected) {
  const auto found = gunzipped_sha256(path);
  if (!found) {
    return found.failure();
  }
  if (*found != expected.sha256) {
    return Error{
        fmt::format("{}: the contents have the SHA-256 {}, expected {}", path.string(), *found, expected.sha256)};
  }
  return {};
}

struct Url {
  std::string origin;  ///< scheme, host and port
  std::string path;
};

Result<Url> split_url(const std::string& mirror, const std::string& name) {
  const std::size_t scheme = mirror.find("://");
  if (!mirror.starts_with("http://") && !mirror.starts_with("https://")) {
    return Error{fmt::format("--mirror {}: expected an address that starts with http:// or https://", mirror)};
  }
  const std::size_t slash = std::min(mirror.find('/', scheme + 3), mirror.size());
  std::string folder = mirror.substr(slash);
  while (folder.ends_with('/')) {
    folder.pop_back();
  }
  return Url{mirror.substr(0, slash), folder + "/" + name};
}

/// One file on its way.
class Download {
 public:
  Download(const FetchFile& file, const FetchOptions& options, std::ostream& progress)
      : file_(file),
        options_(options),
        progress_(progress),
        path_(options.into / file.name),
        part_(options.into / (file.name + ".part")) {}

  /// Leaves the file whole and right under its name, or at most its part.
  Result<void> run() {
    if (auto asked = ask(); !asked) {
      return asked;
    }
    auto checked = check_contents(part_, file_);
    if (!checked && start_ > 0) {
      say("what was there before does not fit, starting again");
      if (auto again = start_again(); !again) {
        return again;
      }
      checked = check_contents(part_, file_);
    }
    if (!checked) {
      remove_part();
      return Error{checked.error() + "; what came from " + options_.mirror + " is thrown away: try another --mirror"};
    }
    if (auto published = publish_file(fd_, part_, path_); !published) {
      return published;
    }
    say("done, " + size_text(bytes_));
    return {};
  }

 private:
  void say(const std::string& text) { progress_ << file_.name << ": " << text << std::endl; }

  void remove_part() {
    std::error_code ignored;
    fs::remove(part_, ignored);
  }

  Result<void> start_again() {
    fd_.close();
    remove_part();
    return ask();
  }

  /// Asks for what is missing of the part, and appends it.
  Result<void> ask() {
    const auto url = split_url(options_.mirror, file_.name);
    if (!url) {
      return url.failure();
    }
    std::error_code absent;
    const auto present = fs::file_size(part_, absent);
    start_ = absent ? 0 : present;
    bytes_ = start_;
    problem_.clear();
    status_ = 0;
    try {
      return get(*url);
    } catch (const std::exception& error) {  // the library throws for addresses that it cannot take
      return Error{fmt::format("{}{}: {}", url->origin, url->path, error.what())};
    }
  }

  Result<void> get(const Url& url) {
    httplib::Client client(url.origin);
    client.set_connection_timeout(options_.connect_timeout);
    client.set_read_timeout(options_.silence_timeout);
    client.set_write_timeout(options_.silence_timeout);
    client.set_follow_location(true);
    client.set_decompress(false);
    httplib::Headers headers{{"Accept-Encoding", "identity"}};
    if (start_ > 0) {
      headers.emplace("Range", fmt::format("bytes={}-", start_));
    }
    const auto answer = client.Get(
        url.path, headers, [this](const httplib::Response& response) { return accept(response); },
        [this](const char* data, std::size_t size) {
          return append({data, size});
        });
    end_progress_line();
    if (status_ == http_range_not_satisfiable) {
      return reopen_whole_part();
    }
    if (!problem_.empty()) {
      return Error{fmt::format("{}{}: {}", url.origin, url.path, problem_)};
    }
    if (!answer) {
      return Error{fmt::format("{}{}: the download failed ({}) after {}{}", url.origin, url.path,
                               httplib::to_string(answer.error()), size_text(bytes_),
                               bytes_ > 0 ? "; the same command goes on from there" : "")};
    }
    return {};
  }

  /// The mirror has nothing behind the part: it may be the whole file.
  Result<void> reopen_whole_part() {
    fd_ = FileDescriptor(::open(part_.c_str(), O_WRONLY | O_CLOEXEC));
    if (fd_.get() < 0) {
      return io_error(part_, "open", errno);
    }
    return {};
  }

  /// Whether the answer's body is what was asked for; opens the part for it.
  bool accept(const httplib::Response& response) {
    status_ = response.status;
    if (status_ == http_range_not_satisfiable && start_ > 0) {
      return false;
    }
    if (status_ != http_ok && status_ != http_partial_content) {
      problem_ = fmt::format("the mirror answered with status {}, expected {}: check --mirror", status_, http_ok);
      return false;
    }
    if (status_ == http_ok) {
      start_ = 0;  // a mirror that does not know ranges
    } else if (!response.get_header_value("Content-Range").starts_with(fmt::format("bytes {}-", start_))) {
      problem_ = fmt::format("the mirror answered with the range '{}', expected one from byte {}",
                             response.get_header_value("Content-Range"), start_);
      return false;
    }
    bytes_ = start_;
    total_ =
        response.has_header("Content-Length") ? start_ + response.get_header_value<std::uint64_t>("Content-Length") : 0;
    return open_part();
  }

  bool open_part() {
    const int truncate = start_ == 0 ? O_TRUNC : 0;
    fd_ = FileDescriptor(::open(part_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | truncate, 0666));
    if (fd_.get() < 0) {
      problem_ = io_error(part_, "open", errno).message;
      return false;
    }
    const std::string size = total_ > 0 ? size_text(total_) + " " : "";
    say(start_ > 0 ? fmt::format("going on at {} of {}from {}", size_text(start_), size, options_.mirror)
                   : fmt::format("downloading {}from {}", size, options_.mirror));
    return true;
  }

  bool append(std::string_view data) {
    if (bytes_ + data.size() > file_bytes_max) {
      problem_ = "more than " + size_text(file_bytes_max) + " came, which is no file of this data set";
      return false;
    }
    if (auto written = write_all(fd_, std::as_bytes(std::span(data)), part_); !written) {
      problem_ = written.error();
      return false;
    }
    bytes_ += data.size();
    show_progress();
    return true;
  }

  void show_progress() {
    if (!options_.terminal || total_ == 0) {
      return;
    }
    const std::uint64_t percent = bytes_ * 100 / total_;
    if (percent != shown_percent_) {
      shown_percent_ = percent;
      progress_ << fmt::format("\r{}: {:>3} %", file_.name, percent) << std::flush;
    }
  }

  void end_progress_line() {
    if (options_.terminal && shown_percent_ > 0) {
      progress_ << '\r';
      shown_percent_ = 0;
    }
  }

  const FetchFile& file_;
  const FetchOptions& options_;
  std::ostream& progress_;
  const fs::path path_;
  const fs::path part_;

  FileDescriptor fd_;        ///< of the part, once an answer has been accepted
  int status_ = 0;           ///< of the last answer
  std::uint64_t start_ = 0;  ///< bytes of the part that were there before the answer
  std::uint64_t bytes_ = 0;  ///< of the part
  std::uint64_t total_ = 0;  ///< of the whole file; 0: the mirror does not say
  std::uint64_t shown_percent_ = 0;
  std::string problem_;  ///< why we stopped listening
};

}  // namespace

std::vector<FetchFile> mnist_files() {
  return {
      {"train-images-idx3-ubyte.gz", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
      {"train-labels-idx1-ubyte.gz", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
      {"t10k-images-idx3-ubyte.gz", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
      {"t10k-labels-idx1-ubyte.gz", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
  };
}

Result<void> fetch(const std::vector<FetchFile>& files, const FetchOptions& options, std::ostream& progress) {
  if (auto made = make_folder(options.into); !made) {
    return made;
  }
  // Two that append to the same part would spoil it, one of them perhaps after the other has given it its name.
  const FileDescriptor folder(::open(options.into.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) {
    return io_error(options.into, "open the folder", errno);
  }
  if (::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? Error{options.into.string() + ": another process is downloading into it"}
                                : io_error(options.into, "lock the folder", errno);
  }
  for (const FetchFile& file : files) {
    if (check_contents(options.into / file.name, file)) {
      progress << file.name << ": already there" << std::endl;
      continue;
    }
    if (auto done = Download(file, options, progress).run(); !done) {
      return done;
    }
  }
  return {};
}

}  // namespace ringps
