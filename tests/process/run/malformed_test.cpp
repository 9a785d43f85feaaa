// Whatever strangers, old friends and broken programs send to a running cluster: it is refused and counted, and the
// weights end as they would have.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <zmq.hpp>

#include "libps/net/clock.hpp"
#include "libps/wire/codec.hpp"
#include "services/psctl/ask.hpp"
#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

using Frames = std::vector<std::string>;

/// A worker's envelope, as if from the real one.
Envelope envelope_of(const ProcessStatus& worker, Epoch epoch) {
  return {"small", Role::worker, worker.id, worker.incarnation, epoch, RequestId{1U << 30U}};
}

Frames frames_of(const Envelope& envelope, Body body, const std::string& payload = std::string(4, '\0')) {
  return {encode_header({envelope, std::move(body), {}}), payload};
}

/// Frames that a server refuses.
std::vector<Frames> refused_by_servers(const ProcessStatus& worker, Epoch epoch) {
  const Envelope member = envelope_of(worker, epoch);
  Envelope foreign = member;
  foreign.cluster = "another";
  Envelope stranger = member;
  stranger.sender = "worker99";
  Envelope past_life = member;
  past_life.incarnation.value -= 1;
  const Push good{{1}, {0}, {{0, 0, 1}}};
  const std::string whole = frames_of(member, good).front();
  return {
      {""},
      {"", ""},
      {whole},                                      // the payload is missing
      {whole, "1234", "1234"},                      // a frame too many
      {whole.substr(0, whole.size() / 2), "1234"},  // truncated
      {whole + "x", "1234"},                        // bytes after the end
      {whole, "123"},                               // not a whole number of floats
      {std::string(3U << 20U, '\xC0'), "1234"},     // a header beyond all limits
      {std::string("\xDD\xFF\xFF\xFF\xFF", 5)},     // an array of 2^32 - 1 entries
      {std::string(100000, '\x91')},                // arrays in arrays in arrays …
      {std::string("\x93\xA1x\xA1y\xA1z", 7)},      // strings where numbers belong
      frames_of(foreign, good),
      frames_of(stranger, good),
      frames_of(past_life, good),
      frames_of(member, Push{{1}, {0}, {{77, 0, 1}}}),                             // unknown tensor
      frames_of(member, Push{{1}, {0}, {{0, 0xFFFFFFFE, 5}}}),                     // blocks out of range
      frames_of(member, Push{{1}, {0}, {{0, 0, 0xFFFFFFFF}}}),                     // the same
      frames_of(member, Push{{1}, {0}, {}}),                                       // no blocks
      frames_of(member, Push{{1}, {0}, {{0, 0, 1}}, {Encoding::float16, false}}),  // not the job's format
      frames_of(member, Push{{1}, {0}, {{0, 0, 1}}, {Encoding::float32, true}}),   // the same
      frames_of(member, Push{{1}, {0}, {{0, 0, 1}}, {Encoding{77}, false}}),       // an encoding that there is none of
      {encode_header({member, Pull{{0xFFFFFFFFFFFFFFF0}, true, {{0, 0, 1}}}, {}})},  // far beyond the end
      {encode_header({member, Join{}, {}})},                                         // not for a server
  };
}

/// Frames that the coordinator refuses.
std::vector<Frames> refused_by_coordinator(const ProcessStatus& worker, Epoch epoch) {
  const Envelope member = envelope_of(worker, epoch);
  Envelope foreign = member;
  foreign.cluster = "another";
  Envelope past_life = member;
  past_life.incarnation.value -= 1;
  const std::string whole = encode_header({member, Heartbeat{}, {}});
  return {
      {""},
      {whole, "1234"},
      {whole.substr(0, whole.size() - 1)},
      {std::string("\xDD\xFF\xFF\xFF\xFF", 5)},
      {encode_header({foreign, Heartbeat{}, {}})},
      {encode_header({past_life, Heartbeat{}, {}})},
      {encode_header({past_life, Join{"", "another digest", 1}, {}})},
      {encode_header({member, Stop{}, {}})},
  };
}

void send_all(zmq::socket_t& dealer, const std::vector<Frames>& messages) {
  for (const Frames& frames : messages) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const auto flags = i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
      dealer.send(zmq::buffer(frames[i]), flags);
    }
  }
}

/// Bytes that are not even ZMTP.
void send_raw(const std::string& endpoint, const std::string& bytes) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  const int raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(raw >= 0);
  REQUIRE(connect(raw, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  send(raw, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  close(raw);
}

TEST_CASE("malformed, foreign and outdated messages to every port are refused and counted, and change no bit") {
  const std::string length = "train.iterations=6000";
  const Bench quiet;
  const Run reference(quiet, "reference", {length, "checkpoint.interval=1000"});
  REQUIRE(reference.exit == ProcessExit{false, 0});

  const Bench bench;
  const std::string run_dir = (bench / "run").string();
  Psctl psctl(bench, {"run", bench.config().string(), "--run-dir", run_dir, length, "checkpoint.interval=1000"});
  const Status before = psctl.wait_for_iteration(run_dir, 10);
  const auto where = read_json(bench / "run" / "coordinator.json");
  const std::string control = where["control"];
  const auto worker = std::find_if(before.processes.begin(), before.processes.end(),
                                   [](const ProcessStatus& process) { return process.id == "worker0"; });
  REQUIRE(worker != before.processes.end());

  zmq::context_t context(1);
  std::vector<zmq::socket_t> dealers;
  const auto connect_to = [&](const std::string& endpoint) -> zmq::socket_t& {
    zmq::socket_t& dealer = dealers.emplace_back(context, zmq::socket_type::dealer);
    dealer.set(zmq::sockopt::linger, 0);
    dealer.set(zmq::sockopt::sndtimeo, 10'000);
    dealer.connect(endpoint);
    return dealer;
  };
  const auto for_servers = refused_by_servers(*worker, before.view.epoch);
  const Envelope outdated = envelope_of(*worker, {0});
  const Envelope early = envelope_of(*worker, {before.view.epoch.value + 1000});
  for (const ServerMember& server : before.view.servers) {
    zmq::socket_t& dealer = connect_to(server.endpoint);
    send_all(dealer, for_servers);
    send_all(dealer, {frames_of(outdated, Push{{1}, {0}, {{0, 0, 1}}}), frames_of(early, Push{{1}, {0}, {{0, 0, 1}}})});
    send_raw(server.endpoint, "GET / HTTP/1.1\r\n\r\n");
  }
  const auto for_coordinator = refused_by_coordinator(*worker, before.view.epoch);
  send_all(connect_to(control), for_coordinator);
  send_raw(control, std::string(1000, '\xFF'));
  send_raw(where["broadcast"], "GET / HTTP/1.1\r\n\r\n");

  // Counted: every status is a round trip, so this asks no faster than it is answered.
  const Time deadline = now() + std::chrono::seconds(30);
  for (bool counted = false; !counted;) {
    REQUIRE(now() < deadline);
    const auto answer = ask(control, "small", GetStatus{}, std::chrono::seconds(5));
    REQUIRE(answer);
    const auto& status = std::get<Status>(answer->body);
    counted = status.refused_messages >= for_coordinator.size();
    for (const ProcessStatus& process : status.processes) {
      counted = counted && (process.role != Role::server || process.refused >= for_servers.size());
    }
  }
  CHECK(psctl.wait() == ProcessExit{false, 0});
  CHECK(read_json(bench / "run" / "results.json")["final_weights_sha256"] == reference.hash());
}

}  // namespace
}  // namespace ringps
