#include "libps/net/socket.hpp"

#include <netdb.h>
#include <spdlog/fmt/fmt.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "libps/base/check.hpp"
#include "libps/base/log.hpp"
#include "libps/base/sha256.hpp"
#include "libps/base/value_memory.hpp"
#include "libps/net/frames.hpp"
#include "libps/net/local_socket.hpp"
#include "libps/net/shared_arena.hpp"
#include "libps/wire/limits.hpp"

namespace ringps {
namespace {

const std::string tcp = "tcp://";
const std::string ipc = "ipc://";

/// See connect_through; empty: none.
std::string& proxy_of_process() {
  static std::string proxy;
  return proxy;
}

/// See give_up_after; 0: as long as the system likes.
Duration& silence_max_of_process() {
  static Duration silence{};
  return silence;
}

/// See take_short_cuts.
bool& short_cuts_of_process() {
  static bool taken = false;
  return taken;
}

/// The name of the short cut to whoever listens at a tcp endpoint, which is the same for all who know the endpoint;
/// empty where it would be too long for the system.
std::string short_cut_name(const std::string& tcp_endpoint) {
  std::string name = "ringps-" + tcp_endpoint.substr(tcp.size());
  return name.size() <= local_name_bytes_max ? name : std::string();
}

/// `endpoint`, or the short cut to it.
std::string nearest(const std::string& endpoint) {
  if (!short_cuts_of_process() || !proxy_of_process().empty() || !endpoint.starts_with(tcp)) {
    return endpoint;
  }
  const std::string name = short_cut_name(endpoint);
  return !name.empty() && connect_locally(name, SOCK_STREAM) ? ipc + "@" + name : endpoint;
}

/// Left to itself, TCP doubles its patience with every retransmission that is lost: after a cut of a minute a
/// connection stands still for up to another minute, after longer ones for up to two; and a side that only listens
/// never learns that the other one has given up. So both sides let go of such a connection, and make a new one as soon
/// as a packet gets through. All of this is done by the kernel and needs no answer from the process: unlike a heartbeat
/// of ZMTP, none of it can be late because it stands behind a large message, and a connection that is slow, but moves,
/// is not touched.
void limit_silence(zmq::socket_t& socket, Duration silence) {
  constexpr int connect_ms_max = 1000;  // a lost SYN is repeated after a second, and then ever later
  const auto ms = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(silence).count());
  const int s = (ms + 999) / 1000;
  socket.set(zmq::sockopt::tcp_maxrt, ms);
  socket.set(zmq::sockopt::connect_timeout, std::min(ms, connect_ms_max));
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, s);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, s);
}

zmq::socket_t make_socket(zmq::context_t& context, zmq::socket_type type, Queues queues) {
  zmq::socket_t socket(context, type);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, queues.send);
  socket.set(zmq::sockopt::rcvhwm, queues.receive);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(limits::payload_bytes_max));
  socket.set(zmq::sockopt::reconnect_ivl, 20);
  socket.set(zmq::sockopt::reconnect_ivl_max, 500);
  if (silence_max_of_process() > Duration{}) {
    limit_silence(socket, silence_max_of_process());
  }
  if (!proxy_of_process().empty()) {
    socket.set(zmq::sockopt::socks_proxy, proxy_of_process());
  }
  return socket;
}

/// The numeric address, of a `family` such as AF_INET, that `host` stands for here and now. Members are told that: a
/// name would be looked up again by every one of them at every reconnect, on the thread that does all of ZeroMQ's work,
/// and a name server that is slow to say that a dead host is not there would make the living look dead as well.
Result<std::string> numeric_address(const std::string& host, int family) {
  addrinfo wanted{};
  wanted.ai_family = family;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string bare = host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
  if (const int error = getaddrinfo(bare.c_str(), nullptr, &wanted, &found); error != 0) {
    return Error{"cannot tell others to come to '" + host + "': " + gai_strerror(error) +
                 "; expected a name that this host can look up, or an address"};
  }
  std::array<char, NI_MAXHOST> text{};
  const int error =
      getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  freeaddrinfo(found);
  if (error != 0) {
    return Error{"cannot write the address of '" + host + "': " + gai_strerror(error)};
  }
  return family == AF_INET6 ? "[" + std::string(text.data()) + "]" : std::string(text.data());
}

Result<std::string> bind_socket(zmq::socket_t& socket, const std::string& endpoint, const std::string& advertise) {
  try {
    socket.bind(endpoint);
  } catch (const zmq::error_t& error) {
    return Error{"cannot listen at '" + endpoint + "': " + error.what() +
                 "; use tcp://ADDRESS:PORT with an address of this host (port 0: the system chooses), or ipc://PATH"};
  }
  std::string bound = socket.get(zmq::sockopt::last_endpoint);
  if (!advertise.empty() && bound.starts_with(tcp)) {
    auto address = numeric_address(advertise, bound.starts_with(tcp + "[") ? AF_INET6 : AF_INET);
    if (!address) {
      return address;
    }
    bound = tcp + *address + bound.substr(bound.rfind(':'));
  }
  return bound;
}

