// ZeroMQ sockets that speak messages. One thread owns a socket; none of the calls blocks.
//
// Options (see the architecture page): linger is always set; ROUTERs are mandatory, so a peer that is gone or does not
// read is an error and not silence; DEALERs are immediate, so nothing is queued for a connection that does not stand.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <zmq.hpp>

#include "libps/base/result.hpp"
#include "libps/base/time.hpp"
#include "libps/core/shard.hpp"
#include "libps/net/memory_link.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// A context whose end never waits for unsent messages.
zmq::context_t make_context();

/// From now on all sockets of this process connect over tcp through the SOCKS 5 proxy at HOST:PORT. For rehearsing
/// failures of the network; to be called before there is any socket, and by nobody but main.
void connect_through(const std::string& proxy);

/// From now on all tcp sockets of this process give a connection up, and take it up again, when the other side has
/// acknowledged nothing for this long. To be called before there is any socket, and by nobody but main.
void give_up_after(Duration silence);

/// From now on RouterSockets of this process that listen at a tcp endpoint listen at a short cut for this host as well
/// (a UNIX socket in Linux' abstract namespace, which leaves no file), and DealerSockets take it where it is there,
/// belongs to the same user, and no proxy is in between. To be called before there is any socket, and by nobody but
/// main.
void take_short_cuts();

/// Called with the reason for each frame sequence that is no message of ours.
using OnMalformed = std::function<void(const std::string& reason)>;

/// What an event loop has to know of a socket. ZeroMQ's descriptor becomes readable when something has changed, but any
/// call may have taken the news from it; so a socket remembers whether that can have been.
class PolledSocket {
 public:
  virtual ~PolledSocket() = default;
  PolledSocket(const PolledSocket&) = delete;
  PolledSocket& operator=(const PolledSocket&) = delete;

  /// Readable when the state of the socket may have changed since it was last found quiet.
  int descriptor() const { return descriptor_; }
  /// Whether something is there to receive or, if something waits to be sent, can be sent. Costs a system call unless
  /// all that was there has been received and nothing has been done since.
  bool ready();
  void may_have_changed() { quiet_ = false; }
  /// How long the end of the context waits for what has been sent to be on its way; else not at all.
  void set_linger(Duration linger);

 protected:
  explicit PolledSocket(zmq::socket_t socket);

  virtual bool has_unsent() const { return false; }
  /// Remembers the outcome of a receive.
  bool received(bool something);
  zmq::socket_t& socket() { return socket_; }

 private:
  zmq::socket_t socket_;
  const int descriptor_;
  bool quiet_ = false;  ///< nothing to receive, nothing to send, and whatever comes makes the descriptor readable
};

/// How many messages may be queued per peer in each direction. What is to be sent is a reference to the sender's own
/// memory. What has been received takes up memory of its own until somebody looks at it, so beyond the bound a peer is
/// kept waiting.
struct Queues {
  int send;
  int receive;
  bool of_values = false;  ///< large ones too, which are lent rather than sent where that can be
};

/// For messages of at most `message_bytes`: some 64 MiB may have been received. That is what comes in while a
/// thread is kept from its core by others for some 10 ms; with 16 MiB, a checkpoint made iterations of 1 GiB wait by
/// 100 to 500 ms, with more than 64 no less than with 64 (`ps-bench --filter checkpoint`).
Queues bulk_queues(std::uint32_t message_bytes);

inline constexpr Queues control_queues{1024, 1024};

/// The binding side of requests: answers go to the route that a request came from.
class RouterSocket final : public PolledSocket {
 public:
  RouterSocket(zmq::context_t& context, Queues queues);

  /// Binds and tells the endpoint that others can use: ports chosen by the system are filled in. `advertise`, if not
  /// empty, replaces the host of a tcp endpoint.
  Result<std::string> bind(const std::string& endpoint, const std::string& advertise = "");

  /// The next message, if one is there. Bad frames are reported and skipped.
  bool receive(Route& from, Message& message, const OnMalformed& on_malformed);

  /// False if the peer is gone or does not read: the message is dropped.
  bool send(const Route& to, const Message& message);
  /// Lets go of what others of this host have read, or will not read any more. To be called every now and then.
  void collect_lent();

 private:
  MemoryLink* link_of(const Route& route);

  const bool carries_values_;
  std::optional<MemoryListener> links_come_;
  std::unordered_map<Route, std::optional<MemoryLink>> links_;  ///< by route; nothing: there is none
};

/// The connecting side of requests. What cannot be sent yet waits in order, up to a bound.
class DealerSocket final : public PolledSocket {
 public:
  DealerSocket(zmq::context_t& context, const std::string& endpoint, Queues queues);
  ~DealerSocket() override;

  bool receive(Message& message, const OnMalformed& on_malformed);
  void send(Message message);
  /// Sends what waits, as far as the connection takes it.
  void flush();
  bool has_unsent() const override { return !unsent_.empty(); }
  /// Whether the connection has broken since the last call. It is taken up again by itself.
  bool take_disconnected();
  /// Readable when there may be news for take_disconnected(), until it is called.
  int disconnection_descriptor() { return monitor_.get(zmq::sockopt::fd); }

 private:
  bool try_send(const Message& message);

  std::optional<MemoryLink> link_;
  zmq::socket_t monitor_;
  std::deque<Message> unsent_;
};

/// The coordinator's broadcast.
class PublisherSocket {
 public:
  explicit PublisherSocket(zmq::context_t& context);
  Result<std::string> bind(const std::string& endpoint, const std::string& advertise = "");
  void send(const Message& message);

 private:
  zmq::socket_t socket_;
};

class SubscriberSocket final : public PolledSocket {
 public:
  SubscriberSocket(zmq::context_t& context, const std::string& endpoint);
  bool receive(Message& message, const OnMalformed& on_malformed);
};

}  // namespace ringps
