#include "services/psctl/relay_connection.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <utility>

namespace ringps {
namespace {

void send_at_once(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

RelayConnection::RelayConnection(FileDescriptor socket, std::string client_id) : client_id_(std::move(client_id)) {
  send_at_once(socket.get());
  ends_[client].socket = std::move(socket);
}

void RelayConnection::on_ready(Side side, bool readable, bool writable) {
  ends_[side].readable = ends_[side].readable || readable;
  ends_[side].writable = ends_[side].writable || writable;
}

bool RelayConnection::advance(Time now) {
  if (state_ == State::greeted && !greet()) {
    return false;
  }
  if (state_ == State::asked && !hear_request()) {
    return false;
  }
  if ((state_ == State::held || state_ == State::connecting) && !client_is_there()) {
    return false;
  }
  if (state_ == State::held && !links_[0].cut && !links_[1].cut && now >= next_try_) {
    connect(now);
  }
  if (state_ == State::connecting && ends_[server].writable && !finish_connect(now)) {
    return false;
  }
  if (state_ != State::open) {
    return true;
  }
  return pipes_[0].pump(now, links_[0], ends_[client], ends_[server]) &&
         pipes_[1].pump(now, links_[1], ends_[server], ends_[client]) &&
         !(pipes_[0].finished() && pipes_[1].finished());
}

Time RelayConnection::next_deadline() const {
  const bool tries_again = state_ == State::held && !links_[0].cut && !links_[1].cut;
  return tries_again ? next_try_ : std::min(pipes_[0].next_deadline(), pipes_[1].next_deadline());
}

/// More of the handshake. False: the client has gone, or talks too much.
bool RelayConnection::receive() {
  constexpr std::size_t handshake_bytes_max = 1024;
  std::array<char, 512> buffer{};
  while (ends_[client].readable) {
    const ssize_t got = recv(ends_[client].socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
      ends_[client].readable = false;
    } else if (got <= 0 || received_.size() > handshake_bytes_max) {
      return false;
    } else {
      received_.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }
  return true;
}

/// A few bytes, which a socket that is new takes at once.
bool RelayConnection::answer(std::string_view text) const {
  return send(ends_[client].socket.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

bool RelayConnection::greet() {
  const bool there = receive();
  const auto greeting = socks::parse_greeting(received_);
  if (!there || !greeting) {
    return false;
  }
  if (*greeting) {
    received_.erase(0, **greeting);
    state_ = State::asked;
    return answer(socks::greeting_answer);
  }
  return true;
}

bool RelayConnection::hear_request() {
  const bool there = receive();
  const auto request = socks::parse_request(received_, wanted_);
  if (!there || !request) {
    return false;
  }
  if (*request) {
    destination_ = socks::endpoint_of(wanted_);
    state_ = State::held;  // until it is known what the faults say of the way there
    links_[0].cut = true;
  }
  return true;
}

/// Before it is connected a client has nothing to say but that it goes.
bool RelayConnection::client_is_there() {
  char byte = 0;
  if (!ends_[client].readable) {
    return true;
  }
  ends_[client].readable = false;
  const ssize_t got = recv(ends_[client].socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && errno == EAGAIN);
}

void RelayConnection::connect(Time now) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(wanted_.host.c_str(), std::to_string(wanted_.port).c_str(), &hints, &found) != 0) {
    try_later(now);
    return;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, freeaddrinfo);
  FileDescriptor socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0 ||
      (::connect(socket.get(), address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS)) {
    try_later(now);
    return;
  }
  send_at_once(socket.get());
  new_socket_ = socket.get();
  ends_[server].socket = std::move(socket);
  state_ = State::connecting;
}

/// The relay tries, not the client: libzmq 4.3.4 aborts the process when a socket is closed while it waits to try a
/// proxy once more.
void RelayConnection::try_later(Time now) {
  constexpr Duration try_interval = std::chrono::milliseconds(20);
  next_try_ = now + try_interval;
  ends_[server] = {};
  new_socket_ = -1;
  state_ = State::held;
}

bool RelayConnection::finish_connect(Time now) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(ends_[server].socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
    try_later(now);
    return true;
  }
  state_ = State::open;
  ends_[client].readable = true;  // it may have spoken meanwhile
  return answer(socks::connected_answer);
}

}  // namespace ringps
