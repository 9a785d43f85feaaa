#include "services/psctl/relay.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <spdlog/fmt/fmt.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "libps/net/clock.hpp"
#include "libps/net/mailbox.hpp"
#include "services/psctl/relay_connection.hpp"

namespace ringps {
namespace {

Error error_of(const char* what) {
  return Error{
      fmt::format("cannot {} for the relay between the processes: {}", what, std::generic_category().message(errno))};
}

/// Listens on this host, at a port that the system chooses.
Result<FileDescriptor> listen_anywhere(std::string& address) {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* const generic = reinterpret_cast<sockaddr*>(&at);
  if (socket.get() < 0 || bind(socket.get(), generic, size) != 0 || listen(socket.get(), SOMAXCONN) != 0 ||
      getsockname(socket.get(), generic, &size) != 0) {
    return error_of("listen");
  }
  address = fmt::format("127.0.0.1:{}", ntohs(at.sin_port));
  return socket;
}

}  // namespace

class Relay::Impl {
 public:
  explicit Impl(FileDescriptor epoll) : epoll_(std::move(epoll)), thread_([this] { run(); }) {}
  ~Impl() {
    orders_.put(Quit{});
    thread_.join();
  }

  Result<std::string> proxy_for(const std::string& id) {
    const std::lock_guard lock(proxies_mutex_);
    if (const auto known = proxies_.find(id); known != proxies_.end()) {
      return known->second;
    }
    std::string address;
    auto socket = listen_anywhere(address);
    if (!socket) {
      return socket.failure();
    }
    orders_.put(Listen{std::make_shared<FileDescriptor>(std::move(*socket)), id});
    proxies_[id] = address;
    return address;
  }

  struct Listen {
    std::shared_ptr<FileDescriptor> socket;
    std::string id;
  };
  struct Name {
    std::string endpoint;
    std::string id;
  };
  struct Quit {};
  using Order = std::variant<Listen, Name, std::vector<LinkFault>, Quit>;

  void put(Order order) { orders_.put(std::move(order)); }

 private:
  /// What an event belongs to: an order, a proxy, or one side of a connection.
  static constexpr std::uint64_t orders_tag = 0;
  static std::uint64_t tag_of(std::uint64_t number, RelayConnection::Side side) { return number << 1U | side; }

  void watch(int descriptor, std::uint32_t events, std::uint64_t tag) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event);
  }

  void run();
  void take_orders();
  void on_event(const epoll_event& event);
  void accept_from(const Listen& proxy);
  Time advance_all(Time now);
  void set_links(RelayConnection& connection) const;

  const FileDescriptor epoll_;
  Mailbox<Order> orders_;
  std::mutex proxies_mutex_;
  std::map<std::string, std::string> proxies_;  ///< address by id; guarded by the mutex

  // The thread's own.
  bool quit_ = false;
  std::uint64_t last_number_ = 0;  ///< of proxies and connections; never used again
  std::map<std::uint64_t, Listen> listening_;
  std::map<std::uint64_t, RelayConnection> connections_;
  std::map<std::string, std::string> ids_;  ///< by endpoint
  std::vector<LinkFault> faults_;

  std::thread thread_;  ///< last: it uses all the others
};

void Relay::Impl::run() {
  watch(orders_.descriptor(), EPOLLIN, orders_tag);
  std::array<epoll_event, 64> events{};
  Time deadline = time_never;
  while (!quit_) {
    int timeout_ms = -1;
    if (deadline != time_never) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(deadline - now(), Duration{}));
      timeout_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 3'600'000));
    }
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int i = 0; i < count; ++i) {
      on_event(events[static_cast<std::size_t>(i)]);
    }
    take_orders();
    deadline = advance_all(now());
  }
}

void Relay::Impl::take_orders() {
  bool links_changed = false;
  for (Order& order : orders_.take_all()) {
    if (auto* proxy = std::get_if<Listen>(&order)) {
      const std::uint64_t number = ++last_number_;
      watch(proxy->socket->get(), EPOLLIN, tag_of(number, RelayConnection::client));
      listening_.emplace(number, std::move(*proxy));
    } else if (auto* name = std::get_if<Name>(&order)) {
      ids_[name->endpoint] = name->id;
      links_changed = true;
    } else if (auto* faults = std::get_if<std::vector<LinkFault>>(&order)) {
      faults_ = std::move(*faults);
      links_changed = true;
    } else {
      quit_ = true;
    }
  }
  if (links_changed) {
    for (auto& [number, connection] : connections_) {
      set_links(connection);
    }
  }
}

void Relay::Impl::set_links(RelayConnection& connection) const {
  if (connection.destination().empty()) {
    return;
  }
  const auto known = ids_.find(connection.destination());
  const std::string& server = known == ids_.end() ? connection.destination() : known->second;
  connection.set_links(state_of(faults_, connection.client_id(), server),
                       state_of(faults_, server, connection.client_id()));
}

void Relay::Impl::on_event(const epoll_event& event) {
  const std::uint64_t number = event.data.u64 >> 1U;
  if (const auto proxy = listening_.find(number); proxy != listening_.end()) {
    accept_from(proxy->second);
  } else if (const auto connection = connections_.find(number); connection != connections_.end()) {
    const auto side = (event.data.u64 & 1U) == 0 ? RelayConnection::client : RelayConnection::server;
    const bool over = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
    connection->second.on_ready(side, over || (event.events & (EPOLLIN | EPOLLRDHUP)) != 0,
                                over || (event.events & EPOLLOUT) != 0);
  }
}

void Relay::Impl::accept_from(const Listen& proxy) {
  FileDescriptor socket(accept4(proxy.socket->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.get() < 0) {
    return;  // it has gone again
  }
  const std::uint64_t number = ++last_number_;
  watch(socket.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, tag_of(number, RelayConnection::client));
  connections_.try_emplace(number, std::move(socket), proxy.id);
}

/// Returns when it has to be done again at the latest.
Time Relay::Impl::advance_all(Time at) {
  Time deadline = time_never;
  for (auto it = connections_.begin(); it != connections_.end();) {
    auto& [number, connection] = *it;
    const bool knew_destination = !connection.destination().empty();
    bool goes_on = connection.advance(at);
    if (goes_on && !knew_destination && !connection.destination().empty()) {
      set_links(connection);
      goes_on = connection.advance(at);
    }
    if (!goes_on) {
      it = connections_.erase(it);
      continue;
    }
    if (const int socket = connection.take_new_socket(); socket >= 0) {
      watch(socket, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, tag_of(number, RelayConnection::server));
    }
    deadline = std::min(deadline, connection.next_deadline());
    ++it;
  }
  return deadline;
}

Result<std::unique_ptr<Relay>> Relay::start() {
  FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (epoll.get() < 0) {
    return error_of("wait");
  }
  return std::unique_ptr<Relay>(new Relay(std::make_unique<Impl>(std::move(epoll))));
}

Relay::Relay(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Relay::~Relay() = default;

Result<std::string> Relay::proxy_for(const std::string& id) {
  return impl_->proxy_for(id);
}

void Relay::name(const std::string& endpoint, const std::string& id) {
  impl_->put(Impl::Name{endpoint, id});
}

void Relay::set_faults(std::vector<LinkFault> faults) {
  impl_->put(std::move(faults));
}

}  // namespace ringps
