#include "services/psctl/fetch.hpp"

#include <httplib.h>
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <sstream>
#include <thread>

#include "libps/base/random.hpp"
#include "libps/base/sha256.hpp"
#include "tests/support/temp_dir.hpp"

using namespace ringps;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

std::string gzip(const std::string& text) {
  z_stream zlib{};
  REQUIRE(deflateInit2(&zlib, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&zlib, text.size()), '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&zlib, Z_FINISH) == Z_STREAM_END);
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

/// Text that does not compress to nothing.
std::string noise(std::size_t bytes) {
  const KeyedRandom random(1, "a file to download");
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) {
    text += static_cast<char>(random.bits(i));
  }
  return text;
}

std::string read_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// A mirror on a port of the system's choice.
class Mirror {
 public:
  explicit Mirror(const httplib::Server::Handler& handler) {
    server_.Get(R"(/data/.*)", [this, handler](const auto& request, auto& response) {
      ++requests;
      last_range = request.get_header_value("Range");
      handler(request, response);
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    REQUIRE(port_ > 0);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~Mirror() {
    // The library forgets a stop() that comes before its loop has begun, so ask until the loop has ended.
    while (!server_.is_running()) {
      std::this_thread::yield();
    }
    server_.stop();
    thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/data"; }

  std::atomic<int> requests{0};
  std::string last_range;

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

/// The library's server honours ranges by itself where a body is set whole.
httplib::Server::Handler serve(std::string body) {
  return [body = std::move(body)](const httplib::Request&, httplib::Response& response) {
    response.set_content(body, "application/octet-stream");
  };
}

/// Announces the whole body and sends only the first `bytes` of it.
httplib::Server::Handler serve_and_break_off(std::string body, std::size_t bytes) {
  return [body = std::move(body), bytes](const httplib::Request&, httplib::Response& response) {
    response.set_content_provider(body.size(), "application/octet-stream",
                                  [=](std::size_t offset, std::size_t, httplib::DataSink& sink) {
                                    return offset < bytes && sink.write(body.data() + offset, bytes - offset);
                                  });
  };
}

struct Scene {
  TempDir dir;
  std::string text = noise(300'000);
  std::string gzipped = gzip(text);
  FetchFile file{"file.gz", sha256_hex(text)};
  std::ostringstream progress;

  fs::path path() const { return dir / "file.gz"; }
  fs::path part() const { return dir / "file.gz.part"; }

  Result<void> fetch_from(const std::string& mirror, bool terminal = false) {
    FetchOptions options{dir.path(), mirror, terminal};
    options.silence_timeout = std::chrono::milliseconds(2000);
    progress.str("");
    return fetch({file}, options, progress);
  }

  void check_complete() const {
    CHECK(read_bytes(path()) == gzipped);
    CHECK_FALSE(fs::exists(part()));
  }
};

}  // namespace

TEST_CASE("a file is downloaded, checked and given its name, and the next call leaves it alone") {
  Scene scene;
  const Mirror mirror(serve(scene.gzipped));
  REQUIRE(scene.fetch_from(mirror.url() + "/"));
  scene.check_complete();
  CHECK_THAT(scene.progress.str(), Contains("file.gz: downloading 293.1 KiB") && Contains("file.gz: done"));
  REQUIRE(scene.fetch_from(mirror.url()));
  CHECK(scene.progress.str() == "file.gz: already there\n");
  CHECK(mirror.requests == 1);
}

TEST_CASE("the folder is made where it is missing") {
  Scene scene;
  const Mirror mirror(serve(scene.gzipped));
  std::ostringstream progress;
  REQUIRE(fetch({scene.file}, {scene.dir / "a/b", mirror.url()}, progress));
  CHECK(fs::exists(scene.dir / "a/b/file.gz"));
}

TEST_CASE("a file with other contents is replaced") {
  Scene scene;
  write_bytes(scene.path(), gzip("something else"));
  const Mirror mirror(serve(scene.gzipped));
  REQUIRE(scene.fetch_from(mirror.url()));
  scene.check_complete();
}

TEST_CASE("a download that broke off leaves only its part, and goes on from there") {
  Scene scene;
  {
    const Mirror mirror(serve_and_break_off(scene.gzipped, 100'000));
    const auto fetched = scene.fetch_from(mirror.url());
    REQUIRE_FALSE(fetched);
    CHECK_THAT(fetched.error(), Contains(mirror.url() + "/file.gz: the download failed") && Contains("goes on"));
    CHECK_FALSE(fs::exists(scene.path()));
    CHECK(read_bytes(scene.part()) == scene.gzipped.substr(0, 100'000));
  }
  const Mirror mirror(serve(scene.gzipped));
  REQUIRE(scene.fetch_from(mirror.url()));
  CHECK(mirror.last_range == "bytes=100000-");
  CHECK_THAT(scene.progress.str(), Contains("going on at 97.7 KiB of 293.1 KiB from http"));
  scene.check_complete();
}

TEST_CASE("a mirror without ranges sends everything again") {
  Scene scene;
  write_bytes(scene.part(), scene.gzipped.substr(0, 1000));
  const Mirror mirror([&](const httplib::Request& request, httplib::Response& response) {
    const_cast<httplib::Request&>(request).ranges.clear();
    response.set_content(scene.gzipped, "application/octet-stream");
    response.status = 200;
  });
  REQUIRE(scene.fetch_from(mirror.url()));
  CHECK(mirror.requests == 1);
  scene.check_complete();
}

TEST_CASE("a part that is whole already only gets its name") {
  Scene scene;
  write_bytes(scene.part(), scene.gzipped);
  const Mirror mirror([](const httplib::Request& request, httplib::Response& response) {
    const_cast<httplib::Request&>(request).ranges.clear();
    response.status = 416;
  });
  REQUIRE(scene.fetch_from(mirror.url()));
  scene.check_complete();
}

TEST_CASE("a part of something else is thrown away and the file fetched from its start") {
  Scene scene;
  write_bytes(scene.part(), std::string(1000, 'x'));
  const Mirror mirror(serve(scene.gzipped));
  REQUIRE(scene.fetch_from(mirror.url()));
  CHECK(mirror.requests == 2);
  CHECK_THAT(scene.progress.str(), Contains("starting again"));
  scene.check_complete();
}

TEST_CASE("a file with the wrong digest never gets its name") {
  Scene scene;
  const Mirror mirror(serve(gzip("something else")));
  const auto fetched = scene.fetch_from(mirror.url());
  REQUIRE_FALSE(fetched);
  CHECK_THAT(fetched.error(), Contains(sha256_hex("something else")) && Contains("expected " + scene.file.sha256) &&
                                  Contains("try another --mirror"));
  CHECK(fs::is_empty(scene.dir.path()));
}

TEST_CASE("something that is truncated gzip, or no gzip at all, never gets its name") {
  Scene scene;
  for (const std::string& body : {scene.gzipped.substr(0, 1000), std::string("<html>no such file</html>")}) {
    const Mirror mirror(serve(body));
    CHECK_FALSE(scene.fetch_from(mirror.url()));
    CHECK(fs::is_empty(scene.dir.path()));
  }
}

TEST_CASE("a status other than success is an error that names the address") {
  Scene scene;
  const Mirror mirror([](const httplib::Request&, httplib::Response& response) { response.status = 404; });
  const auto fetched = scene.fetch_from(mirror.url());
  REQUIRE_FALSE(fetched);
  CHECK(fetched.error() ==
        mirror.url() + "/file.gz: the mirror answered with status 404, expected 200: check --mirror");
  CHECK(fs::is_empty(scene.dir.path()));
}

TEST_CASE("a redirection is followed") {
  Scene scene;
  const Mirror target(serve(scene.gzipped));
  const Mirror mirror([&](const httplib::Request&, httplib::Response& response) {
    response.set_redirect(target.url() + "/elsewhere.gz");
  });
  REQUIRE(scene.fetch_from(mirror.url()));
  scene.check_complete();
}

TEST_CASE("a mirror that falls silent is given up after the time-out") {
  Scene scene;
  std::promise<void> over;
  const auto wait = over.get_future().share();
  const Mirror mirror([&](const httplib::Request&, httplib::Response& response) {
    response.set_content_provider(scene.gzipped.size(), "application/octet-stream",
                                  [&](std::size_t offset, std::size_t, httplib::DataSink& sink) {
                                    if (offset == 0) {
                                      return sink.write(scene.gzipped.data(), 5000);
                                    }
                                    wait.wait();
                                    return false;
                                  });
  });
  FetchOptions options{scene.dir.path(), mirror.url()};
  options.silence_timeout = std::chrono::milliseconds(100);
  const auto fetched = fetch({scene.file}, options, scene.progress);
  over.set_value();
  REQUIRE_FALSE(fetched);
  CHECK_THAT(fetched.error(), Contains("the download failed"));
  CHECK(fs::file_size(scene.part()) == 5000);
}

TEST_CASE("a mirror that nobody listens at, or that is no address, is an error") {
  Scene scene;
  std::string url;
  {
    const Mirror gone(serve(""));
    url = gone.url();
  }
  CHECK_THAT(scene.fetch_from(url).error(), Contains(url + "/file.gz: the download failed (Connection)"));
  CHECK_THAT(scene.fetch_from("ftp://x").error(), Contains("--mirror ftp://x: expected an address"));
  CHECK_FALSE(scene.fetch_from("http://"));
  CHECK(fs::is_empty(scene.dir.path()));
}

TEST_CASE("on a terminal the progress rewrites its line, elsewhere there are only whole lines") {
  Scene scene;
  const Mirror mirror(serve(scene.gzipped));
  REQUIRE(scene.fetch_from(mirror.url(), true));
  CHECK_THAT(scene.progress.str(), Contains("\rfile.gz: 100 %\rfile.gz: done"));
  fs::remove(scene.path());
  REQUIRE(scene.fetch_from(mirror.url(), false));
  CHECK(scene.progress.str().find('\r') == std::string::npos);
}

TEST_CASE("the digests of MNIST are those of the real files (RINGPS_DATA names the folder that holds mnist/)") {
  const char* data = std::getenv("RINGPS_DATA");
  if (data == nullptr || !fs::exists(fs::path(data) / "mnist")) {
    WARN("skipped: RINGPS_DATA does not name a folder with mnist/");
    return;
  }
  const fs::path source = fs::path(data) / "mnist";
  const Mirror mirror([&](const httplib::Request& request, httplib::Response& response) {
    response.set_content(read_bytes(source / fs::path(request.path).filename()), "application/octet-stream");
  });
  const TempDir dir;
  std::ostringstream progress;
  REQUIRE(fetch(mnist_files(), {dir.path(), mirror.url()}, progress));
  REQUIRE(fetch(mnist_files(), {dir.path(), mirror.url()}, progress));
  CHECK(mirror.requests == 4);
}