/// Receives one message from a socket whose messages have `skip` frames before the header. `link_of(frames)`: that to
/// whoever sent them, or null.
template <class LinkOf>
bool receive_message(zmq::socket_t& socket, std::size_t skip, Frames& frames, Message& message,
                     const OnMalformed& on_malformed, const LinkOf& link_of) {
  while (receive_frames(socket, frames)) {
    const auto decoded = decode_frames(frames, skip, link_of(frames), message);
    if (decoded) {
      return true;
    }
    on_malformed(decoded.error());
  }
  return false;
}

MemoryLink* no_link(const Frames&) {
  return nullptr;
}

/// Where those come who want to share memory with whoever listens at an endpoint.
std::string link_name(const std::string& endpoint) {
  return "ringps-memory-" + sha256_hex(endpoint).substr(0, 32);
}

/// Routes of connections beside which there is a link begin with it; ZeroMQ's own begin with a zero.
constexpr char linked = 'm';

/// Nobody else can know it.
std::string make_token() {
  std::array<std::uint8_t, 15> bytes{};
  check(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "the system has random bytes");
  std::string token(1, linked);
  for (const std::uint8_t byte : bytes) {
    token += fmt::format("{:02x}", byte);
  }
  return token;
}

}  // namespace

zmq::context_t make_context() {
  zmq::context_t context(1);
  context.set(zmq::ctxopt::blocky, 0);
  return context;
}

void connect_through(const std::string& proxy) {
  proxy_of_process() = proxy;
}

void give_up_after(Duration silence) {
  silence_max_of_process() = silence;
}

void take_short_cuts() {
  short_cuts_of_process() = true;
}

Queues bulk_queues(std::uint32_t message_bytes) {
  constexpr int most = 4096;
  return {most, std::clamp(static_cast<int>((64U << 20U) / std::max(message_bytes, 1U)), 16, most), true};
}

// ---- waiting for a socket ------------------------------------------------------------------------------------------

PolledSocket::PolledSocket(zmq::socket_t socket)
    : socket_(std::move(socket)), descriptor_(socket_.get(zmq::sockopt::fd)) {}

bool PolledSocket::ready() {
  if (quiet_) {
    return false;
  }
  // Takes the news from the descriptor, and tells both directions at once.
  const int events = socket_.get(zmq::sockopt::events);
  const bool ready = (events & ZMQ_POLLIN) != 0 || ((events & ZMQ_POLLOUT) != 0 && has_unsent());
  quiet_ = !ready;
  return ready;
}

void PolledSocket::set_linger(Duration linger) {
  socket_.set(zmq::sockopt::linger,
              static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(linger).count()));
}

bool PolledSocket::received(bool something) {
  // With something unsent, what has just been taken from the descriptor may have been that it can be sent now.
  quiet_ = !something && !has_unsent();
  return something;
}

// ---- ROUTER ---------------------------------------------------------------------------------------------------------

RouterSocket::RouterSocket(zmq::context_t& context, Queues queues)
    : PolledSocket(make_socket(context, zmq::socket_type::router, queues)), carries_values_(queues.of_values) {
  socket().set(zmq::sockopt::router_mandatory, true);
}

Result<std::string> RouterSocket::bind(const std::string& endpoint, const std::string& advertise) {
  auto bound = bind_socket(socket(), endpoint, advertise);
  if (bound && short_cuts_of_process() && bound->starts_with(tcp)) {
    if (const std::string name = short_cut_name(*bound); !name.empty()) {
      try {
        socket().bind(ipc + "@" + name);
      } catch (const zmq::error_t& error) {  // others will come by tcp
        log::warn("no short cut for processes of this host: {}", error.what());
      }
    }
  }
  if (bound && carries_values_ && arena_of_process() != nullptr) {
    if (auto listener = MemoryListener::listen(link_name(*bound))) {
      links_come_ = std::move(*listener);
    } else {
      log::warn("no memory is shared with processes of this host: {}", listener.error());
    }
  }
  return bound;
}

/// Null: whoever speaks on this route shares no memory.
MemoryLink* RouterSocket::link_of(const Route& route) {
  if (!links_come_ || route.empty() || route.front() != linked) {
    return nullptr;
  }
  auto at = links_.find(route);
  if (at == links_.end()) {  // the link came before this first message
    for (auto& [token, link] : links_come_->accept()) {
      links_[token].emplace(std::move(link));
    }
    at = links_.try_emplace(route).first;
  }
  return at->second ? &*at->second : nullptr;
}

