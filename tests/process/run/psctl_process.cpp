#include "tests/process/run/psctl_process.hpp"

#include <poll.h>

extern "C" {  // glibc 2.36 has forgotten it in this header
#include <sys/pidfd.h>
}

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "libps/net/clock.hpp"
#include "services/psctl/ask.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

constexpr int test_patience_ms = 60'000;

constexpr const char* small_config = R"(
name: small
seed: 7
data: {kind: synthetic, train_samples: 512, test_samples: 64}
cluster:
  servers: 3
  workers: 2
  block_elements: 16
  timeouts: {heartbeat_interval_ms: 20, probe_timeout_ms: 60, request_timeout_ms: 200, run_timeout_ms: 50000}
train: {iterations: 60, slices: 4, batch: 16}
evaluate: {interval: 20, samples: 64}
checkpoint: {interval: 10, min_gap_ms: 0}
output: {curve: false}
)";

std::string read_file(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool ends_within(int pidfd, int milliseconds) {
  pollfd ended{pidfd, POLLIN, 0};
  return poll(&ended, 1, milliseconds) == 1;
}

ChildProcess start(const Bench& bench, std::vector<std::string> arguments, const fs::path& log) {
  setenv("XDG_RUNTIME_DIR", (bench / "sockets").c_str(), 1);
  arguments.insert(arguments.begin(), RINGPS_BIN_DIR "/psctl");
  auto started = ChildProcess::start(arguments, log);
  REQUIRE(started);
  return std::move(started).value();
}

}  // namespace

Bench::Bench() {
  fs::create_directory(dir_ / "sockets");
  std::ofstream(config()) << small_config;
}

Bench::~Bench() {
  for (const std::string& process : alive(5000)) {
    FAIL_CHECK("a process has outlived its test: " << process);
  }
  for (const std::string& socket : sockets()) {
    FAIL_CHECK("a socket has outlived its test: " << socket);
  }
}

std::vector<std::string> Bench::alive(int patience_ms) const {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string command_line = read_file(entry.path() / "cmdline");
    if (command_line.find(dir_.path().string()) == std::string::npos) {
      continue;
    }
    const FileDescriptor process(pidfd_open(std::stoi(entry.path().filename().string()), 0));
    if (process.get() >= 0 && !ends_within(process.get(), patience_ms)) {
      found.push_back(command_line);
    }
  }
  return found;
}

std::vector<std::string> Bench::sockets() const {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(dir_ / "sockets")) {
    found.push_back(entry.path().string());
  }
  return found;
}

Psctl::Psctl(const Bench& bench, std::vector<std::string> arguments)
    : log_(bench.new_log()), process_(start(bench, std::move(arguments), log_)) {}

ProcessExit Psctl::wait() {
  ends_within(process_.descriptor(), test_patience_ms);
  const auto exit = process_.reap();
  UNSCOPED_INFO(output());
  REQUIRE(exit.has_value());
  return *exit;
}

std::string Psctl::output() const {
  return read_file(log_);
}

void Psctl::wait_until(const std::function<bool()>& holds) const {
  constexpr int interval_ms = 5;  // what is waited for makes no event here; the end of psctl does
  const Time give_up = now() + std::chrono::milliseconds(test_patience_ms);
  while (!holds()) {
    INFO(output());
    REQUIRE(now() < give_up);
    REQUIRE(!ends_within(process_.descriptor(), interval_ms));
  }
}

void Psctl::wait_for_output(const std::string& text) const {
  wait_until([&] { return output().find(text) != std::string::npos; });
}

Status Psctl::wait_for_iteration(const fs::path& run_dir, std::uint64_t iteration) const {
  Status reached;
  wait_until([&] {
    const auto json = read_json(run_dir / "coordinator.json");
    if (!json.is_object()) {
      return false;
    }
    const auto answer = ask(json["control"].get<std::string>(), "small", GetStatus{}, std::chrono::seconds(1));
    const auto* status = answer ? std::get_if<Status>(&answer->body) : nullptr;
    reached = status != nullptr ? *status : reached;
    return reached.state == RunState::running && reached.iteration.value >= iteration;
  });
  return reached;
}

Run::Run(const Bench& bench, const std::string& name, std::vector<std::string> overrides)
    : Run(bench, name, bench.config(), std::move(overrides)) {}

Run::Run(const Bench& bench, const std::string& name, const fs::path& config, std::vector<std::string> overrides) {
  std::vector<std::string> arguments = {"run", config.string(), "--run-dir", (bench / name).string()};
  arguments.insert(arguments.end(), overrides.begin(), overrides.end());
  Psctl psctl(bench, arguments);
  exit = psctl.wait();
  output = psctl.output();
  results = read_json(bench / name / "results.json");
}

std::string Run::hash() const {
  const bool has = results.is_object() && results["final_weights_sha256"].is_string();
  return has ? results["final_weights_sha256"].get<std::string>() : "no final weights: " + output;
}

nlohmann::json read_json(const fs::path& file) {
  const auto json = nlohmann::json::parse(read_file(file), nullptr, false);
  return json.is_discarded() ? nlohmann::json() : json;
}

pid_t pid_of(const fs::path& run_dir, const std::string& id) {
  for (const auto& process : read_json(run_dir / "processes.json")) {
    if (process["id"] == id && process["state"] == "running") {
      return process["pid"].get<pid_t>();
    }
  }
  return 0;
}

}  // namespace ringps