void RouterSocket::collect_lent() {
  for (auto at = links_.begin(); at != links_.end();) {
    // Not as soon as the other side has gone: what it said last may still be in a queue.
    std::optional<MemoryLink>& link = at->second;
    if (!link || link->has_gone()) {
      at = links_.erase(at);
      continue;
    }
    link->is_there();
    ++at;
  }
}

bool RouterSocket::receive(Route& from, Message& message, const OnMalformed& on_malformed) {
  Frames frames;
  const auto link = [&](const Frames& all) {
    from.assign(static_cast<const char*>(all.frame[0].data()), all.frame[0].size());
    return link_of(from);
  };
  return received(receive_message(socket(), 1, frames, message, on_malformed, link));
}

bool RouterSocket::send(const Route& to, const Message& message) {
  may_have_changed();
  return send_message(socket(), &to, message, message.payload.size() < large_value_bytes_min ? nullptr : link_of(to));
}

// ---- DEALER ---------------------------------------------------------------------------------------------------------

DealerSocket::DealerSocket(zmq::context_t& context, const std::string& endpoint, Queues queues)
    : PolledSocket(make_socket(context, zmq::socket_type::dealer, queues)), monitor_(context, zmq::socket_type::pair) {
  // The address only has to be unique within the context; the socket's own is.
  const std::string monitor = fmt::format("inproc://monitor-{}", fmt::ptr(socket().handle()));
  check(zmq_socket_monitor(socket().handle(), monitor.c_str(), ZMQ_EVENT_DISCONNECTED) == 0,
        "a socket can be monitored");
  monitor_.set(zmq::sockopt::linger, 0);
  monitor_.connect(monitor);
  socket().set(zmq::sockopt::immediate, true);
  const std::string near = nearest(endpoint);
  if (queues.of_values && near.starts_with(ipc)) {
    const std::string token = make_token();
    if (auto link = MemoryLink::connect(link_name(endpoint), token)) {
      link_.emplace(std::move(*link));
      socket().set(zmq::sockopt::routing_id, token);
    }
  }
  socket().connect(near);
}

/// The monitor is stopped before anybody stops reading it: ZeroMQ's I/O thread, which serves all sockets, would wait
/// for ever to tell a reader that has gone of a connection that breaks just now.
DealerSocket::~DealerSocket() {
  zmq_socket_monitor(socket().handle(), nullptr, 0);
}

bool DealerSocket::receive(Message& message, const OnMalformed& on_malformed) {
  Frames frames;
  const bool something = receive_message(socket(), 0, frames, message, on_malformed,
                                         [this](const Frames&) { return link_ ? &*link_ : nullptr; });
  if (!something && link_) {
    link_->collect();
  }
  return received(something);
}

bool DealerSocket::try_send(const Message& message) {
  may_have_changed();
  return send_message(socket(), nullptr, message, link_ ? &*link_ : nullptr);
}

void DealerSocket::send(Message message) {
  constexpr std::size_t unsent_max = 65536;  // senders repeat what is not answered; the oldest are given up
  if (!unsent_.empty() || !try_send(message)) {
    unsent_.push_back(std::move(message));
    if (unsent_.size() > unsent_max) {
      unsent_.pop_front();
    }
  }
}

void DealerSocket::flush() {
  while (!unsent_.empty() && try_send(unsent_.front())) {
    unsent_.pop_front();
  }
}

bool DealerSocket::take_disconnected() {
  Frames event;
  bool disconnected = false;
  while (receive_frames(monitor_, event)) {
    disconnected = true;
  }
  return disconnected;
}

// ---- PUB/SUB --------------------------------------------------------------------------------------------------------

PublisherSocket::PublisherSocket(zmq::context_t& context)
    : socket_(make_socket(context, zmq::socket_type::pub, control_queues)) {
  socket_.set(zmq::sockopt::linger, 500);  // the last word is Stop
}

Result<std::string> PublisherSocket::bind(const std::string& endpoint, const std::string& advertise) {
  return bind_socket(socket_, endpoint, advertise);
}

void PublisherSocket::send(const Message& message) {
  send_message(socket_, nullptr, message);
}

SubscriberSocket::SubscriberSocket(zmq::context_t& context, const std::string& endpoint)
    : PolledSocket(make_socket(context, zmq::socket_type::sub, control_queues)) {
  socket().set(zmq::sockopt::subscribe, "");
  socket().connect(endpoint);
}

bool SubscriberSocket::receive(Message& message, const OnMalformed& on_malformed) {
  Frames frames;
  return received(receive_message(socket(), 0, frames, message, on_malformed, no_link));
}

}  // namespace ringps
